"""Checks of one credential in a row: when another follows, what it is limited to, and what all come to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.credential import CredentialState
from checks.report import CheckReport, Excess, Outcome, Verdict, WriteAlarm
from monitor.checking.confirmation import MOST_CHECKS, Confirmation
from tests.reports import DIGEST, KEY, POLICY, T0, failed, paused, served

LACKING = served({"jobs": "g", "offers": "m", "users": "m"})


def after(*reports: CheckReport) -> Confirmation:
    confirmation = Confirmation(POLICY)
    for report in reports:
        confirmation.add(report, KEY, T0)
    return confirmation


def an_alarm(endpoint: str) -> WriteAlarm:
    return WriteAlarm(endpoint, 200, T0, None, None, "all")


def verdicts(report: CheckReport) -> dict[str, Verdict]:
    return {finding.permission_id: finding.verdict for finding in report.findings}


# What the first check found, and whether it stands without a second.
STANDING = [
    (served({"jobs": "g"}), True),
    (served({"jobs": "u", "offers": "n"}), True),  # nothing is said to be missing
    (served({"jobs": "m"}, declined=["jobs"]), True),  # missing as agreed
    (failed(CredentialState.UNREACHABLE), True),
    (failed(CredentialState.MISCONFIGURED), True),
    (paused(), True),
    (served({"jobs": "m"}), False),
    (failed(CredentialState.INVALID), False),
    (failed(CredentialState.BLOCKED), False),
    (failed(CredentialState.RETIRED), False),
]


@pytest.mark.parametrize(("first", "stands"), STANDING)
def test_only_trouble_is_checked_twice(first: CheckReport, stands: bool) -> None:
    """What is missing, and a key that is refused, blocked or without an API; the rest stands at once."""
    assert after(first).in_doubt is not stands


def test_suspects_are_asked_alone_and_their_refusals_are_remembered() -> None:
    """The second check asks for what was missing and knows what was seen refused."""
    suspicion = after(LACKING).suspicion
    assert suspicion.only(KEY, DIGEST) == {"offers", "users"}
    assert suspicion.remembered(KEY) == {"GET /v1/offers", "GET /v1/users"}


@pytest.mark.parametrize("state", [CredentialState.INVALID, CredentialState.BLOCKED, CredentialState.RETIRED])
def test_a_key_that_failed_as_a_whole_is_asked_everything_again(state: CredentialState) -> None:
    """There are no suspects among the permissions, or none that may be asked about alone."""
    assert after(failed(state)).suspicion.only(KEY, DIGEST) is None
    assert after(LACKING, failed(state, partial=True)).suspicion.only(KEY, DIGEST) is None


# The first check, the second, and whether the second says enough about the first.
SETTLING = [
    (LACKING, served({"offers": "m", "users": "m"}, partial=True), True),
    (LACKING, served({"offers": "g", "users": "g"}, partial=True), True),
    (LACKING, failed(CredentialState.UNREACHABLE, partial=True), True),  # leaves it unconfirmed, which is an end
    (LACKING, failed(CredentialState.INVALID, partial=True), False),  # refused meanwhile: a new trouble
    (LACKING, failed(CredentialState.BLOCKED, partial=True), False),
    (LACKING, failed(CredentialState.RETIRED, partial=True), False),
    (failed(CredentialState.INVALID), failed(CredentialState.INVALID), True),
    (failed(CredentialState.INVALID), failed(CredentialState.BLOCKED), False),
    (failed(CredentialState.INVALID), served({"jobs": "g"}), True),
    (failed(CredentialState.BLOCKED), served({"jobs": "m"}), False),  # works again, and what it lacks was seen once
    (LACKING, paused(["offers", "users"], partial=True), True),  # leaves it unconfirmed
    (failed(CredentialState.BLOCKED), paused(), True),
    (failed(CredentialState.INVALID), paused(), True),
]


@pytest.mark.parametrize(("first", "second", "enough"), SETTLING)
def test_a_second_check_settles_only_what_the_first_one_saw(
    first: CheckReport, second: CheckReport, enough: bool
) -> None:
    """A key that changed between the checks was seen once in its new state, and once is not enough."""
    assert after(first, second).in_doubt is not enough


def test_there_is_an_end_to_checking() -> None:
    """A key that fails differently each time is checked four times: it may be refused, be replaced, lack something."""
    assert MOST_CHECKS == 4
    states = [CredentialState.INVALID, CredentialState.BLOCKED] * MOST_CHECKS
    assert after(*map(failed, states[: MOST_CHECKS - 1])).in_doubt
    assert not after(*map(failed, states[:MOST_CHECKS])).in_doubt


def test_a_second_check_of_suspects_decides_them_and_nothing_else() -> None:
    """One is missing twice, one was granted the second time; what was granted at first stays as it was."""
    both = after(LACKING, served({"offers": "m", "users": "g"}, partial=True)).report
    assert verdicts(both) == {"jobs": Verdict.GRANTED, "offers": Verdict.MISSING, "users": Verdict.GRANTED}
    assert (both.partial, both.outcome) == (False, Outcome.DRIFTED)


def test_a_suspect_that_the_second_check_cannot_decide_is_unconfirmed() -> None:
    """It is not said to be missing on the word of one check."""
    both = after(LACKING, served({"offers": "u", "users": "g"}, partial=True)).report
    [offers] = [finding for finding in both.findings if finding.permission_id == "offers"]
    assert (offers.verdict, offers.rule, offers.reason) == (Verdict.UNDECIDED, "V16", "unconfirmed")
    assert both.outcome is Outcome.UNDECIDED


def test_a_full_second_check_stands_for_itself() -> None:
    """Nothing of the first check's findings is mixed into it."""
    both = after(failed(CredentialState.INVALID), served({"jobs": "g", "offers": "g"})).report
    assert both.state is CredentialState.OK
    assert verdicts(both) == {"jobs": Verdict.GRANTED, "offers": Verdict.GRANTED}


