"""The causes a composer reads, and what is left of them once opposite ones have cancelled each other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from monitor.drift import EventKind
from monitor.incidents.rules import Audience

ENDS = frozenset({EventKind.REGAINED, EventKind.EXCESS_GONE, EventKind.RECOVERED})
EXCESS = frozenset({EventKind.EXCESS_FOUND, EventKind.EXCESS_GONE})


@dataclass(frozen=True, slots=True)
class PendingCause:
    """A cause that is unsettled, or whose notice is held, with the facts of its event, tenant and credential.

    `held_in` is the held notice that speaks for it. `told_by` is for an end only: the notice that told its audience
    of the beginning; null when nobody was told, or the operator dropped the notice.
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
    removed: bool
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
    held_in: int | None = None
    told_by: int | None = None

    @property
    def is_end(self) -> bool:
        return self.kind in ENDS

    @property
    def subject(self) -> tuple[str, int, str]:
        """What an end must share with a beginning to cancel it."""
        aspect = "excess" if self.kind in EXCESS else "permission" if self.permission_id else "credential"
        return (self.audience, self.credential_id, f"{aspect}:{self.permission_id or ''}")


@dataclass(frozen=True, slots=True)
class CancelledOut:
    """`standing` is to be told, in the order of the events; `silent` is not.

    It maps a cause to the notice that had told its reader the same before, if any.
    """

    standing: tuple[PendingCause, ...]
    silent: Mapping[int, int | None]


def cancel_out(causes: Iterable[PendingCause]) -> CancelledOut:
    """What cancelled itself meanwhile is silent: lost then regained, failed then recovered, ends nobody waits for."""
    by_subject = sorted(causes, key=attrgetter("subject", "event_id", "id"))
    standing: list[PendingCause] = []
    silent: dict[int, int | None] = {}
    for _, one_subject in groupby(by_subject, key=attrgetter("subject")):
        turns = list(one_subject)
        stands = _what_stands(turns)
        standing += stands
        silent.update((cause.id, turns[0].told_by) for cause in turns if cause not in stands)
    return CancelledOut(tuple(sorted(standing, key=attrgetter("event_id", "id"))), silent)


def _what_stands(turns: list[PendingCause]) -> list[PendingCause]:
    """Of the turns of one subject: the last one, where it differs from what its reader believes already."""
    first, last = turns[0], turns[-1]
    believed_broken = first.is_end and first.told_by is not None
    if last.is_end:
        return [last] if believed_broken else []
    if believed_broken and last.permission_id:
        return []
    return [last]
