"""What a look at a credential changes: (what is known, report, now) -> what is known now, and the events: pure.

1. A new fingerprint starts over: nothing of the old secret is kept, except that what was missing is *carried*, so that
   its end can be told to whoever was told of its beginning.
2. The credential's own state turns (`drift.credential`). A look in which it failed decides nothing on permissions.
3. Permissions turn (`drift.permissions`). A full look forgets, without an event, what the manifest no longer holds. A
   look at suspects only that was taken with a new secret is no baseline: it decides nothing, and a full one follows.
4. Excess turns (`drift.excess`), in full looks only.

A check that was paused is no look: nothing is known by it, and it is made again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from checks.credential import CredentialState
from checks.report import CheckReport
from monitor.checking.schedule import back_off
from monitor.drift import credential, excess, permissions
from monitor.drift.model import (
    DriftPolicy,
    Event,
    EventKind,
    Known,
    KnownExcess,
    KnownPermission,
)

_Standing = TypeVar("_Standing", KnownPermission, KnownExcess)


@dataclass(frozen=True, slots=True)
class Change:
    """What one look came to. `look_again` is how soon a suspicion asks for the next look; None if nothing does.

    `refused` are endpoints to remember as refused under the present fingerprint; `replaced` voids those remembered.
    """

    known: Known
    events: tuple[Event, ...]
    refused: frozenset[str]
    replaced: bool
    look_again: timedelta | None


def compare(known: Known, report: CheckReport, fingerprint: str | None, now: datetime, policy: DriftPolicy) -> Change:
    """`fingerprint` is that of the secret looked with; None, where it could not be resolved, replaces nothing."""
    if report.paused:
        return Change(known, events=(), refused=frozenset(), replaced=False, look_again=timedelta(0))
    replaced = known.credential.fingerprint is not None and fingerprint not in (None, known.credential.fingerprint)
    events = []
    if replaced:
        events.append(_replaced(known.credential.fingerprint, fingerprint, now))
        known = _started_over(known)
    standing, happened = credential.turn(known.credential, report, now)
    events += happened
    after = replace(known, credential=replace(standing, fingerprint=fingerprint or standing.fingerprint))
    served = report.state is CredentialState.OK
    too_narrow = served and replaced and report.partial
    decides = served and not too_narrow
    if decides:
        after, happened = _permissions_and_excess(known, after, report, now)
        events += happened
    return Change(
        known=after,
        events=tuple(events),
        refused=report.refused if decides else frozenset(),
        replaced=replaced,
        look_again=timedelta(0) if too_narrow else _look_again(after, report, policy),
    )


def difference(
    before: Mapping[str, _Standing], after: Mapping[str, _Standing]
) -> tuple[dict[str, _Standing], frozenset[str]]:
    """What has to be written to get from one to the other, and what has to go."""
    written = {key: standing for key, standing in after.items() if before.get(key) != standing}
    return written, frozenset(before.keys() - after.keys())


def _replaced(old: str | None, new: str | None, now: datetime) -> Event:
    return Event(EventKind.REPLACED, detail=f"{old} -> {new}", first_seen=now)


def _started_over(known: Known) -> Known:
    """A suspicion against the old secret is none against the new one; a confirmed failing state stands until a look."""
    fresh = replace(
        known.credential,
        suspect_state=None,
        suspect_since=None,
        suspect_looks=0,
        baseline_at=None,
        last_full_at=None,
        manifest_digest=None,
    )
    return Known(fresh, permissions.carried_over(known.permissions))


def _permissions_and_excess(
    before: Known, after: Known, report: CheckReport, now: datetime
) -> tuple[Known, list[Event]]:
    look = permissions.looked_before(before.credential, now)
    standings, events = permissions.turn(before.permissions, report.findings, look)
    if report.partial:
        return replace(after, permissions={**before.permissions, **standings}), events
    found, happened = excess.turn(before.excess, report, now)
    return replace(after, permissions=standings, excess=found), events + happened


def _look_again(known: Known, report: CheckReport, policy: DriftPolicy) -> timedelta | None:
    """The nearest of all suspicions; those against permissions wait while the credential fails."""
    standing = known.credential
    if standing.suspect_state is not None:
        looks = [standing.suspect_looks]
    elif report.state is CredentialState.OK:
        looks = [permission.suspect_looks for permission in known.permissions.values() if permission.suspect]
    else:
        looks = []
    return back_off(min(looks), policy.confirm_after, policy.interval) if looks else None
