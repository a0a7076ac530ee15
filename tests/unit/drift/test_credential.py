"""What a check changes about the credential as a whole, and what a new secret does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.credential import CredentialState
from checks.report import Excess, Outcome
from monitor.drift import EventKind
from tests.check_sequence import CheckSequence
from tests.reports import HOUR, KEY, MINUTE, OTHER_KEY, T0, failed, served

OK, INVALID, BLOCKED = CredentialState.OK, CredentialState.INVALID, CredentialState.BLOCKED
RETIRED, UNREACHABLE, MISCONFIGURED = (
    CredentialState.RETIRED,
    CredentialState.UNREACHABLE,
    CredentialState.MISCONFIGURED,
)


@pytest.mark.parametrize("state", [INVALID, BLOCKED, RETIRED, UNREACHABLE])
def test_a_failing_state_needs_two_checks(state: CredentialState) -> None:
    """One failing check is a suspicion and asks for another check; the second in a row is an event."""
    sequence = CheckSequence()
    sequence.checks("g")
    assert sequence.check(failed(state)) == []
    assert (sequence.known.credential.state, sequence.check_again_in) == (OK, MINUTE)
    assert sequence.check(failed(state, "why")) == [f"credential_failed:{state}"]
    assert (sequence.event.detail, sequence.event.seen_before, sequence.event.first_seen) == ("why", T0, T0 + HOUR)
    assert sequence.check(failed(state)) == []
    assert sequence.known.outcome is Outcome.FAILED


def test_misconfigured_is_known_at_once() -> None:
    """An unresolvable reference is certain: it needs no second check, and there is no fingerprint to compare."""
    sequence = CheckSequence()
    sequence.checks("g")
    assert sequence.check(failed(MISCONFIGURED, "env:X is not set"), fingerprint=None) == [
        "credential_failed:misconfigured"
    ]
    assert sequence.known.credential.fingerprint == KEY
    assert sequence.check(served({"jobs": "g"})) == ["recovered:misconfigured"]


def test_a_credential_recovers_in_one_check() -> None:
    """The event says from which state, and its window begins at the last failing check."""
    sequence = CheckSequence()
    sequence.checks("g")
    for _ in range(3):
        sequence.check(failed(INVALID))
    assert sequence.check(served({"jobs": "g"})) == ["recovered:invalid"]
    assert (sequence.event.seen_before, sequence.event.first_seen) == (T0 + 3 * HOUR, T0 + 4 * HOUR)
    assert sequence.event.notified_as == INVALID


@pytest.mark.parametrize(
    ("states", "events"),
    [
        ([INVALID, OK, INVALID], []),  # not two in a row
        ([INVALID, BLOCKED], []),  # each seen once
        ([INVALID, UNREACHABLE, INVALID], []),  # an outage in between confirms nothing
        ([INVALID, UNREACHABLE, UNREACHABLE], [UNREACHABLE]),
        ([RETIRED, UNREACHABLE, RETIRED, RETIRED], [RETIRED]),
        ([BLOCKED, BLOCKED, INVALID, INVALID], [BLOCKED, INVALID]),  # one failing state after another
        ([BLOCKED, BLOCKED, INVALID, BLOCKED, INVALID], [BLOCKED]),
        ([BLOCKED, MISCONFIGURED], [MISCONFIGURED]),
    ],
)
def test_the_same_failure_must_show_twice_in_a_row(
    states: list[CredentialState], events: list[CredentialState]
) -> None:
    """A check that fails differently starts the suspicion over."""
    sequence = CheckSequence()
    seen = [e for state in states for e in sequence.check(served({"jobs": "g"}) if state is OK else failed(state))]
    assert seen == [f"credential_failed:{state}" for state in events]


def test_a_credential_that_keeps_failing_differently_is_checked_less_and_less_often() -> None:
    """All failing checks in a row are counted, and the suspicion dates from the first."""
    sequence = CheckSequence()
    sequence.checks("g")
    for state in (INVALID, BLOCKED, INVALID):
        sequence.check(failed(state))
    assert sequence.check_again_in == 4 * MINUTE
    assert sequence.known.credential.suspect_since == T0 + HOUR


def test_a_failed_check_decides_nothing_about_permissions() -> None:
    """Neither the state of a permission nor a suspicion changes while the credential fails."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "m", "offers": "g"}))
    before = sequence.known.permissions
    sequence.check(failed(UNREACHABLE))
    sequence.check(failed(UNREACHABLE))
    assert sequence.known.permissions == before
    assert sequence.check_again_in is None  # suspicions wait until the credential works again
    assert sequence.check(served({"jobs": "m", "offers": "g"})) == ["recovered:unreachable", "found:jobs"]


