"""Repeated checks of one credential: when another one follows, what it asks, and what they report together."""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.credential import CredentialState
from checks.report import CheckReport, Excess, Outcome, Verdict, WriteAlarm
from monitor.checking.confirmation import MOST_CHECKS, Confirmation
from tests.reports import DIGEST, KEY, POLICY, T0, failed, paused, served

MISSING_TWO = served({"jobs": "g", "offers": "m", "users": "m"})


def after(*reports: CheckReport) -> Confirmation:
    confirmation = Confirmation(POLICY)
    for report in reports:
        confirmation.add(report, KEY, T0)
    return confirmation


def an_alarm(endpoint: str) -> WriteAlarm:
    return WriteAlarm(endpoint, 200, T0, None, None, "all")


def verdicts(report: CheckReport) -> dict[str, Verdict]:
    return {finding.permission_id: finding.verdict for finding in report.findings}


# What the first check found, and whether it counts without a second.
FIRST_CHECKS = [
    (served({"jobs": "g"}), True),
    (served({"jobs": "u", "offers": "n"}), True),  # nothing is missing
    (served({"jobs": "m"}, declined=["jobs"]), True),  # its absence is agreed
    (failed(CredentialState.UNREACHABLE), True),
    (failed(CredentialState.MISCONFIGURED), False),
    (paused(), True),
    (served({"jobs": "m"}), False),
    (failed(CredentialState.INVALID), False),
    (failed(CredentialState.BLOCKED), False),
    (failed(CredentialState.UNREACHABLE, "looks_retired"), True),  # only an hour would decide
]


@pytest.mark.parametrize(("first", "enough"), FIRST_CHECKS)
def test_only_bad_news_is_checked_twice(first: CheckReport, enough: bool) -> None:
    """A missing permission, and a key that is invalid, blocked or said to be another's; all else counts."""
    assert after(first).in_doubt is not enough


def test_suspects_are_asked_alone_and_their_refusals_are_remembered() -> None:
    """The second check asks only for what was missing, and knows what was refused."""
    suspicion = after(MISSING_TWO).suspicion
    assert suspicion.only(KEY, DIGEST) == {"offers", "users"}
    assert suspicion.remembered(KEY) == {"GET /v1/offers", "GET /v1/users"}


@pytest.mark.parametrize("state", [CredentialState.INVALID, CredentialState.BLOCKED])
def test_a_key_that_failed_as_a_whole_is_asked_everything_again(state: CredentialState) -> None:
    """No permission is suspect, or it is not enough to ask for suspects alone."""
    assert after(failed(state)).suspicion.only(KEY, DIGEST) is None
    assert after(MISSING_TWO, failed(state, partial=True)).suspicion.only(KEY, DIGEST) is None


# The first check, the second, and whether the two are enough.
SECOND_CHECKS = [
    (MISSING_TWO, served({"offers": "m", "users": "m"}, partial=True), True),
    (MISSING_TWO, served({"offers": "g", "users": "g"}, partial=True), True),
    (MISSING_TWO, failed(CredentialState.UNREACHABLE, partial=True), True),  # it stays unconfirmed, which is final
    (MISSING_TWO, failed(CredentialState.INVALID, partial=True), False),  # refused meanwhile: something new
    (MISSING_TWO, failed(CredentialState.BLOCKED, partial=True), False),
    (MISSING_TWO, failed(CredentialState.UNREACHABLE, "looks_retired", partial=True), True),
    (failed(CredentialState.INVALID), failed(CredentialState.INVALID), True),
    (failed(CredentialState.INVALID), failed(CredentialState.BLOCKED), False),
    (failed(CredentialState.INVALID), served({"jobs": "g"}), True),
    (
        failed(CredentialState.BLOCKED),
        served({"jobs": "m"}),
        False,
    ),  # works again, and its missing permission was seen once
    (MISSING_TWO, paused(["offers", "users"], partial=True), True),  # it stays unconfirmed
    (failed(CredentialState.BLOCKED), paused(), True),
    (failed(CredentialState.INVALID), paused(), True),
]


