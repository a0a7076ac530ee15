"""How long tenants had every required permission, what they lost, and how soon it was back. Pure.

A tenant counts while it is healthy, drifted or failing. Statuses change with the check that confirms something, and so
do losses: what happened, happened at most the time to detect before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from monitor.drift import EventKind
from monitor.incidents.status import TenantStatus
from monitor.reporting.report_period import Period, TimeSpan
from monitor.reporting.tenant_page import DeclinedPermission

ZERO = timedelta(0)
BEGINNINGS = (EventKind.LOST, EventKind.FOUND, EventKind.NEWLY_REQUIRED, EventKind.CREDENTIAL_FAILED)
ENDS = (EventKind.REGAINED, EventKind.RECOVERED)
SEEN_TO_HAPPEN = (EventKind.LOST, EventKind.CREDENTIAL_FAILED)
"""The others lacked from the beginning: nobody lost anything, and there was nothing to detect."""

Changes = Iterable[tuple[datetime, str]]
"""A tenant's statuses in the order of time; the first is the one at the beginning of the span, if it was there."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long in each status, by its name. What is left of a span, the tenant was not there."""

    healthy: timedelta = ZERO
    drifted: timedelta = ZERO
    failing: timedelta = ZERO
    undecided: timedelta = ZERO
    new: timedelta = ZERO
    paused: timedelta = ZERO

    @classmethod
    def together(cls, several: Iterable["Times"]) -> "Times":
        found = list(several)
        return cls(*(sum((getattr(times, f.name) for times in found), ZERO) for f in fields(cls)))

    @property
    def counted(self) -> timedelta:
        return self.healthy + self.drifted + self.failing

    @property
    def there(self) -> timedelta:
        return self.counted + self.undecided + self.new + self.paused

    @property
    def share(self) -> float | None:
        """Of the time that counts, that with every required permission; None where no time counts."""
        return self.healthy / self.counted if self.counted else None

    def part(self, status: str) -> float:
        """Of all the time it was there."""
        spent: timedelta = getattr(self, status)
        return spent / self.there if self.there else 0.0


def times_in(span: TimeSpan, changes: Changes) -> Times:
    spent: dict[str, timedelta] = {}
    for (at, status), (until, _) in pairwise([*changes, (span.end, "")]):
        within = min(until, span.end) - max(at, span.begin)
        if status != TenantStatus.REMOVED and within > ZERO:
            spent[str(status)] = spent.get(status, ZERO) + within
    return Times(**spent)


class LossEvent(NamedTuple):
    """A drift event that begins or ends a loss.

    `closed_at` is when the incident was resolved or the credential removed: a loss can end without being restored.
    """

    tenant_id: str
    at: datetime
    kind: str
    credential_id: int
    permission_id: str | None
    seen_before: datetime | None
    first_seen: datetime | None
    permission_group: str | None
    permission_label: str | None
    credential_label: str
    state: str | None
    resolved_at: datetime | None
    removed_at: datetime | None

    @property
    def closed_at(self) -> datetime | None:
        return min((at for at in (self.resolved_at, self.removed_at) if at and at >= self.at), default=None)


class Ending(StrEnum):
    """How a loss stood at the end of the span. `closed`: no longer required, or no longer checked."""

    OPEN = "open"
    RESTORED = "restored"
    DECLINED = "declined"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Loss:
    """A permission, or a credential as a whole, from the check that confirmed its loss to `ended_at`, if it ended."""

    begun: LossEvent
    ending: Ending
    ended_at: datetime | None

    def lasted(self, end: datetime) -> timedelta:
        return (self.ended_at or end) - self.begun.at

    @property
    def to_detect(self) -> timedelta | None:
        """At most; None where nothing says that it was ever there."""
        begun = self.begun
        return begun.at - begun.seen_before if begun.kind in SEEN_TO_HAPPEN and begun.seen_before else None


def losses_in(
    span: TimeSpan, events: Iterable[LossEvent], declined: Mapping[str, DeclinedPermission]
) -> tuple[Loss, ...]:
    """Those that began within the span or lasted into it. The events are one tenant's, before its end, by time.

    A second beginning of what is lost already is none: a failing credential may fail in another way.
    """
    found: list[Loss] = []
    lost: dict[tuple[int, str | None], LossEvent] = {}
    for event in events:
        key = (event.credential_id, event.permission_id)
        before = lost.get(key)
        if before is not None and _is_over(before, event.at, declined):
            found.append(_not_restored(lost.pop(key), event.at, declined))
            before = None
        if event.kind not in ENDS:
            lost.setdefault(key, event)
        elif before is not None:
            found.append(Loss(lost.pop(key), Ending.RESTORED, event.at))
    found += [_not_restored(event, span.end, declined) for event in lost.values()]
    lasting = [loss for loss in found if loss.begun.at >= span.begin or (loss.ended_at or span.end) >= span.begin]
    return tuple(sorted(lasting, key=lambda loss: loss.begun.at))


def _is_over(begun: LossEvent, at: datetime, declined: Mapping[str, DeclinedPermission]) -> bool:
    return _not_restored(begun, at, declined).ended_at is not None


