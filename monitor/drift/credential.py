"""How a credential's own state turns.

`misconfigured` is known for certain and holds at once. Any other failing state holds when two looks running show it:
a look that fails differently starts the suspicion anew, because an outage must neither confirm an invalid key nor
count as one. Back to ok needs one look.
"""

from dataclasses import replace
from datetime import datetime

from checks.credential import CredentialState
from checks.report import CheckReport
from monitor.drift.model import Event, EventKind, KnownCredential


def turn(was: KnownCredential, report: CheckReport, now: datetime) -> tuple[KnownCredential, list[Event]]:
    looked = replace(was, last_checked_at=now)
    if report.state is CredentialState.OK:
        return _served(looked, was, report, now)
    if report.state is was.state:
        return replace(_unsuspected(looked), detail=report.detail), []
    if report.state is CredentialState.MISCONFIGURED or report.state is was.suspect_state:
        return _failed(looked, report, now)
    return _suspect(looked, report.state, now), []


def _served(
    looked: KnownCredential, was: KnownCredential, report: CheckReport, now: datetime
) -> tuple[KnownCredential, list[Event]]:
    standing = _unsuspected(looked)
    if not report.partial:
        standing = replace(
            standing,
            last_full_at=now,
            baseline_at=was.baseline_at or now,
            manifest_digest=report.manifest_digest,
            state_since=was.state_since or now,
        )
    if was.state is CredentialState.OK:
        return standing, []
    recovered = Event(
        EventKind.RECOVERED,
        state=was.state,
        detail=was.detail,
        seen_before=was.last_checked_at,
        first_seen=now,
        told_as=CredentialState.INVALID if was.was_invalid else was.state,
    )
    return replace(standing, state=CredentialState.OK, detail="", state_since=now, was_invalid=False), [recovered]


def _failed(was: KnownCredential, report: CheckReport, now: datetime) -> tuple[KnownCredential, list[Event]]:
    first_seen = was.suspect_since if report.state is was.suspect_state else now
    failed = Event(
        EventKind.CREDENTIAL_FAILED,
        state=report.state,
        detail=report.detail,
        seen_before=was.last_full_at if was.state is CredentialState.OK else None,
        first_seen=first_seen,
    )
    standing = replace(
        _unsuspected(was),
        state=report.state,
        detail=report.detail,
        state_since=first_seen,
        was_invalid=was.was_invalid or report.state is CredentialState.INVALID,
    )
    return standing, [failed]


def _suspect(was: KnownCredential, state: CredentialState, now: datetime) -> KnownCredential:
    """`suspect_since` stays that of the first failing look, so that a state that keeps changing is seen to last."""
    return replace(
        was,
        suspect_state=state,
        suspect_since=was.suspect_since or now,
        suspect_looks=was.suspect_looks + 1,
    )


def _unsuspected(was: KnownCredential) -> KnownCredential:
    return replace(was, suspect_state=None, suspect_since=None, suspect_looks=0)