@pytest.mark.parametrize(("first", "second", "enough"), SECOND_CHECKS)
def test_a_second_check_confirms_only_what_the_first_one_saw(
    first: CheckReport, second: CheckReport, enough: bool
) -> None:
    """If the key changed between the checks, its new state was seen only once."""
    assert after(first, second).in_doubt is not enough


def test_the_number_of_checks_is_limited() -> None:
    """A key that fails differently each time is checked four times: it may be refused, be replaced, lack something."""
    assert MOST_CHECKS == 4
    states = [CredentialState.INVALID, CredentialState.BLOCKED] * MOST_CHECKS
    assert after(*map(failed, states[: MOST_CHECKS - 1])).in_doubt
    assert not after(*map(failed, states[:MOST_CHECKS])).in_doubt


def test_a_second_check_of_suspects_decides_them_and_nothing_else() -> None:
    """One is missing twice, one is granted the second time; what was granted at first stays granted."""
    both = after(MISSING_TWO, served({"offers": "m", "users": "g"}, partial=True)).report
    assert verdicts(both) == {"jobs": Verdict.GRANTED, "offers": Verdict.MISSING, "users": Verdict.GRANTED}
    assert (both.partial, both.outcome) == (False, Outcome.DRIFTED)


def test_a_suspect_that_the_second_check_cannot_decide_is_unconfirmed() -> None:
    """One check alone does not make it missing."""
    both = after(MISSING_TWO, served({"offers": "u", "users": "g"}, partial=True)).report
    [offers] = [finding for finding in both.findings if finding.permission_id == "offers"]
    assert (offers.verdict, offers.rule, offers.reason) == (Verdict.UNDECIDED, "V16", "unconfirmed")
    assert both.outcome is Outcome.UNDECIDED


def test_a_full_second_check_replaces_the_first() -> None:
    """None of the first check's findings is merged into it."""
    both = after(failed(CredentialState.INVALID), served({"jobs": "g", "offers": "g"})).report
    assert both.state is CredentialState.OK
    assert verdicts(both) == {"jobs": Verdict.GRANTED, "offers": Verdict.GRANTED}


@pytest.mark.parametrize("state", [CredentialState.INVALID, CredentialState.BLOCKED])
def test_no_state_is_confirmed_by_a_pause(state: CredentialState) -> None:
    """It was seen once and not checked again: undecided. What others met, and paused for, may be something else."""
    both = after(failed(state), paused()).report
    assert (both.paused, both.outcome) == (True, Outcome.UNDECIDED)


@pytest.mark.parametrize("partial", [True, False])
def test_the_report_has_the_cost_and_the_alarms_of_all_checks(partial: bool) -> None:
    """Requests, seconds and alarms add up, and the report starts when the first check started."""
    first = replace(MISSING_TWO, requests=40, duration_seconds=9.0, alarms=(an_alarm("one"),))
    later = replace(served({"offers": "m", "users": "m"}, partial=partial), started_at=T0 + timedelta(minutes=1))
    both = after(first, replace(later, requests=7, duration_seconds=1.0, alarms=(an_alarm("two"),))).report
    assert (both.requests, both.duration_seconds, both.started_at) == (47, 10.0, T0)
    assert [alarm.endpoint for alarm in both.alarms] == ["one", "two"]


@pytest.mark.parametrize("verdict", ["u", "n"])
def test_a_full_second_check_that_decides_nothing_leaves_what_was_missing_unconfirmed(verdict: str) -> None:
    """As when introspection fails the second time: that is no good news, and removes no excess either."""
    excess = (Excess("Hire", "harvest:applications:hire", certain=True),)
    first = replace(MISSING_TWO, excess=excess, excess_is_whole=True)
    both = after(first, served({"jobs": "n", "offers": verdict, "users": "m"})).report
    assert verdicts(both) == {"jobs": "not_checkable", "offers": "undecided", "users": "missing"}
    assert {f.reason for f in both.findings if f.permission_id == "offers"} == {"unconfirmed"}
    assert both.excess == excess
