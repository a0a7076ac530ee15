"""How a credential's own state changes.

A credential that could not even be loaded is `misconfigured` for certain, and at once. Any other failing state holds
when two checks in a row show it: an answer may be another credential's, or of a moment. A check that fails differently
starts a new suspicion, because an outage must neither confirm an invalid key nor count as one. Back to ok needs one
check.

A retirement is final and does not hurry, and a maintenance looks the same: two checks make it `unreachable`, and only
what every check has seen for `retired_after` from then on makes it `retired`.

A new secret counts once it worked, or when two checks in a row read the same one: a file may be half written. What was
seen with another secret confirms nothing about this one.
"""

from dataclasses import replace
from datetime import datetime

from checks.credential import CredentialState
from checks.report import CheckReport
from monitor.drift.model import DriftPolicy, Event, EventKind, KnownCredential


def change(
    was: KnownCredential, report: CheckReport, fingerprint: str | None, now: datetime, policy: DriftPolicy
) -> tuple[KnownCredential, list[Event]]:
    """`fingerprint` is None where no secret could be loaded."""
    checked = replace(was, last_checked_at=now)
    if report.state is CredentialState.OK:
        return _served(checked, was, report, now)
    if report.looks_retired and was.state in (CredentialState.UNREACHABLE, CredentialState.RETIRED):
        return _looks_retired(checked, report, now, policy)
    # The same trouble with another detail is no second event.
    if report.state is was.state:
        return replace(_unsuspected(checked), detail=report.detail), []
    certain = report.state is CredentialState.MISCONFIGURED and fingerprint is None
    if certain or report.state is was.suspect_state:
        return _failed(checked, report, now)
    return _suspect(checked, report.state, now), []


def _looks_retired(
    was: KnownCredential, report: CheckReport, now: datetime, policy: DriftPolicy
) -> tuple[KnownCredential, list[Event]]:
    if was.state is CredentialState.RETIRED:
        return _unsuspected(was), []
    if was.suspect_state is not CredentialState.RETIRED or was.suspect_since is None:
        return replace(_suspect(_unsuspected(was), CredentialState.RETIRED, now), detail=report.detail), []
    if now - was.suspect_since < policy.retired_after:
        return replace(was, suspect_looks=was.suspect_looks + 1), []
    return _failed(was, replace(report, state=CredentialState.RETIRED, detail="api_retired"), now)


def counts(was: KnownCredential, report: CheckReport, fingerprint: str | None) -> bool:
    """The secret of this check is the credential's, and not perhaps a part of it that was being written."""
    known = (None, was.fingerprint, was.suspect_fingerprint)
    return report.state is CredentialState.OK or fingerprint in known


def of_secret(was: KnownCredential, fingerprint: str | None) -> KnownCredential:
    """Without the suspicion that another secret raised."""
    if fingerprint is None or fingerprint == (was.suspect_fingerprint or was.fingerprint):
        return was
    return replace(_unsuspected(was), suspect_fingerprint=None)


def with_unproven_secret(
    was: KnownCredential, report: CheckReport, fingerprint: str | None, now: datetime
) -> KnownCredential:
    """After a failing check whose secret does not count yet: nothing is certain."""
    checked = replace(was, last_checked_at=now, suspect_fingerprint=fingerprint)
    return checked if report.state is was.state else _suspect(checked, report.state, now)


def _served(
    checked: KnownCredential, was: KnownCredential, report: CheckReport, now: datetime
) -> tuple[KnownCredential, list[Event]]:
    known = _unsuspected(checked)
    if not report.partial:
        known = replace(
            known,
            last_full_at=now,
            baseline_at=was.baseline_at or now,
            manifest_digest=report.manifest_digest,
            state_since=was.state_since or now,
        )
    if was.state is CredentialState.OK:
        return known, []
    recovered = Event(
        EventKind.RECOVERED,
        state=was.state,
        detail=was.detail,
        seen_before=was.last_checked_at,
        first_seen=now,
        notified_as=_notified_as(was),
    )
    return replace(known, state=CredentialState.OK, detail="", state_since=now, was_invalid=False), [recovered]


def _notified_as(was: KnownCredential) -> str:
    """Readers notified of `invalid` are notified of its end, even if it failed in another way since."""
    if was.was_invalid:
        return CredentialState.INVALID
    return EventKind.FOUND if was.state is CredentialState.INVALID else was.state


def _failed(was: KnownCredential, report: CheckReport, now: datetime) -> tuple[KnownCredential, list[Event]]:
    first_seen = was.suspect_since if report.state is was.suspect_state else now
    # Of a secret that never worked, nobody can say that Greenhouse no longer accepts it: the operator stored it.
    never_worked = report.state is CredentialState.INVALID and was.baseline_at is None and not was.was_invalid
    failed = Event(
        EventKind.FOUND if never_worked else EventKind.CREDENTIAL_FAILED,
        state=report.state,
        detail=report.detail,
        # From one failing state to the next, nothing was seen to work in between.
        seen_before=was.last_full_at if was.state is CredentialState.OK else None,
        first_seen=first_seen,
    )
    known = replace(
        _unsuspected(was),
        state=report.state,
        detail=report.detail,
        state_since=first_seen,
        was_invalid=was.was_invalid or (report.state is CredentialState.INVALID and not never_worked),
    )
    # From here on the time runs after which it is not a maintenance.
    return _suspect(known, CredentialState.RETIRED, now) if report.looks_retired else known, [failed]


def _suspect(was: KnownCredential, state: CredentialState, now: datetime) -> KnownCredential:
    """`suspect_since` stays that of the first failing check, so that a state that keeps changing is seen to last."""
    return replace(
        was,
        suspect_state=state,
        suspect_since=was.suspect_since or now,
        suspect_looks=was.suspect_looks + 1,
    )


def _unsuspected(was: KnownCredential) -> KnownCredential:
    return replace(was, suspect_state=None, suspect_since=None, suspect_looks=0)
