"""The state of a key as a whole: revoked, blocked, retired, Greenhouse down, or ok."""

from datetime import UTC, datetime

import pytest

from checks.answer import Answer, AnswerKind
from checks.credential import CredentialState
from checks.v1.key_state import RETIRED_AFTER, looks_retired, state_of

BEFORE = datetime(2026, 8, 31, 23, 59, tzinfo=UTC)
AFTER = datetime(2026, 11, 23, tzinfo=UTC)
KNOWN_401 = Answer(AnswerKind.INVALID_KEY, 401)
HTML_404 = Answer(AnswerKind.GONE, 404, html=True)


@pytest.mark.parametrize(("now", "detail"), [(BEFORE, "revoked"), (AFTER, "revoked_or_retired")])
def test_the_known_401_three_times_means_invalid(now: datetime, detail: str) -> None:
    """Since 31 August 2026 a refused key is worded as revoked or retired."""
    assert state_of([KNOWN_401] * 3, None, now) == (CredentialState.INVALID, detail)
    assert state_of([Answer(AnswerKind.TIMEOUT), *[KNOWN_401] * 3], None, now) == (CredentialState.INVALID, detail)


def test_a_401_beside_anything_better_revokes_no_key() -> None:
    """A served key is ok; fewer than three, or beside what a refused key would not get, is doubt."""
    assert state_of([Answer(AnswerKind.JSON, 200), *[KNOWN_401] * 5], None, AFTER) == (CredentialState.OK, "")
    assert state_of([KNOWN_401] * 2, None, AFTER) == (CredentialState.UNREACHABLE, "no_usable_answer")
    assert state_of([*[KNOWN_401] * 3, HTML_404], None, AFTER) == (CredentialState.UNREACHABLE, "contradicted")


def test_data_of_a_record_that_does_not_exist_is_not_greenhouses() -> None:
    """Whatever else was said came the same way, so nothing of it is believed."""
    answers = [Answer(AnswerKind.JSON, 200), Answer(AnswerKind.IMPOSSIBLE, 200)]
    assert state_of(answers, None, AFTER) == (CredentialState.UNREACHABLE, "not_greenhouse")


@pytest.mark.parametrize("usable", [Answer(AnswerKind.JSON, 200), Answer(AnswerKind.PERMISSION, 401)])
def test_one_usable_answer_overrules_every_other_sign(usable: Answer) -> None:
    """Data or the permission text in any answer means that the API serves this key."""
    assert state_of([HTML_404, HTML_404, usable], HTML_404, AFTER) == (CredentialState.OK, "")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(AnswerKind.NOT_FOUND, 404),
        HTML_404,
        Answer(AnswerKind.GONE, 410),
        Answer(AnswerKind.REDIRECT, 301),
        Answer(AnswerKind.NOT_JSON, 200, html=True),
    ],
)
def test_the_same_404_everywhere_looks_retired_after_the_date_only(answer: Answer) -> None:
    """The same 404, 410, redirect or page everywhere looks retired, from 1 September 2026 on."""
    assert looks_retired([answer] * 3, AFTER)
    assert looks_retired([answer] * 3, RETIRED_AFTER)
    assert not looks_retired([answer] * 3, BEFORE)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True),
        Answer(AnswerKind.UNKNOWN_REFUSAL, 401, html=True),
        Answer(AnswerKind.SERVER_ERROR, 503, html=True),
        Answer(AnswerKind.RATE_LIMITED, 429, html=True),
        Answer(AnswerKind.TIMEOUT),
    ],
)
def test_refusals_and_outages_never_look_retired(answer: Answer) -> None:
    """A 401, 403, 429, 5xx or no answer is a block or an outage, even if it is the same everywhere."""
    assert not looks_retired([answer] * 3, AFTER)


def test_different_answers_do_not_look_retired() -> None:
    """If the answers differ, it is not one API turned off."""
    assert not looks_retired([HTML_404, Answer(AnswerKind.GONE, 410)], AFTER)


@pytest.mark.parametrize("anonymous", [HTML_404, Answer(AnswerKind.GONE, 410), Answer(AnswerKind.UNKNOWN_REFUSAL, 401)])
def test_retired_needs_the_request_without_a_key_to_agree(anonymous: Answer) -> None:
    """The API is gone only if a request without a key no longer gets the known 401."""
    assert state_of([HTML_404] * 3, anonymous, AFTER) == (CredentialState.RETIRED, "api_retired")


@pytest.mark.parametrize(
    "anonymous",
    [
        KNOWN_401,  # the API is there
        Answer(AnswerKind.TIMEOUT),
        Answer(AnswerKind.SERVER_ERROR, 502),
        Answer(AnswerKind.RATE_LIMITED, 429),
        Answer(AnswerKind.UNKNOWN_REFUSAL, 403),  # our own address may be blocked
        Answer(AnswerKind.PERMISSION, 401),  # whatever it means, it comes from the API
    ],
)
def test_without_that_agreement_it_is_unreachable(anonymous: Answer) -> None:
    """If the API still gives its 401, or the answer decides nothing, it is not called retired."""
    assert state_of([HTML_404] * 3, anonymous, AFTER) == (CredentialState.UNREACHABLE, "uniform_answer")


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        ([Answer(AnswerKind.SERVER_ERROR, 500)] * 3, "server_error"),
        ([Answer(AnswerKind.TIMEOUT)] * 3, "timeout"),
        ([Answer(AnswerKind.NO_CONNECTION)] * 3, "no_connection"),
        ([Answer(AnswerKind.RATE_LIMITED, 429)], "rate_limited"),
        ([Answer(AnswerKind.TIMEOUT), Answer(AnswerKind.SERVER_ERROR, 500)], "no_usable_answer"),
        ([], "deadline"),
    ],
)
def test_no_usable_answer_is_unreachable_and_says_why(answers: list[Answer], detail: str) -> None:
    """The detail is the kind of outage."""
    assert state_of(answers, None, AFTER) == (CredentialState.UNREACHABLE, detail)


def test_an_unknown_refusal_is_blocked() -> None:
    """A 401 or 403 without a known text, and no usable answer, means probably a rule for addresses."""
    blocked = Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True)
    assert state_of([blocked, blocked], None, AFTER) == (CredentialState.BLOCKED, "unknown_refusal")