def _not_restored(begun: LossEvent, end: datetime, declined: Mapping[str, DeclinedPermission]) -> Loss:
    """How it stood at this end, if no check saw it restored."""
    entry = declined.get(begun.permission_id or "") or declined.get(begun.permission_label or "")
    closed = (begun.closed_at, Ending.CLOSED)
    refused = (_declined_at(entry.since, begun.at) if entry else None, Ending.DECLINED)
    known = [(at, ending) for at, ending in (closed, refused) if at is not None and at < end]
    ended_at, ending = min(known, default=(None, Ending.OPEN))
    return Loss(begun, ending, ended_at)


def _declined_at(since: date | None, lost_at: datetime) -> datetime:
    """From that day on, or from the beginning where no day is given."""
    return lost_at if since is None else max(lost_at, datetime.combine(since, time(), lost_at.tzinfo))


@dataclass(frozen=True, slots=True)
class Spread:
    """Lengths of time: how many, together, and the longest."""

    number: int = 0
    total: timedelta = ZERO
    longest: timedelta = ZERO

    @classmethod
    def of(cls, lengths: Iterable[timedelta]) -> "Spread":
        found = list(lengths)
        return cls(len(found), sum(found, ZERO), max(found, default=ZERO))

    def __add__(self, other: "Spread") -> "Spread":
        return Spread(self.number + other.number, self.total + other.total, max(self.longest, other.longest))

    @property
    def mean(self) -> timedelta | None:
        return self.total / self.number if self.number else None


@dataclass(frozen=True, slots=True)
class LossFigures:
    """`before` + `begun` = `restored` + `ended_otherwise` + `still_open`, each as a number of losses.

    `before` were open at the beginning. `permissions` and `credentials` were lost, `found` lacked at first sight or
    when they were newly required. `still_open` is as old as it was at the end.
    """

    before: int = 0
    permissions: int = 0
    credentials: int = 0
    found: int = 0
    ended_otherwise: int = 0
    detected: Spread = Spread()
    restored: Spread = Spread()
    still_open: Spread = Spread()

    def __add__(self, other: "LossFigures") -> "LossFigures":
        return LossFigures(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(LossFigures)))

    @property
    def lost(self) -> int:
        return self.permissions + self.credentials

    @property
    def begun(self) -> int:
        return self.lost + self.found


NO_LOSS = LossFigures()


def figures(span: TimeSpan, losses: Iterable[Loss]) -> LossFigures:
    of_span = list(losses)
    if not of_span:
        return NO_LOSS
    begun = [loss for loss in of_span if loss.begun.at >= span.begin]
    lost = sum(loss.begun.kind == EventKind.LOST for loss in begun)
    failed = sum(loss.begun.kind == EventKind.CREDENTIAL_FAILED for loss in begun)
    endings = [loss.ending for loss in of_span]
    return LossFigures(
        before=len(of_span) - len(begun),
        permissions=lost,
        credentials=failed,
        found=len(begun) - lost - failed,
        ended_otherwise=endings.count(Ending.DECLINED) + endings.count(Ending.CLOSED),
        detected=Spread.of(loss.to_detect for loss in begun if loss.to_detect is not None),
        restored=Spread.of(loss.lasted(span.end) for loss in of_span if loss.ending is Ending.RESTORED),
        still_open=Spread.of(loss.lasted(span.end) for loss in of_span if loss.ending is Ending.OPEN),
    )


@dataclass(frozen=True, slots=True)
class TenantCompliance:
    """`declined` is what the tenants file says now, by permission as it is named there."""

    id: str
    name: str
    times: Times
    figures: LossFigures
    declined: Mapping[str, DeclinedPermission]

    @property
    def rank(self) -> tuple[float, str]:
        """The least share first; those without a share last."""
        share = self.times.share
        return (2.0 if share is None else share, self.id)


@dataclass(frozen=True, slots=True)
class Covered:
    """What a report is about: `span` is the part of the period that is known, and `as_of` when that was read."""

    period: Period
    span: TimeSpan
    recorded_since: datetime
    as_of: datetime

    @property
    def is_running(self) -> bool:
        return self.span.end < self.period.whole.end

    @property
    def begins_late(self) -> bool:
        return self.span.begin > self.period.whole.begin


@dataclass(frozen=True, slots=True)
class TenantReport:
    covered: Covered
    tenant: TenantCompliance
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All tenants that were there, the least share first."""

    covered: Covered
    tenants: tuple[TenantCompliance, ...]
    times: Times
    figures: LossFigures
    counting: int
    complete: int
    losing: int

    @property
    def declined(self) -> int:
        return sum(len(tenant.declined) for tenant in self.tenants)


def report_of(covered: Covered, tenants: Iterable[TenantCompliance]) -> Report:
    """`counting` tenants have a share, `complete` ones never lacked anything, and `losing` ones lost something."""
    there = sorted((tenant for tenant in tenants if tenant.times.there), key=lambda tenant: tenant.rank)
    shares = [tenant.times.share for tenant in there]
    return Report(
        covered,
        tuple(there),
        times=Times.together(tenant.times for tenant in there),
        figures=sum((tenant.figures for tenant in there if tenant.figures is not NO_LOSS), NO_LOSS),
        counting=sum(share is not None for share in shares),
        complete=shares.count(1.0),
        losing=sum(tenant.figures.lost > 0 for tenant in there),
    )
