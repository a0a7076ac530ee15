"""How what is known about one permission changes with one finding.

Missing takes two checks, granted takes one; two, where only introspection says that what was missing is back. What the
customer declines is known by name only, so that it begins without a past if it is required again. So does a permission
that the manifest asks for in another way: by another endpoint, or with other scopes. What is missing then is newly
required, because nobody took it away. What an earlier release decided by a rule that is gone is looked at again, and is
neither lost nor regained.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checks.credential import CredentialKind
from checks.judgement import GONE_RULES
from checks.report import Finding, Verdict
from monitor.drift.model import Event, EventKind, KnownCredential, KnownPermission

_SAID_BY_INTROSPECTION = "scope_carried"
# Not `writes_off` or `introspection_needed`: these may be asked again, so the last known state stays.
_NOTHING_TO_ASK = frozenset({"no_scope", "no_endpoint"})


@dataclass(frozen=True, slots=True)
class CheckTiming:
    """When a check was made, and the last full one before it; `baseline` until one was made with this secret.

    `interval` is how long a suspicion lasts that no check could settle. `kind` says whether a permission is asked about
    by its endpoint or by its scopes.
    """

    now: datetime
    last_full_at: datetime | None
    baseline: bool
    interval: timedelta
    kind: CredentialKind


def carried_over(permissions: Mapping[str, KnownPermission]) -> dict[str, KnownPermission]:
    """What a new secret inherits: what was missing, or was carried already."""
    kept = {id_: was for id_, was in permissions.items() if was.missing or was.carried}
    return {
        id_: KnownPermission(was.group, was.label, rule=was.rule, origin=_carried_origin(was), asked=was.asked)
        for id_, was in kept.items()
    }


def _carried_origin(was: KnownPermission) -> EventKind:
    # It decides who is notified of the end: of a loss the CSM, of anything else the operator.
    return EventKind.LOST if was.origin is EventKind.LOST else EventKind.FOUND


def change(
    known: Mapping[str, KnownPermission], findings: Iterable[Finding], timing: CheckTiming
) -> tuple[dict[str, KnownPermission], list[Event]]:
    """What is known now of exactly the permissions found, and what happened to them, in the order of the findings."""
    changed: dict[str, KnownPermission] = {}
    events = []
    for finding in findings:
        was = _by_rules_that_hold(_meant(known.get(finding.permission_id), finding, timing))
        changed[finding.permission_id], event = _seen(was, finding, timing)
        if event is not None:
            events.append(event)
    return changed, events


def timing_of(was: KnownCredential, now: datetime, interval: timedelta, kind: CredentialKind) -> CheckTiming:
    return CheckTiming(now, was.last_full_at, baseline=was.baseline_at is None, interval=interval, kind=kind)


def asked_for(finding: Finding, kind: CredentialKind) -> str:
    """Identifies what was asked for: the endpoint of a key, or the scopes of a client."""
    asked = " ".join(sorted(finding.scopes)) if kind is CredentialKind.HARVEST_OAUTH else finding.endpoint or ""
    return hashlib.sha256(asked.encode()).hexdigest()[:8]


def _meant(was: KnownPermission | None, finding: Finding, timing: CheckTiming) -> KnownPermission:
    """What is known of the permission as it is meant now; nothing, if the manifest asks for something else by its id.

    What an earlier release decided counts as asked for in the same way.
    """
    asked = asked_for(finding, timing.kind)
    if was is None or was.asked not in (None, asked):
        origin = None if timing.baseline else EventKind.NEWLY_REQUIRED
        return KnownPermission(finding.group, finding.label, origin=origin, asked=asked)
    return was if was.asked == asked else replace(was, asked=asked)


def _by_rules_that_hold(was: KnownPermission) -> KnownPermission:
    """Nothing decided, where an earlier release decided on less evidence. Its rule stays as the mark of that.

    What was missing is carried: who was notified of it is not notified again.
    """
    if was.verdict is None or was.rule not in GONE_RULES:
        return was
    origin = _carried_origin(was) if was.missing else None
    return KnownPermission(was.group, was.label, rule=was.rule, origin=origin, asked=was.asked)


def _seen(was: KnownPermission, finding: Finding, timing: CheckTiming) -> tuple[KnownPermission, Event | None]:
    if (was.group, was.label) != (finding.group, finding.label):
        was = replace(was, group=finding.group, label=finding.label)
    if finding.declined:
        return KnownPermission(finding.group, finding.label, asked=was.asked), None
    if finding.verdict is Verdict.GRANTED:
        return _granted(was, finding, timing)
    if finding.verdict is Verdict.MISSING:
        return _missing(was, finding, timing)
    return _left_open(was, finding, timing), None


def _granted(was: KnownPermission, finding: Finding, timing: CheckTiming) -> tuple[KnownPermission, Event | None]:
    if was.verdict is Verdict.GRANTED:
        # The same object where nothing changed, whatever vouches for it now: only what differs is written.
        if not _interrupted(was) and was.rule == finding.rule:
            return was, None
        known = replace(_settled(was), last_granted_at=timing.now) if _interrupted(was) else was
        return _with_evidence(replace(known, rule=finding.rule), finding, timing), None
    if was.missing and not was.suspect and finding.reason == _SAID_BY_INTROSPECTION:
        return replace(_decided(was), suspect_since=timing.now, suspect_looks=1), None
    first_seen = was.suspect_since if was.missing and was.suspect_since else timing.now
    known = KnownPermission(was.group, was.label, Verdict.GRANTED, rule=finding.rule, since=first_seen, asked=was.asked)
    known = _with_evidence(known, finding, timing)
    # By a rule that is gone it may never have been missing, so it is not back either.
    if not (was.missing or was.carried) or was.rule in GONE_RULES:
        return known, None
    seen_before = None if was.since is None else _last_seen_missing(was, timing)
    return known, _event(EventKind.REGAINED, finding, seen_before, first_seen, notified_as=was.origin)


def _last_seen_missing(was: KnownPermission, timing: CheckTiming) -> datetime | None:
    # While it is suspect, the last full check may be the one that saw it granted.
    if was.suspect or was.undecided_since is not None or timing.last_full_at is None or was.since is None:
        return was.since
    return max(was.since, timing.last_full_at)


def _missing(was: KnownPermission, finding: Finding, timing: CheckTiming) -> tuple[KnownPermission, Event | None]:
    if was.missing:
        return _settled(was), None
    # One that no check could settle for so long says nothing of when it went missing: this is a first sight again.
    if was.suspect_since is None or timing.now - was.suspect_since > timing.interval:
        suspect = replace(_decided(_leaving_granted(was, timing)), suspect_since=timing.now, suspect_looks=1)
        return _with_evidence(suspect, finding, timing), None
    kind = _kind_of_absence(was)
    notified_as = was.origin if was.carried else None
    event = _event(kind, finding, was.last_granted_at, was.suspect_since, notified_as=notified_as)
    known = replace(
        _settled(was), verdict=Verdict.MISSING, rule=finding.rule, since=was.suspect_since, origin=notified_as or kind
    )
    return _with_evidence(known, finding, timing), event


def _kind_of_absence(was: KnownPermission) -> EventKind:
    if was.verdict is Verdict.GRANTED:
        return EventKind.LOST
    return EventKind.NEWLY_REQUIRED if was.origin is EventKind.NEWLY_REQUIRED else EventKind.FOUND


def _left_open(was: KnownPermission, finding: Finding, timing: CheckTiming) -> KnownPermission:
    """Only the first reason of an undecided stretch is kept, so that a changing reason is not a row each time.

    What the manifest no longer asks anything for is forgotten, like what left it: its absence could never end.
    """
    if finding.reason in _NOTHING_TO_ASK and (was.missing or was.suspect or was.carried):
        was = KnownPermission(was.group, was.label, asked=was.asked)
    known = _leaving_granted(was, timing)
    if was.suspect:
        known = replace(known, suspect_looks=was.suspect_looks + 1)
    if was.undecided_as is finding.verdict:
        return known
    known = replace(
        known,
        undecided_since=was.undecided_since or timing.now,
        undecided_as=finding.verdict,
        undecided_reason=finding.reason,
    )
    # What is missing stays so for everybody, with what showed it.
    return known if was.missing else _with_evidence(known, finding, timing)


def _with_evidence(known: KnownPermission, finding: Finding, timing: CheckTiming) -> KnownPermission:
    return replace(
        known,
        answered_status=finding.answered_status,
        evidence=finding.evidence,
        more_evidence=finding.more_evidence,
        evidence_at=timing.now,
    )


def _leaving_granted(was: KnownPermission, timing: CheckTiming) -> KnownPermission:
    if was.verdict is not Verdict.GRANTED or _interrupted(was):
        return was
    seen = [moment for moment in (was.since, was.last_granted_at, timing.last_full_at) if moment is not None]
    return replace(was, last_granted_at=max(seen))


def _interrupted(was: KnownPermission) -> bool:
    """The last check did not show what is known about it."""
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
    notified_as: EventKind | None,
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
        notified_as=notified_as,
    )
