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
PAGE_403 = Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True)


@pytest.mark.parametrize(("now", "detail"), [(BEFORE, "revoked"), (AFTER, "revoked_or_retired")])
def test_the_known_401_on_six_requests_means_invalid(now: datetime, detail: str) -> None:
    """Since 31 August 2026 a refused key is worded as revoked or retired."""
    assert state_of([KNOWN_401] * 6, None, now) == (CredentialState.INVALID, detail)
    assert state_of([Answer(AnswerKind.TIMEOUT), *[KNOWN_401] * 6], None, now) == (CredentialState.INVALID, detail)


def test_a_401_beside_anything_better_revokes_no_key() -> None:
    """A served key is ok; on fewer than six requests, or beside what a refused key would not get, it is doubt."""
    assert state_of([Answer(AnswerKind.JSON, 200), *[KNOWN_401] * 5], None, AFTER) == (CredentialState.OK, "")
    assert state_of([KNOWN_401] * 5, None, AFTER) == (CredentialState.UNREACHABLE, "no_usable_answer")
    assert state_of([*[KNOWN_401] * 6, HTML_404], None, AFTER) == (CredentialState.UNREACHABLE, "contradicted")
    assert state_of([*[KNOWN_401] * 6, PAGE_403], None, AFTER) == (CredentialState.UNREACHABLE, "contradicted")


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
        Answer(AnswerKind.REDIRECT, 301, location_host="support.greenhouse.io"),
        Answer(AnswerKind.REDIRECT, 302, location_host="Greenhouse.io"),
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


@pytest.mark.parametrize("foreign", [HTML_404, PAGE_403, Answer(AnswerKind.REDIRECT, 301)])
def test_a_key_that_is_hardly_served_is_not_ok(foreign: Answer) -> None:
    """One list that a closed API left open, or a stray answer, is no recovery; a few suspects may be gone."""
    data = Answer(AnswerKind.JSON, 200)
    for served, others in ((1, 20), (1, 45), (4, 42)):
        answers = [*[data] * served, *[foreign] * others]
        assert state_of(answers, None, AFTER) == (CredentialState.UNREACHABLE, "hardly_served"), (served, others)
    for served, others in ((21, 25), (1, 19), (36, 21), (10, 40)):
        assert state_of([*[data] * served, *[foreign] * others], None, AFTER) == (CredentialState.OK, "")


@pytest.mark.parametrize(
    "another",
    [
        Answer(AnswerKind.GONE, 410, html=True),
        Answer(AnswerKind.GONE, 404),
        Answer(AnswerKind.REDIRECT, 302),
        Answer(AnswerKind.TIMEOUT),
        PAGE_403,
    ],
)
def test_different_answers_do_not_look_retired(another: Answer) -> None:
    """If the answers differ, it is not one API turned off."""
    assert not looks_retired([HTML_404, another, HTML_404], AFTER)


@pytest.mark.parametrize("host", ["portal.hotel.example", "greenhouse.io.evil.example", "notgreenhouse.io"])
def test_a_redirect_away_from_greenhouse_comes_from_somebody_in_between(host: str) -> None:
    """A login page or a proxy answers every request, with a key and without one."""
    away = Answer(AnswerKind.REDIRECT, 302, location_host=host)
    assert not looks_retired([away] * 3, AFTER)
    assert state_of([away] * 3, None, AFTER) == (CredentialState.UNREACHABLE, "redirected")


@pytest.mark.parametrize(
    "answer",
    [
        HTML_404,
        Answer(AnswerKind.GONE, 410),
        Answer(AnswerKind.NOT_JSON, 200, html=True),
        Answer(AnswerKind.REDIRECT, 302, location_host="support.greenhouse.io"),
    ],
)
def test_what_looks_retired_is_unreachable_for_one_check(answer: Answer) -> None:
    """A maintenance of twenty minutes looks the same, so no single check tells them apart."""
    assert state_of([answer] * 3, answer, AFTER) == (CredentialState.UNREACHABLE, "looks_retired")


@pytest.mark.parametrize(
    "anonymous",
    [
        KNOWN_401,  # the API is there
        Answer(AnswerKind.UNKNOWN_REFUSAL, 401),  # it asks for a key, in other words
        Answer(AnswerKind.UNEXPECTED, 400),  # "Authorization header required"
        Answer(AnswerKind.GONE, 410),  # of another kind than what the key gets
        Answer(AnswerKind.GONE, 404),
        Answer(AnswerKind.TIMEOUT),
        Answer(AnswerKind.SERVER_ERROR, 502),
        Answer(AnswerKind.RATE_LIMITED, 429),
        PAGE_403,  # our own address may be blocked
        Answer(AnswerKind.PERMISSION, 401),  # whatever it means, it comes from the API
    ],
)
def test_unless_a_request_without_a_key_gets_the_same_it_does_not_look_retired(anonymous: Answer) -> None:
    """Any other answer to it shows that the API still tells one from the other, or decides nothing."""
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


def test_refusals_in_unknown_words_of_six_requests_are_blocked() -> None:
    """A 401 or 403 without a known text, and nothing else: perhaps a rule for addresses. Failures do not count."""
    assert state_of([PAGE_403] * 6, KNOWN_401, AFTER) == (CredentialState.BLOCKED, "unknown_refusal")
    assert state_of([PAGE_403] * 6, None, AFTER) == (CredentialState.BLOCKED, "unknown_refusal")
    assert state_of([Answer(AnswerKind.TIMEOUT), *[PAGE_403] * 6], None, AFTER)[0] is CredentialState.BLOCKED


@pytest.mark.parametrize(
    "answers",
    [
        [PAGE_403] * 5,
        [PAGE_403, *[Answer(AnswerKind.SERVER_ERROR, 503)] * 6],
        [*[PAGE_403] * 6, HTML_404],
        [*[HTML_404] * 21, PAGE_403],
    ],
)
def test_a_refusal_beside_other_answers_blocks_no_key(answers: list[Answer]) -> None:
    """A page in an outage, or of one endpoint after the retirement: nothing is known about the key."""
    assert state_of(answers, HTML_404, AFTER) == (CredentialState.UNREACHABLE, "no_usable_answer")


@pytest.mark.parametrize(
    ("without_key", "detail"),
    [
        (PAGE_403, "refused_without_key"),
        (Answer(AnswerKind.UNKNOWN_REFUSAL, 401), "unknown_refusal"),  # asked for its key
        (Answer(AnswerKind.SERVER_ERROR, 503), "unknown_refusal"),
    ],
)
def test_what_refuses_everybody_is_not_the_credentials_list_of_addresses(without_key: Answer, detail: str) -> None:
    """A request without a key belongs to no credential: refused alike, it clears this one."""
    assert state_of([PAGE_403] * 6, without_key, AFTER) == (CredentialState.BLOCKED, detail)
