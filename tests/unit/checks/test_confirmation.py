"""Two looks at one key: when the second is taken, whether it settles anything, and what both come to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.check_request import CheckRequest
from checks.confirmation import second_look, settles, together
from checks.credential import CredentialState
from checks.manifest import load
from checks.report import CheckReport, Excess, Outcome, Verdict, WriteAlarm
from tests.reports import T0, failed, paused, served

QUESTION = CheckRequest(load("gem"), remembered=frozenset({"GET /v1/old"}))
LACKING = served({"jobs": "g", "offers": "m", "users": "m"})


def an_alarm(endpoint: str) -> WriteAlarm:
    return WriteAlarm(endpoint, 200, T0, None, None, "all")


def verdicts(report: CheckReport) -> dict[str, Verdict]:
    return {finding.permission_id: finding.verdict for finding in report.findings}


# What the first look found, and whether it stands without a second.
STANDING = [
    (served({"jobs": "g"}), True),
    (served({"jobs": "u", "offers": "n"}), True),  # nothing is said to be missing
    (served({"jobs": "m"}, declined=["jobs"]), True),  # missing as agreed
    (failed(CredentialState.UNREACHABLE), True),
    (failed(CredentialState.MISCONFIGURED), True),
    (served({"jobs": "m"}), False),
    (failed(CredentialState.INVALID), False),
    (failed(CredentialState.BLOCKED), False),
    (failed(CredentialState.RETIRED), False),
]


@pytest.mark.parametrize(("first", "stands"), STANDING)
def test_only_trouble_is_looked_at_twice(first: CheckReport, stands: bool) -> None:
    """What is missing, and a key that is refused, blocked or without an API; the rest stands at once."""
    assert (second_look(QUESTION, first) is None) is stands


def test_suspects_are_asked_alone_and_their_refusals_are_remembered() -> None:
    """The second look asks for what was missing and knows what was seen refused; the tenant's question stays."""
    again = second_look(QUESTION, LACKING)
    remembered = {"GET /v1/old", "GET /v1/offers", "GET /v1/users"}
    assert again == replace(QUESTION, only=frozenset({"offers", "users"}), remembered=frozenset(remembered))


@pytest.mark.parametrize("state", [CredentialState.INVALID, CredentialState.BLOCKED, CredentialState.RETIRED])
def test_a_key_that_failed_as_a_whole_is_asked_everything_again(state: CredentialState) -> None:
    """There are no suspects among the permissions: the question is put as it was."""
    assert second_look(QUESTION, failed(state)) is QUESTION


# The first look, the second, and whether the second says enough about the first.
SETTLING = [
    (LACKING, served({"offers": "m", "users": "m"}, partial=True), True),
    (LACKING, served({"offers": "g", "users": "g"}, partial=True), True),
    (LACKING, failed(CredentialState.UNREACHABLE, partial=True), True),  # leaves it unconfirmed, which is an end
    (LACKING, failed(CredentialState.INVALID, partial=True), False),  # refused meanwhile: a new trouble
    (LACKING, failed(CredentialState.BLOCKED, partial=True), False),
    (LACKING, failed(CredentialState.RETIRED, partial=True), False),
    (failed(CredentialState.INVALID), failed(CredentialState.INVALID), True),
    (failed(CredentialState.INVALID), failed(CredentialState.BLOCKED), False),
    (failed(CredentialState.INVALID), served({"jobs": "g"}), False),
    (failed(CredentialState.BLOCKED), served({"jobs": "m"}), False),  # works again, and what it lacks was seen once
    (LACKING, paused(["offers", "users"], partial=True), True),  # leaves it unconfirmed
    (failed(CredentialState.BLOCKED), paused(), True),
    (failed(CredentialState.INVALID), paused(), False),
]


@pytest.mark.parametrize(("first", "second", "enough"), SETTLING)
def test_a_second_look_settles_only_what_the_first_one_saw(
    first: CheckReport, second: CheckReport, enough: bool
) -> None:
    """A key that turned between the looks has been seen once in its new state, and once is not enough."""
    assert settles(first, second) is enough


def test_a_second_look_at_suspects_decides_on_them_and_on_nothing_else() -> None:
    """One is missing twice, one was granted the second time; what was granted at first stays as it was."""
    both = together(LACKING, served({"offers": "m", "users": "g"}, partial=True))
    assert verdicts(both) == {"jobs": Verdict.GRANTED, "offers": Verdict.MISSING, "users": Verdict.GRANTED}
    assert (both.partial, both.outcome) == (False, Outcome.DRIFTED)


def test_a_suspect_that_the_second_look_can_not_decide_is_unconfirmed() -> None:
    """It is not said to be missing on the word of one look."""
    both = together(LACKING, served({"offers": "u", "users": "g"}, partial=True))
    [offers] = [finding for finding in both.findings if finding.permission_id == "offers"]
    assert (offers.verdict, offers.reason) == (Verdict.UNDECIDED, "unconfirmed")
    assert both.outcome is Outcome.UNDECIDED


def test_a_full_second_look_stands_for_itself() -> None:
    """Nothing of the first look's findings is mixed into it."""
    both = together(failed(CredentialState.INVALID), served({"jobs": "g", "offers": "m"}))
    assert both.state is CredentialState.OK
    assert verdicts(both) == {"jobs": Verdict.GRANTED, "offers": Verdict.MISSING}


def test_blocked_with_many_others_is_blocked() -> None:
    """Checks paused before the second look, because many are in such trouble: what the first one saw stands."""
    both = together(failed(CredentialState.BLOCKED), paused())
    assert (both.state, both.outcome, both.requests) == (CredentialState.BLOCKED, Outcome.FAILED, 2)


@pytest.mark.parametrize("state", [CredentialState.INVALID, CredentialState.RETIRED])
def test_any_other_state_is_not_confirmed_by_a_pause(state: CredentialState) -> None:
    """Seen once, and not looked at again: undecided."""
    both = together(failed(state), paused())
    assert (both.paused, both.outcome) == (True, Outcome.UNDECIDED)


@pytest.mark.parametrize("partial", [True, False])
def test_what_both_looks_cost_and_raised_is_in_the_report(partial: bool) -> None:
    """Requests, seconds and alarms add up, and the check began when the first look did."""
    first = replace(LACKING, requests=40, duration_seconds=9.0, alarms=(an_alarm("one"),))
    later = replace(served({"offers": "m", "users": "m"}, partial=partial), started_at=T0 + timedelta(minutes=1))
    both = together(first, replace(later, requests=7, duration_seconds=1.0, alarms=(an_alarm("two"),)))
    assert (both.requests, both.duration_seconds, both.started_at) == (47, 10.0, T0)
    assert [alarm.endpoint for alarm in both.alarms] == ["one", "two"]


@pytest.mark.parametrize("verdict", ["u", "n"])
def test_a_full_second_look_that_can_not_tell_leaves_open_what_was_seen_missing(verdict: str) -> None:
    """As where introspection failed the second time: that is no good news, and takes no excess back either."""
    excess = (Excess("Hire", "harvest:applications:hire", certain=True),)
    first = replace(LACKING, excess=excess, excess_is_whole=True)
    both = together(first, served({"jobs": "n", "offers": verdict, "users": "m"}))
    assert verdicts(both) == {"jobs": "not_checkable", "offers": "undecided", "users": "missing"}
    assert {f.reason for f in both.findings if f.permission_id == "offers"} == {"unconfirmed"}
    assert both.excess == excess
