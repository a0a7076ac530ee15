"""What a look changes about the credential as a whole, and what a new secret does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.credential import CredentialState
from checks.report import Excess, Outcome
from monitor.drift import EventKind
from tests.reports import HOUR, KEY, MINUTE, OTHER_KEY, T0, failed, served
from tests.story import Story

OK, INVALID, BLOCKED = CredentialState.OK, CredentialState.INVALID, CredentialState.BLOCKED
RETIRED, UNREACHABLE, MISCONFIGURED = (
    CredentialState.RETIRED,
    CredentialState.UNREACHABLE,
    CredentialState.MISCONFIGURED,
)


@pytest.mark.parametrize("state", [INVALID, BLOCKED, RETIRED, UNREACHABLE])
def test_a_failing_state_needs_two_looks(state: CredentialState) -> None:
    """One failing look is a suspicion with a look to follow; the second in a row is an event."""
    story = Story()
    story.checks("g")
    assert story.check(failed(state)) == []
    assert (story.known.credential.state, story.check_again_in) == (OK, MINUTE)
    assert story.check(failed(state, "why")) == [f"credential_failed:{state}"]
    assert (story.event.detail, story.event.seen_before, story.event.first_seen) == ("why", T0, T0 + HOUR)
    assert story.check(failed(state)) == []
    assert story.known.outcome is Outcome.FAILED


def test_misconfigured_is_known_at_once() -> None:
    """An unresolvable reference is a fact about our own files: no second look, and no fingerprint to compare."""
    story = Story()
    story.checks("g")
    assert story.check(failed(MISCONFIGURED, "env:X is not set"), fingerprint=None) == [
        "credential_failed:misconfigured"
    ]
    assert story.known.credential.fingerprint == KEY
    assert story.check(served({"jobs": "g"})) == ["recovered:misconfigured"]


def test_a_credential_recovers_in_one_look() -> None:
    """The event says what it recovered from, and since when it was known to fail."""
    story = Story()
    story.checks("g")
    for _ in range(3):
        story.check(failed(INVALID))
    assert story.check(served({"jobs": "g"})) == ["recovered:invalid"]
    assert (story.event.seen_before, story.event.first_seen) == (T0 + 3 * HOUR, T0 + 4 * HOUR)
    assert story.event.told_as == INVALID


@pytest.mark.parametrize(
    ("states", "events"),
    [
        ([INVALID, OK, INVALID], []),  # not running
        ([INVALID, BLOCKED], []),  # each seen once
        ([INVALID, UNREACHABLE, INVALID], []),  # an outage between confirms nothing
        ([INVALID, UNREACHABLE, UNREACHABLE], [UNREACHABLE]),
        ([RETIRED, UNREACHABLE, RETIRED, RETIRED], [RETIRED]),
        ([BLOCKED, BLOCKED, INVALID, INVALID], [BLOCKED, INVALID]),  # from one failing state to another
        ([BLOCKED, BLOCKED, INVALID, BLOCKED, INVALID], [BLOCKED]),
        ([BLOCKED, MISCONFIGURED], [MISCONFIGURED]),
    ],
)
def test_the_same_failure_must_show_twice_running(states: list[CredentialState], events: list[CredentialState]) -> None:
    """A look that fails differently starts the suspicion anew."""
    story = Story()
    seen = [e for state in states for e in story.check(served({"jobs": "g"}) if state is OK else failed(state))]
    assert seen == [f"credential_failed:{state}" for state in events]


def test_failures_that_keep_changing_are_looked_at_less_and_less_often() -> None:
    """The looks in a row are counted whatever they failed with, and the suspicion is as old as the first."""
    story = Story()
    story.checks("g")
    for state in (INVALID, BLOCKED, INVALID):
        story.check(failed(state))
    assert story.check_again_in == 4 * MINUTE
    assert story.known.credential.suspect_since == T0 + HOUR


def test_a_failed_look_decides_nothing_on_permissions() -> None:
    """Neither a standing nor a suspicion against a permission changes while the credential fails."""
    story = Story()
    story.check(served({"jobs": "m", "offers": "g"}))
    before = story.known.permissions
    story.check(failed(UNREACHABLE))
    story.check(failed(UNREACHABLE))
    assert story.known.permissions == before
    assert story.check_again_in is None  # suspicions wait until it is served again
    assert story.check(served({"jobs": "m", "offers": "g"})) == ["recovered:unreachable", "found:jobs"]


def test_a_recovery_knows_that_it_was_invalid_in_between() -> None:
    """Whoever was told of `invalid` is told of the end, though the last failing state was another."""
    story = Story()
    for state in (INVALID, INVALID, UNREACHABLE, UNREACHABLE):
        story.check(failed(state))
    assert story.check(served({"jobs": "g"})) == ["recovered:unreachable"]
    assert story.event.told_as == INVALID
    assert not story.known.credential.was_invalid


# A new secret.


def test_a_new_secret_begins_a_baseline() -> None:
    """What lacks under a new secret is found, never lost: two looks, like any absence."""
    story = Story()
    story.checks("ggg")
    assert story.check(served({"jobs": "m"}), OTHER_KEY) == ["replaced:None"]
    assert story.known.credential.baseline_at == story.now
    assert story.check(served({"jobs": "m"}), OTHER_KEY) == ["found:jobs"]
    assert story.event.told_as is None


def test_the_first_secret_replaces_nothing() -> None:
    """There is no event for the first fingerprint ever seen."""
    assert Story().check(served({"jobs": "g"})) == []


def test_excess_and_suspicions_of_the_old_secret_are_forgotten() -> None:
    """The new secret answers for itself only."""
    story = Story()
    story.check(served({"jobs": "m"}, excess=[Excess("x", "GET /v1/x", True)]))
    story.check(failed(INVALID))
    story.check(failed(INVALID), OTHER_KEY)
    assert (story.known.permissions, story.known.excess) == ({}, {})
    assert (story.known.credential.state, story.known.credential.suspect_looks) == (OK, 1)
    assert story.change is not None
    assert story.change.replaced


@pytest.mark.parametrize(
    ("before", "told_as"),
    [
        ("gmm", EventKind.LOST),
        ("mm", EventKind.FOUND),
    ],
)
def test_an_absence_is_carried_over_to_a_new_secret(before: str, told_as: EventKind) -> None:
    """Missing under the old secret: it is found again, or regained, and either way it is known how it was told."""
    story = Story()
    story.checks(before)
    story.check(served({"jobs": "m"}), OTHER_KEY)
    assert (story.known.counts.missing, story.known.counts.carried) == (0, 1)
    assert story.check(served({"jobs": "m"}), OTHER_KEY) == ["found:jobs"]
    assert story.event.told_as == told_as
    assert story.check(served({"jobs": "g"}), OTHER_KEY) == ["regained:jobs"]
    assert story.event.told_as == told_as


def test_a_replacement_that_mends_is_a_regain() -> None:
    """Lost under the old secret, granted under the new one: the loss has its end."""
    story = Story()
    story.checks("gmm")
    assert story.check(served({"jobs": "g"}), OTHER_KEY) == ["replaced:None", "regained:jobs"]


def test_an_absence_is_carried_over_two_replacements() -> None:
    """A second new secret before anything was decided does not lose it."""
    story = Story()
    story.checks("gmm")
    story.check(failed(UNREACHABLE), OTHER_KEY)
    assert story.check(served({"jobs": "g"}), "c" * 16) == ["replaced:None", "regained:jobs"]


def test_a_look_at_suspects_with_a_new_secret_is_no_baseline() -> None:
    """The key was replaced between look and confirmation: a full look follows at once, and decides."""
    story = Story()
    story.check(served({"jobs": "m", "offers": "g"}))
    assert story.check(served({"jobs": "m"}, partial=True), OTHER_KEY) == ["replaced:None"]
    assert story.check_again_in == timedelta(0)
    assert story.known.permissions == {}
    assert story.known.credential.baseline_at is None


def test_refusals_are_remembered_of_looks_that_decide() -> None:
    """A look's refusals are controls for later ones; a failed look has none."""
    story = Story()
    story.check(served({"jobs": "m", "offers": "g"}))
    assert story.change is not None
    assert story.change.refused == {"GET /v1/jobs"}
    story.check(replace(failed(BLOCKED), refused=frozenset({"GET /v1/jobs"})))
    assert story.change.refused == frozenset()
