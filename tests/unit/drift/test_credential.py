"""What a check changes about the credential as a whole, and what a new secret does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.credential import CredentialState
from checks.report import CheckReport, Excess, Outcome
from monitor.drift import EventKind, compare
from tests.check_sequence import CheckSequence
from tests.reports import HOUR, KEY, LOOKS_RETIRED, MINUTE, OTHER_KEY, POLICY, T0, failed, served

OK, INVALID, BLOCKED = CredentialState.OK, CredentialState.INVALID, CredentialState.BLOCKED
RETIRED, UNREACHABLE, MISCONFIGURED = (
    CredentialState.RETIRED,
    CredentialState.UNREACHABLE,
    CredentialState.MISCONFIGURED,
)


@pytest.mark.parametrize("state", [INVALID, BLOCKED, UNREACHABLE, MISCONFIGURED])
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


def looks(*minutes: int) -> tuple[CheckSequence, list[str]]:
    """A key that worked, then looked retired so many minutes after the first time; the events of all checks."""
    sequence = CheckSequence()
    sequence.checks("g")
    began = sequence.now + HOUR
    events = []
    for minute in minutes:
        sequence.now = began + minute * MINUTE - HOUR
        events += sequence.check(LOOKS_RETIRED)
    return sequence, events


def test_a_key_that_looks_retired_is_unreachable_until_an_hour_of_it_has_been_seen() -> None:
    """Two checks a minute apart cannot tell a retirement from a maintenance; the look that can is asked for."""
    sequence, events = looks(0, 1)
    assert events == ["credential_failed:unreachable"]
    assert (sequence.known.credential.state, sequence.known.credential.detail) == (UNREACHABLE, "looks_retired")
    assert sequence.check_again_in == HOUR
    sequence, events = looks(0, 1, 60)
    assert (events, sequence.check_again_in) == (["credential_failed:unreachable"], MINUTE)
    sequence, events = looks(0, 1, 61)
    assert events == ["credential_failed:unreachable", "credential_failed:retired"]
    assert (sequence.event.detail, sequence.event.first_seen) == ("api_retired", T0 + HOUR + MINUTE)
    known = sequence.known.credential
    assert (known.state, known.suspect_state, sequence.check_again_in) == (RETIRED, None, None)


def test_a_key_stays_retired_without_another_event() -> None:
    """And is back with one usable answer."""
    sequence, _ = looks(0, 1, 61)
    assert sequence.check(LOOKS_RETIRED) == []
    assert sequence.known.credential.state is RETIRED
    assert sequence.check(served({"jobs": "g"})) == ["recovered:retired"]


@pytest.mark.parametrize(
    "between",
    [
        failed(UNREACHABLE, "server_error"),
        failed(UNREACHABLE, "uniform_answer"),
        failed(BLOCKED, "unknown_refusal"),
        served({"jobs": "g"}),
    ],
)
def test_anything_else_in_between_starts_the_hour_over(between: CheckReport) -> None:
    """An outage before and after a maintenance page is no hour of it."""
    sequence, _ = looks(0, 1)
    sequence.now -= HOUR - MINUTE
    sequence.check(between)
    assert "credential_failed:retired" not in sequence.check(LOOKS_RETIRED)
    assert sequence.known.credential.state is not RETIRED


def test_an_outage_that_turns_into_a_page_counts_from_the_page_on() -> None:
    """The hours of the outage say nothing about a retirement."""
    sequence = CheckSequence()
    sequence.checks("g")
    for _ in range(3):
        sequence.check(failed(UNREACHABLE, "timeout"))
    assert sequence.check(LOOKS_RETIRED) == []
    assert sequence.check_again_in == HOUR
    assert sequence.check(LOOKS_RETIRED) == ["credential_failed:retired"]


@pytest.mark.parametrize("state", [INVALID, BLOCKED])
def test_a_key_that_failed_before_it_looks_retired_is_no_exception(state: CredentialState) -> None:
    """Two checks end the other state, and the hour runs from there."""
    sequence = CheckSequence()
    sequence.checks("g")
    sequence.check(failed(state))
    sequence.check(failed(state))
    assert sequence.check(LOOKS_RETIRED) == []
    assert sequence.check(LOOKS_RETIRED) == ["credential_failed:unreachable"]
    assert sequence.check(LOOKS_RETIRED) == ["credential_failed:retired"]


def test_the_hour_is_not_waited_for_longer_than_the_interval() -> None:
    """Checks go on as ever; only the verdict waits."""
    sequence, _ = looks(0, 1)
    known, now = sequence.known, sequence.now + MINUTE
    quick = replace(POLICY, interval=10 * MINUTE)
    change = compare(known, LOOKS_RETIRED, KEY, now, quick)
    assert (change.events, change.check_again_in) == ((), 10 * MINUTE)


def test_a_credential_that_cannot_be_loaded_is_misconfigured_at_once() -> None:
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
        ([BLOCKED, BLOCKED, INVALID, INVALID], [BLOCKED, INVALID]),  # one failing state after another
        ([BLOCKED, BLOCKED, INVALID, BLOCKED, INVALID], [BLOCKED]),
        ([BLOCKED, MISCONFIGURED], []),  # what an answer said may be a mix-up
        ([MISCONFIGURED, OK, MISCONFIGURED, MISCONFIGURED], [MISCONFIGURED]),
    ],
)
def test_the_same_failure_must_show_twice_in_a_row(
    states: list[CredentialState], events: list[CredentialState]
) -> None:
    """A check that fails differently starts the suspicion over."""
    sequence = CheckSequence()
    sequence.checks("g")
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
    sequence.checks("g")
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
    sequence.check(failed(BLOCKED), OTHER_KEY)
    sequence.check(failed(INVALID), OTHER_KEY)
    assert (sequence.known.permissions, sequence.known.excess) == ({}, {})
    assert (sequence.known.credential.state, sequence.known.credential.suspect_looks) == (OK, 2)
    assert sequence.change is not None
    assert sequence.change.replaced


# A secret that was read while it was being written.


def test_a_new_secret_that_does_not_work_counts_when_it_was_read_twice() -> None:
    """Once, it may be half written: nothing is replaced, and nothing about the old one is forgotten."""
    sequence = CheckSequence()
    sequence.checks("g")
    assert sequence.check(failed(INVALID), OTHER_KEY) == []
    known = sequence.known.credential
    assert (known.fingerprint, known.suspect_fingerprint, known.suspect_state) == (KEY, OTHER_KEY, INVALID)
    assert (sequence.known.counts.granted, sequence.check_again_in) == (1, MINUTE)
    assert sequence.check(failed(INVALID), OTHER_KEY) == ["replaced:None", "found:invalid"]
    known = sequence.known.credential
    assert (known.fingerprint, known.suspect_fingerprint, known.state) == (OTHER_KEY, None, INVALID)


@pytest.mark.parametrize("state", [INVALID, BLOCKED, UNREACHABLE, MISCONFIGURED])
def test_what_a_half_written_secret_showed_is_forgotten_once_the_old_one_is_read_again(state: CredentialState) -> None:
    """A permission lost meanwhile is lost, not found at first sight; nothing was replaced."""
    sequence = CheckSequence()
    sequence.checks("g")
    assert sequence.check(failed(state), "half") == []
    assert sequence.checks("mm") == ["lost:jobs"]
    assert (sequence.known.credential.fingerprint, sequence.known.credential.suspect_fingerprint) == (KEY, None)


def test_a_half_written_secret_confirms_nothing_about_the_whole_one() -> None:
    """Two failing checks of two secrets are two suspicions, and each dates from its own check."""
    sequence = CheckSequence()
    sequence.checks("g")
    assert [sequence.check(failed(INVALID), secret) for secret in ("half", KEY, "half", "other")] == [[]] * 4
    known = sequence.known.credential
    assert (known.state, known.suspect_looks, known.suspect_since) == (OK, 1, sequence.now)


def test_a_half_written_first_secret_is_not_remembered() -> None:
    """The whole one that follows replaces nothing."""
    sequence = CheckSequence()
    assert sequence.check(failed(INVALID), "half") == []
    assert sequence.check(served({"jobs": "g"})) == []
    assert sequence.known.credential.fingerprint == KEY


def test_a_secret_that_cannot_be_read_leaves_open_whether_another_is_there() -> None:
    """A check that read nothing says nothing about the secret that was read before it."""
    sequence = CheckSequence()
    sequence.checks("g")
    sequence.check(failed(INVALID), OTHER_KEY)
    sequence.check(failed(UNREACHABLE), fingerprint=None)
    assert sequence.known.credential.suspect_fingerprint == OTHER_KEY
    assert sequence.check(failed(INVALID), OTHER_KEY) == ["replaced:None"]


# A secret that never worked here.


def test_a_secret_that_never_worked_is_found_to_be_invalid() -> None:
    """Greenhouse cannot "no longer" accept it: who stored it is asked, on the first day and after a replacement."""
    first, later = CheckSequence(), CheckSequence()
    assert first.check(failed(INVALID)) + first.check(failed(INVALID)) == ["found:invalid"]
    later.checks("g")
    later.check(failed(INVALID), OTHER_KEY)
    assert later.check(failed(INVALID), OTHER_KEY) == ["replaced:None", "found:invalid"]


def test_the_recovery_of_a_secret_that_never_worked_goes_to_who_was_asked() -> None:
    """Nobody told the CSM that it was invalid."""
    sequence = CheckSequence()
    sequence.check(failed(INVALID))
    sequence.check(failed(INVALID))
    assert sequence.check(served({"jobs": "g"}), OTHER_KEY) == ["replaced:None", "recovered:invalid"]
    assert sequence.change is not None
    assert sequence.change.events[-1].notified_as == EventKind.FOUND


def test_a_wrong_secret_in_place_of_a_revoked_one_leaves_the_csm_with_the_revocation() -> None:
    """The CSM was told that it is invalid; a new secret that fails as well ends nothing and is told to nobody again."""
    sequence = CheckSequence()
    sequence.checks("g")
    sequence.check(failed(INVALID))
    assert sequence.check(failed(INVALID)) == ["credential_failed:invalid"]
    sequence.check(failed(INVALID), OTHER_KEY)
    assert sequence.check(failed(INVALID), OTHER_KEY) == ["replaced:None"]
    sequence.check(served({"jobs": "g"}), "c" * 16)
    assert sequence.change is not None
    assert sequence.change.events[-1].notified_as == INVALID


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
    assert sequence.check(failed(UNREACHABLE), OTHER_KEY) == ["replaced:None", "credential_failed:unreachable"]
    assert sequence.check(served({"jobs": "g"}), "c" * 16) == [
        "replaced:None",
        "recovered:unreachable",
        "regained:jobs",
    ]


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