def test_blocked_with_many_others_is_blocked() -> None:
    """Checks paused before the second check, because many are in such trouble: what the first one saw stands."""
    both = after(failed(CredentialState.BLOCKED), paused()).report
    assert (both.state, both.outcome, both.requests) == (CredentialState.BLOCKED, Outcome.FAILED, 2)


@pytest.mark.parametrize("state", [CredentialState.INVALID, CredentialState.RETIRED])
def test_any_other_state_is_not_confirmed_by_a_pause(state: CredentialState) -> None:
    """Seen once, and not checked again: undecided."""
    both = after(failed(state), paused()).report
    assert (both.paused, both.outcome) == (True, Outcome.UNDECIDED)


@pytest.mark.parametrize("partial", [True, False])
def test_what_all_checks_cost_and_raised_is_in_the_report(partial: bool) -> None:
    """Requests, seconds and alarms add up, and the check began when the first one did."""
    first = replace(LACKING, requests=40, duration_seconds=9.0, alarms=(an_alarm("one"),))
    later = replace(served({"offers": "m", "users": "m"}, partial=partial), started_at=T0 + timedelta(minutes=1))
    both = after(first, replace(later, requests=7, duration_seconds=1.0, alarms=(an_alarm("two"),))).report
    assert (both.requests, both.duration_seconds, both.started_at) == (47, 10.0, T0)
    assert [alarm.endpoint for alarm in both.alarms] == ["one", "two"]


@pytest.mark.parametrize("verdict", ["u", "n"])
def test_a_full_second_check_that_cannot_tell_leaves_open_what_was_seen_missing(verdict: str) -> None:
    """As where introspection failed the second time: that is no good news, and takes no excess back either."""
    excess = (Excess("Hire", "harvest:applications:hire", certain=True),)
    first = replace(LACKING, excess=excess, excess_is_whole=True)
    both = after(first, served({"jobs": "n", "offers": verdict, "users": "m"})).report
    assert verdicts(both) == {"jobs": "not_checkable", "offers": "undecided", "users": "missing"}
    assert {f.reason for f in both.findings if f.permission_id == "offers"} == {"unconfirmed"}
    assert both.excess == excess
