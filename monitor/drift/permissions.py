"""How one permission's standing turns under one finding.

Two looks make an absence, one makes a presence. What the customer declines is known by name only, so that it begins
without a past if it is required again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from checks.report import Finding, Verdict
from monitor.drift.model import Event, EventKind, KnownCredential, KnownPermission

_NEVER_TOLD = frozenset({"no_scope", "no_endpoint"})


@dataclass(frozen=True, slots=True)
class CheckTiming:
    """When a look was taken, and the last full one before it; `baseline` while none was taken under this secret."""

    now: datetime
    last_full_at: datetime | None
    baseline: bool


def carried_over(permissions: Mapping[str, KnownPermission]) -> dict[str, KnownPermission]:
    """What a new secret inherits: the absences that were told, or that were carried already."""
    kept = {id_: was for id_, was in permissions.items() if was.missing or was.carried}
    return {id_: KnownPermission(was.group, was.label, origin=_carried_origin(was)) for id_, was in kept.items()}


def _carried_origin(was: KnownPermission) -> EventKind:
    return EventKind.LOST if was.origin is EventKind.LOST else EventKind.FOUND


def turn(
    known: Mapping[str, KnownPermission], findings: Iterable[Finding], look: CheckTiming
) -> tuple[dict[str, KnownPermission], list[Event]]:
    """The standings of exactly the permissions found, and what happened to them, in the order of the findings."""
    standings: dict[str, KnownPermission] = {}
    events = []
    for finding in findings:
        was = known.get(finding.permission_id) or _unknown(finding, look)
        standings[finding.permission_id], event = _seen(was, finding, look)
        if event is not None:
            events.append(event)
    return standings, events


def looked_before(was: KnownCredential, now: datetime) -> CheckTiming:
    return CheckTiming(now=now, last_full_at=was.last_full_at, baseline=was.baseline_at is None)


def _unknown(finding: Finding, look: CheckTiming) -> KnownPermission:
    origin = None if look.baseline else EventKind.NEWLY_REQUIRED
    return KnownPermission(finding.group, finding.label, origin=origin)


def _seen(was: KnownPermission, finding: Finding, look: CheckTiming) -> tuple[KnownPermission, Event | None]:
    if (was.group, was.label) != (finding.group, finding.label):
        was = replace(was, group=finding.group, label=finding.label)
    if finding.declined:
        return KnownPermission(finding.group, finding.label), None
    if finding.verdict is Verdict.GRANTED:
        return _granted(was, finding, look)
    if finding.verdict is Verdict.MISSING:
        return _missing(was, finding, look)
    return _left_open(was, finding, look), None


def _granted(was: KnownPermission, finding: Finding, look: CheckTiming) -> tuple[KnownPermission, Event | None]:
    if was.verdict is Verdict.GRANTED:
        return (replace(_settled(was), last_granted_at=look.now) if _interrupted(was) else was), None
    standing = KnownPermission(was.group, was.label, Verdict.GRANTED, rule=finding.rule, since=look.now)
    if not (was.missing or was.carried):
        return standing, None
    seen_before = None if was.since is None else _last_seen_missing(was, look)
    return standing, _event(EventKind.REGAINED, finding, seen_before, look.now, told_as=was.origin)


def _last_seen_missing(was: KnownPermission, look: CheckTiming) -> datetime | None:
    if was.undecided_since is not None or look.last_full_at is None or was.since is None:
        return was.since
    return max(was.since, look.last_full_at)


def _missing(was: KnownPermission, finding: Finding, look: CheckTiming) -> tuple[KnownPermission, Event | None]:
    if was.missing:
        return _settled(was), None
    if not was.suspect:
        return replace(_decided(_leaving_granted(was, look)), suspect_since=look.now, suspect_looks=1), None
    kind = _kind_of_absence(was)
    told_as = was.origin if was.carried else None
    event = _event(kind, finding, was.last_granted_at, was.suspect_since, told_as=told_as)
    standing = replace(
        _settled(was), verdict=Verdict.MISSING, rule=finding.rule, since=was.suspect_since, origin=told_as or kind
    )
    return standing, event


def _kind_of_absence(was: KnownPermission) -> EventKind:
    if was.verdict is Verdict.GRANTED:
        return EventKind.LOST
    return EventKind.NEWLY_REQUIRED if was.origin is EventKind.NEWLY_REQUIRED else EventKind.FOUND


def _left_open(was: KnownPermission, finding: Finding, look: CheckTiming) -> KnownPermission:
    """Only the first reason of an open stretch is kept, so that a reason that keeps changing is not a row each time.

    What the manifest has nothing to ask for any more is forgotten like what left it: its absence could never end.
    """
    if finding.reason in _NEVER_TOLD and (was.missing or was.suspect or was.carried):
        was = KnownPermission(was.group, was.label)
    standing = _leaving_granted(was, look)
    if was.suspect:
        standing = replace(standing, suspect_looks=was.suspect_looks + 1)
    if was.undecided_as is finding.verdict:
        return standing
    return replace(
        standing,
        undecided_since=was.undecided_since or look.now,
        undecided_as=finding.verdict,
        undecided_reason=finding.reason,
    )


def _leaving_granted(was: KnownPermission, look: CheckTiming) -> KnownPermission:
    if was.verdict is not Verdict.GRANTED or _interrupted(was):
        return was
    seen = [moment for moment in (was.since, was.last_granted_at, look.last_full_at) if moment is not None]
    return replace(was, last_granted_at=max(seen))


def _interrupted(was: KnownPermission) -> bool:
    """The last look did not see what is known of it."""
    return was.suspect or was.undecided_since is not None


def _decided(was: KnownPermission) -> KnownPermission:
    return replace(was, undecided_since=None, undecided_as=None, undecided_reason=None)


def _settled(was: KnownPermission) -> KnownPermission:
    return replace(_decided(was), suspect_since=None, suspect_looks=0)


def _event(
    kind: EventKind,
    finding: Finding,
    seen_before: datetime | None,
    first_seen: datetime | None,
    told_as: EventKind | None,
) -> Event:
    return Event(
        kind,
        permission_id=finding.permission_id,
        group=finding.group,
        label=finding.label,
        mapping=finding.mapping,
        rule=finding.rule,
        seen_before=seen_before,
        first_seen=first_seen,
        told_as=told_as,
    )
