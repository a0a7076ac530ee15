"""What a check changes: (what is known, report, now) -> what is known now, and the events: pure.

1. A new fingerprint, once it counts (`drift.credential`), starts over: nothing about the old secret is kept, except
   that what was missing is *carried*, so that those who were notified of it are notified of its end.
2. The credential's own state changes (`drift.credential`). A check in which it failed decides no permission.
3. Permissions change (`drift.permissions`). A full check forgets, without an event, what the manifest no longer has. A
   check of suspects with a new secret is no baseline: it decides nothing, and a full one follows. What the manifest
   now asks for in another way starts over.
4. Excess changes (`drift.excess`), in full checks only.

A paused check says nothing, and is repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from checks.credential import CredentialKind, CredentialState
from checks.report import CheckReport
from monitor.drift import credential, excess, permissions
from monitor.drift.model import (
    DriftPolicy,
    Event,
    EventKind,
    Known,
    KnownCredential,
    KnownExcess,
    KnownPermission,
)
from monitor.drift.suspicion import back_off

_Known = TypeVar("_Known", KnownPermission, KnownExcess)


@dataclass(frozen=True, slots=True)
class Change:
    """What one check came to. `check_again_in` is how soon a suspicion asks for the next check; None if nothing does.

    `refused` are endpoints to remember as refused under the present fingerprint; `replaced` voids those remembered.
    """

    known: Known
    events: tuple[Event, ...]
    refused: frozenset[str]
    replaced: bool
    check_again_in: timedelta | None


def compare(
    known: Known,
    report: CheckReport,
    fingerprint: str | None,
    now: datetime,
    policy: DriftPolicy,
    kind: CredentialKind = CredentialKind.HARVEST_KEY,
) -> Change:
    """`fingerprint` is that of the secret; None, where it could not be loaded, replaces nothing."""
    if report.paused:
        return Change(known, events=(), refused=frozenset(), replaced=False, check_again_in=timedelta(0))
    counts = credential.counts(known.credential, report, fingerprint)
    known = replace(known, credential=credential.of_secret(known.credential, fingerprint))
    if not counts:
        return _of_unproven_secret(known, report, fingerprint, now, policy)
    replaced = known.credential.fingerprint is not None and fingerprint not in (None, known.credential.fingerprint)
    events = []
    if replaced:
        events.append(_replaced(known.credential.fingerprint, fingerprint, now))
        known = _started_over(known)
    now_known, happened = credential.change(known.credential, report, fingerprint, now, policy)
    events += happened
    after = replace(known, credential=_with_secret(now_known, fingerprint))
    served = report.state is CredentialState.OK
    too_narrow = served and replaced and report.partial
    decides = served and not too_narrow
    if decides:
        after, happened = _permissions_and_excess(
            known, after, report, permissions.timing_of(known.credential, now, policy.interval, kind)
        )
        events += happened
    return Change(
        known=after,
        events=tuple(events),
        refused=report.refused if decides else frozenset(),
        replaced=replaced,
        check_again_in=timedelta(0)
        if too_narrow
        else _soonest(_check_again_in(after, report, now, policy), events, policy),
    )


def difference(before: Mapping[str, _Known], after: Mapping[str, _Known]) -> tuple[dict[str, _Known], frozenset[str]]:
    """What has to be written to get from one to the other, and what has to go."""
    written = {key: known for key, known in after.items() if before.get(key) != known}
    return written, frozenset(before.keys() - after.keys())


def _of_unproven_secret(
    known: Known, report: CheckReport, fingerprint: str | None, now: datetime, policy: DriftPolicy
) -> Change:
    suspected = credential.with_unproven_secret(known.credential, report, fingerprint, now)
    known = replace(known, credential=suspected)
    again = _check_again_in(known, report, now, policy)
    return Change(known, events=(), refused=frozenset(), replaced=False, check_again_in=again)


def _with_secret(now_known: KnownCredential, fingerprint: str | None) -> KnownCredential:
    if fingerprint is None:
        return now_known
    return replace(now_known, fingerprint=fingerprint, suspect_fingerprint=None)


def _replaced(old: str | None, new: str | None, now: datetime) -> Event:
    return Event(EventKind.REPLACED, detail=f"{old} -> {new}", first_seen=now)


def _started_over(known: Known) -> Known:
    """A confirmed failing state stands, and so does a suspicion, which is about the new secret."""
    fresh = replace(
        known.credential,
        baseline_at=None,
        last_full_at=None,
        manifest_digest=None,
    )
    # Excess goes without an event: it was the old secret's.
    return Known(fresh, permissions.carried_over(known.permissions))


def _permissions_and_excess(
    before: Known, after: Known, report: CheckReport, timing: permissions.CheckTiming
) -> tuple[Known, list[Event]]:
    changed, events = permissions.change(before.permissions, report.findings, timing)
    if report.partial:
        return replace(after, permissions={**before.permissions, **changed}), events
    found, happened = excess.change(before.excess, report, timing.now)
    return replace(after, permissions=changed, excess=found), events + happened


def _soonest(suspicion: timedelta | None, events: list[Event], policy: DriftPolicy) -> timedelta | None:
    """What the customer is to be asked for is looked at once more before, since somebody may repair it meanwhile."""
    asked = any(
        event.kind is EventKind.LOST
        or (event.kind is EventKind.CREDENTIAL_FAILED and event.state is CredentialState.INVALID)
        for event in events
    )
    again = policy.look_again_after if asked else None
    return min((wait for wait in (suspicion, again) if wait is not None), default=None)


def _check_again_in(known: Known, report: CheckReport, now: datetime, policy: DriftPolicy) -> timedelta | None:
    """For the nearest of all suspicions; those about permissions wait while the credential fails."""
    since = known.credential.suspect_since
    if known.credential.suspect_state is CredentialState.RETIRED and since is not None:
        return min(since + policy.retired_after - now, policy.interval)
    if known.credential.suspect_state is not None:
        checks = [known.credential.suspect_looks]
    elif report.state is CredentialState.OK:
        checks = [permission.suspect_looks for permission in known.permissions.values() if permission.suspect]
    else:
        checks = []
    # The smallest: a new suspicion does not wait for one that has backed off.
    return back_off(min(checks), policy.confirm_after, policy.interval) if checks else None
