"""The causes that the composer reads, and what remains of them once opposite ones have cancelled each other. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from checks.credential import CredentialState
from checks.report import LOOKS_RETIRED
from monitor.drift import EventKind
from monitor.incidents.rules import Audience

ENDS = frozenset({EventKind.REGAINED, EventKind.EXCESS_GONE, EventKind.RECOVERED})
EXCESS = frozenset({EventKind.EXCESS_FOUND, EventKind.EXCESS_GONE})


@dataclass(frozen=True, slots=True)
class PendingCause:
    """A cause that is unsettled, or whose notice is held, with the facts of its event, tenant and credential.

    `last_checked_at` is None where no check of the credential will follow. `is_outdated` marks a beginning that is over
    without an end: the credential was removed, or the permission is declined or no longer asked for. `concerns_all`
    marks what a partner's client lost for all customers, `paused` that the tenant is. `held_in` is the held notice that
    reports it, `held_for` whom that is addressed to. `notified_in` is for an end only: the notice that reported the
    beginning to the same audience; None if nobody was notified, or the operator dropped that notice. `began_at` is when
    that beginning was first seen, if it is known.
    """

    id: int
    event_id: int
    audience: Audience
    brake_key: str
    created_at: datetime
    kind: EventKind
    tenant_id: str
    tenant_name: str
    csm_name: str | None
    csm_email: str | None
    removed_at: datetime | None
    credential_id: int
    credential_label: str
    credential_kind: str
    credential_grant: str | None
    permission_id: str | None
    permission_group: str | None
    permission_label: str | None
    mapping: str | None
    state: str | None
    detail: str
    seen_before: datetime | None
    first_seen: datetime | None
    at: datetime
    manifest_digest: str | None = None
    last_checked_at: datetime | None = None
    is_outdated: bool = False
    concerns_all: bool = False
    held_in: int | None = None
    held_for: str | None = None
    notified_in: int | None = None
    began_at: datetime | None = None
    paused: bool = False

    @property
    def is_away(self) -> bool:
        """The tenant was removed or is paused: nothing is sent about it before it is back."""
        return self.paused or self.removed_at is not None

    @property
    def is_end(self) -> bool:
        return self.kind in ENDS

    @property
    def is_retirement(self) -> bool:
        """The key became `retired`: what many others soon will, if Greenhouse switched off the API."""
        return self.kind is EventKind.CREDENTIAL_FAILED and self.state == CredentialState.RETIRED

    @property
    def looks_retired(self) -> bool:
        """The key may become `retired`: as with those that did, many others soon look like it."""
        return self.kind is EventKind.CREDENTIAL_FAILED and self.detail == LOOKS_RETIRED

    @property
    def subject(self) -> tuple[str, int, str]:
        """What an end must share with a beginning to cancel it."""
        aspect = "excess" if self.kind in EXCESS else "permission" if self.permission_id else "credential"
        return (self.audience, self.credential_id, f"{aspect}:{self.permission_id or ''}")


@dataclass(frozen=True, slots=True)
class StillMissing:
    """A permission of a credential whose CSM was notified that it is missing, and which still is.

    `notified` is the address that the email went to: the CSM's of then, or the operator's.
    """

    credential_id: int
    permission_id: str
    group: str
    label: str
    notified: str


@dataclass(frozen=True, slots=True)
class CancelledOut:
    """`remaining` causes are to be reported, in the order of their events; `suppressed` ones are not.

    `suppressed` maps a cause to the notice that reported the same before, if any.
    """

    remaining: tuple[PendingCause, ...]
    suppressed: Mapping[int, int | None]


def cancel_out(causes: Iterable[PendingCause]) -> CancelledOut:
    """Suppress what came and went unreported (lost then regained), what is so no longer, and the end of what was never
    reported.
    """
    by_subject = sorted(causes, key=attrgetter("subject", "event_id", "id"))
    remaining: list[PendingCause] = []
    suppressed: dict[int, int | None] = {}
    for _, of_one in groupby(by_subject, key=attrgetter("subject")):
        history = list(of_one)
        news = _news(history)
        remaining += news
        # A loss that only cancels a regain belongs to the notice of the first loss, so that its own end is reported.
        suppressed.update((cause.id, history[0].notified_in) for cause in history if cause not in news)
    return CancelledOut(tuple(sorted(remaining, key=attrgetter("event_id", "id"))), suppressed)


def _news(history: list[PendingCause]) -> list[PendingCause]:
    """Of the causes of one subject: the last one, if it differs from what its reader believes already."""
    first, last = history[0], history[-1]
    believed_broken = first.is_end and first.notified_in is not None
    if last.is_end:
        return [last] if believed_broken else []
    if last.is_outdated:
        return []
    # The subject of a credential leaves out its state: a new failure may be of another kind, so it is reported.
    if believed_broken and last.permission_id:
        return []
    return [last]
