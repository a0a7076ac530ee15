"""What happened to one tenant over time, as spans by group of permissions: pure. How they are drawn is the page's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

from monitor.drift import EventKind, KnownPermission
from monitor.incidents.history_queries import PastEvent


class SpanKind(StrEnum):
    MISSING = "missing"
    SUSPECT = "suspect"
    UNDECIDED = "undecided"
    DECLINED = "declined"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Span:
    """`end` is None while it lasts. `what` is a permission's label, or the state of a credential."""

    kind: SpanKind
    begin: datetime
    end: datetime | None
    what: str


@dataclass(frozen=True, slots=True)
class Band:
    """A group of permissions, or a credential as a whole. `asked` is False for a feature the tenant does not have."""

    name: str
    spans: tuple[Span, ...] = ()
    asked: bool = True


@dataclass(frozen=True, slots=True)
class IncidentSpan:
    number: int
    opened_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class SentEmail:
    """`status` is the notice's; `at` is when it was sent, or written."""

    number: int
    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CheckedDay:
    """`answered` are the checks that Greenhouse served."""

    day: date
    checks: int
    answered: int


@dataclass(frozen=True, slots=True)
class Timeline:
    begin: datetime
    now: datetime
    bands: tuple[Band, ...]
    incidents: tuple[IncidentSpan, ...] = ()
    emails: tuple[SentEmail, ...] = ()
    days: tuple[CheckedDay, ...] = ()
    checks: tuple[datetime, ...] = ()

    @property
    def spans(self) -> list[tuple[Band, Span]]:
        """Newest first."""
        found = [(band, span) for band in self.bands for span in band.spans]
        return sorted(found, key=lambda one: one[1].begin, reverse=True)


@dataclass(frozen=True, slots=True)
class CredentialPast:
    """What is known of one credential: permissions by id as they are now, and its events in the order of time."""

    label: str
    permissions: Mapping[str, KnownPermission]
    events: Sequence[PastEvent]
    declined: Mapping[str, date | None] = field(default_factory=dict)
    failing_since: datetime | None = None
    state: str = "ok"


_BEGINS = (EventKind.LOST, EventKind.FOUND, EventKind.NEWLY_REQUIRED)


def bands_of(
    past: CredentialPast, groups: Iterable[str], not_asked: Iterable[str], begin: datetime
) -> tuple[Band, ...]:
    """One for the credential as a whole, then one for each group of its manifest, in the manifest's order."""
    by_group: dict[str, list[Span]] = {}
    events = sorted((e for e in past.events if e.permission_id), key=attrgetter("permission_id"))
    by_permission = {key: list(of_one) for key, of_one in groupby(events, key=attrgetter("permission_id"))}
    for key, known in past.permissions.items():
        spans = [*_missing(known, by_permission.get(key, []), past, begin), *_now(key, known, past, begin)]
        by_group.setdefault(known.group, []).extend(spans)
    credential = Band(past.label, tuple(_failing(past, begin)))
    unasked = frozenset(not_asked)
    return (credential, *(Band(name, tuple(by_group.get(name, ())), name not in unasked) for name in groups))


def _missing(
    known: KnownPermission, events: Sequence[PastEvent], past: CredentialPast, begin: datetime
) -> Iterable[Span]:
    opened: datetime | None = None
    for event in events:
        if event.kind in _BEGINS and not event.state:
            opened = opened or event.first_seen or event.at
        elif event.kind == EventKind.REGAINED:
            yield Span(SpanKind.MISSING, opened or begin, event.at, known.label)
            opened = None
    if known.missing:
        yield Span(SpanKind.MISSING, max(begin, opened or known.since or begin), None, known.label)
    elif opened is not None:
        yield Span(SpanKind.MISSING, opened, _until(opened, known, past), known.label)


def _until(opened: datetime, known: KnownPermission, past: CredentialPast) -> datetime | None:
    """It is not missing any more, without an event: the secret was replaced, or it is declined or not asked for."""
    replaced = [e.at for e in past.events if e.kind == EventKind.REPLACED and e.at >= opened]
    if replaced:
        return replaced[0]
    return known.since if known.since is not None and known.since >= opened else opened + timedelta(days=1)


def _now(key: str, known: KnownPermission, past: CredentialPast, begin: datetime) -> Iterable[Span]:
    if known.suspect_since is not None:
        yield Span(SpanKind.SUSPECT, max(begin, known.suspect_since), None, known.label)
    if known.open and known.undecided_since is not None:
        yield Span(SpanKind.UNDECIDED, max(begin, known.undecided_since), None, known.label)
    for name in (key, known.label):
        if name in past.declined:
            since = past.declined[name]
            at = begin if since is None else datetime(since.year, since.month, since.day, tzinfo=begin.tzinfo)
            yield Span(SpanKind.DECLINED, max(begin, at), None, known.label)
            return


def _failing(past: CredentialPast, begin: datetime) -> Iterable[Span]:
    opened: tuple[datetime, str] | None = None
    for event in past.events:
        if event.permission_id:
            continue
        if event.kind in (EventKind.CREDENTIAL_FAILED, EventKind.FOUND):
            opened = opened or (event.first_seen or event.at, event.state or "failing")
        elif event.kind == EventKind.RECOVERED:
            at, state = opened or (begin, event.state or "failing")
            yield Span(SpanKind.MISSING, at, event.at, state)
            opened = None
    if past.failing_since is not None:
        at, state = opened or (past.failing_since, past.state)
        yield Span(SpanKind.MISSING, max(begin, at), None, past.state if past.state != "ok" else state)
