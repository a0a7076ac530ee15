"""The list of notices: which are wanted, and what a row says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice, PastAction
from monitor.reporting.sentence import PermissionLabel, Piece, Sentence, listed, say

_NAMED = 2


@dataclass(frozen=True, slots=True)
class NoticeFilter:
    """None leaves an aspect open. `tenant` is an id or part of a name, `reader` part of an address or a CSM's name.

    `burst` asks for the notices that report one change of many tenants.
    """

    status: Status | None = None
    tenant: str | None = None
    reader: str | None = None
    burst: int | None = None

    @property
    def is_open(self) -> bool:
        return self == NoticeFilter(status=self.status)


class NoticePlace(NamedTuple):
    """A row's place in the list, in which held notices come first: where the next page begins."""

    held: bool
    id: int


@dataclass(frozen=True, slots=True)
class NoticeNews:
    """What a notice reports, `times` over: a change of a permission, by its `label`, or to a `state`."""

    kind: EventKind
    label: str | None
    state: str | None
    times: int


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """`csm_name` is the reader's, if that is the CSM whom the tenants file names now."""

    notice: ListedNotice
    tenant_name: str | None
    csm_name: str | None
    news: tuple[NoticeNews, ...] = ()
    last_action: PastAction | None = None

    @property
    def place(self) -> NoticePlace:
        return NoticePlace(self.notice.status == Status.HELD, self.notice.id)

    @property
    def reason(self) -> Sentence:
        return reason_of(self.news, self.notice.why)

    @property
    def ended_by_itself(self) -> bool:
        """Dropped, and not by an operator: nothing was left to report, or a newer notice reports it."""
        return self.notice.status == Status.DROPPED and self.last_action is None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The notices on which an operator can act, and since when the oldest of them waits."""

    numbers: tuple[int, ...] = ()
    readers: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ActionResult:
    """An operator's action as it was recorded, with how many notices it changed."""

    done: PastAction
    changed: int

    def said(self, asked: int) -> str:
        """In one sentence; `asked` is for how many the operator meant it."""
        word = PAST[self.done.action]
        missed = asked - self.changed
        if missed <= 0:
            return f"{self.changed:,} {word}."
        was = "was" if missed == 1 else "were"
        before = "failed" if word == "retried" else "held"
        return f"{self.changed:,} of {asked:,} {word}; {missed:,} {was} no longer {before}."


PAST = {"notices release": "released", "notices drop": "dropped", "notices retry": "retried"}
"""What was done, by the action's name in the log."""


def acted_on(shown: Status | None) -> Status | None:
    """Which notices of a list with this status an operator can act on."""
    return shown if shown in (Status.HELD, Status.FAILED) else Status.HELD if shown is None else None


def reader_name(audience: str, recipient: str, csm_name: str | None, csm_email: str | None) -> str | None:
    """The CSM's name, unless the notice went to somebody else."""
    is_csm = audience == Audience.CSM and csm_email is not None and recipient.lower() == csm_email.lower()
    return csm_name if is_csm else None


def reason_of(news: Sequence[NoticeNews], why: str) -> Sentence:
    """Why a notice was written; `why` speaks for one that reports no event."""
    if not news:
        return say(why)
    alike: dict[tuple[EventKind, bool], list[NoticeNews]] = {}
    for one in news:
        alike.setdefault((one.kind, one.label is None), []).append(one)
    parts = [_alike(kind, together) for (kind, _), together in alike.items()]
    return say(*(piece for place, part in enumerate(parts) for piece in [*(["; "] if place else []), *part]))


def _alike(kind: EventKind, news: Sequence[NoticeNews]) -> list[Piece]:
    if news[0].label is None:
        return [", ".join(_OF_CREDENTIAL[kind].format(one.state or "unknown") for one in news)]
    named: list[Piece] = [PermissionLabel(one.label or "") for one in news[:_NAMED]]
    more = len(news) - _NAMED
    return [f"{_OF_PERMISSION[kind]} ", *listed([*named, *([f"{more:,} more"] if more > 0 else [])])]


_OF_PERMISSION = {
    EventKind.LOST: "lost",
    EventKind.FOUND: "found missing:",
    EventKind.REGAINED: "restored:",
    EventKind.NEWLY_REQUIRED: "newly required:",
    EventKind.EXCESS_FOUND: "not asked for, and granted:",
    EventKind.EXCESS_GONE: "not asked for, and no longer granted:",
}
_OF_CREDENTIAL = {
    EventKind.FOUND: "a secret that never worked is {}",
    EventKind.CREDENTIAL_FAILED: "credential is {}",
    EventKind.RECOVERED: "credential works again after {}",
    EventKind.REPLACED: "secret was replaced",
}