def test_a_recovery_remembers_that_the_credential_was_invalid() -> None:
    """Everybody notified of `invalid` is notified of the recovery, even if the last failing state was another."""
    sequence = CheckSequence()
    for state in (INVALID, INVALID, UNREACHABLE, UNREACHABLE):
        sequence.check(failed(state))
    assert sequence.check(served({"jobs": "g"})) == ["recovered:unreachable"]
    assert sequence.event.notified_as == INVALID
    assert not sequence.known.credential.was_invalid


# A new secret.


def test_a_new_secret_starts_a_baseline() -> None:
    """What is missing under a new secret is found, never lost; like any loss it needs two checks."""
    sequence = CheckSequence()
    sequence.checks("ggg")
    assert sequence.check(served({"jobs": "m"}), OTHER_KEY) == ["replaced:None"]
    assert sequence.known.credential.baseline_at == sequence.now
    assert sequence.check(served({"jobs": "m"}), OTHER_KEY) == ["found:jobs"]
    assert sequence.event.notified_as is None


def test_the_first_secret_replaces_nothing() -> None:
    """The first fingerprint ever seen has no event."""
    assert CheckSequence().check(served({"jobs": "g"})) == []


def test_excess_and_suspicions_of_the_old_secret_are_forgotten() -> None:
    """Nothing seen with the old secret is known of the new one."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "m"}, excess=[Excess("x", "GET /v1/x", True)]))
    sequence.check(failed(INVALID))
    sequence.check(failed(INVALID), OTHER_KEY)
    assert (sequence.known.permissions, sequence.known.excess) == ({}, {})
    assert (sequence.known.credential.state, sequence.known.credential.suspect_looks) == (OK, 1)
    assert sequence.change is not None
    assert sequence.change.replaced


@pytest.mark.parametrize(
    ("before", "notified_as"),
    [
        ("gmm", EventKind.LOST),
        ("mm", EventKind.FOUND),
    ],
)
def test_a_missing_permission_is_carried_over_to_a_new_secret(before: str, notified_as: EventKind) -> None:
    """Missing under the old secret: it is found or regained, and the event knows how it was notified before."""
    sequence = CheckSequence()
    sequence.checks(before)
    sequence.check(served({"jobs": "m"}), OTHER_KEY)
    assert (sequence.known.counts.missing, sequence.known.counts.carried) == (0, 1)
    assert sequence.check(served({"jobs": "m"}), OTHER_KEY) == ["found:jobs"]
    assert sequence.event.notified_as == notified_as
    assert sequence.check(served({"jobs": "g"}), OTHER_KEY) == ["regained:jobs"]
    assert sequence.event.notified_as == notified_as


def test_a_new_secret_that_has_the_lost_permission_is_a_regain() -> None:
    """Lost under the old secret, granted under the new one."""
    sequence = CheckSequence()
    sequence.checks("gmm")
    assert sequence.check(served({"jobs": "g"}), OTHER_KEY) == ["replaced:None", "regained:jobs"]


def test_a_missing_permission_is_carried_over_two_replacements() -> None:
    """It is kept even if a second new secret comes before anything is decided about the first."""
    sequence = CheckSequence()
    sequence.checks("gmm")
    sequence.check(failed(UNREACHABLE), OTHER_KEY)
    assert sequence.check(served({"jobs": "g"}), "c" * 16) == ["replaced:None", "regained:jobs"]


def test_a_check_of_suspects_with_a_new_secret_is_no_baseline() -> None:
    """The key was replaced between check and confirmation: a full check follows at once and decides."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "m", "offers": "g"}))
    assert sequence.check(served({"jobs": "m"}, partial=True), OTHER_KEY) == ["replaced:None"]
    assert sequence.check_again_in == timedelta(0)
    assert sequence.known.permissions == {}
    assert sequence.known.credential.baseline_at is None


def test_only_checks_that_decide_have_refusals_to_remember() -> None:
    """The refusals of a check are controls for later ones; a failed check has none."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "m", "offers": "g"}))
    assert sequence.change is not None
    assert sequence.change.refused == {"GET /v1/jobs"}
    sequence.check(replace(failed(BLOCKED), refused=frozenset({"GET /v1/jobs"})))
    assert sequence.change.refused == frozenset()
