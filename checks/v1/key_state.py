"""The state of a Harvest key as a whole, from all the answers of one check: pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from checks.answer import FAILURE_CODES, Answer, AnswerKind, failure_code
from checks.credential import CredentialState

RETIRED_AFTER = datetime(2026, 9, 1, tzinfo=UTC)
"""Greenhouse: "Harvest API v1 and v2 will be deprecated and unavailable after August 31, 2026" (help 5888163769883)."""

REFUSALS_OF_A_DEAD_KEY = 3
"""So many requests get the known 401, and none anything better, before a key counts as refused."""

# Answers to the request without a key: the API is there, or nothing can be concluded.
SETTLES_NOTHING = frozenset({AnswerKind.INVALID_KEY, AnswerKind.PERMISSION, AnswerKind.JSON, *FAILURE_CODES})


def state_of(answers: Iterable[Answer], anonymous: Answer | None, now: datetime) -> tuple[CredentialState, str]:
    """State and detail code, from every answer heard. `anonymous` is that to the request without a key, if it was sent.

    `retired` is confirmed by a second check, which the caller makes.
    """
    answers = list(answers)
    kinds = {answer.kind for answer in answers}
    if AnswerKind.IMPOSSIBLE in kinds:
        return CredentialState.UNREACHABLE, "not_greenhouse"
    if any(answer.usable for answer in answers):
        return CredentialState.OK, ""
    if AnswerKind.INVALID_KEY in kinds:
        return _refused_or_not(answers, now)
    if anonymous is not None and looks_retired(answers, now):
        return _retired_or_not(anonymous)
    if AnswerKind.UNKNOWN_REFUSAL in kinds:
        return CredentialState.BLOCKED, "unknown_refusal"
    return CredentialState.UNREACHABLE, failure_code(answers) if answers else "deadline"


def _refused_or_not(answers: list[Answer], now: datetime) -> tuple[CredentialState, str]:
    """A single 401 is not believed, nor any beside an answer that a refused key would not get."""
    refusals = sum(answer.kind is AnswerKind.INVALID_KEY for answer in answers)
    others = {answer.kind for answer in answers} - FAILURE_CODES.keys() - {AnswerKind.INVALID_KEY}
    if others or refusals < REFUSALS_OF_A_DEAD_KEY:
        return CredentialState.UNREACHABLE, "contradicted" if others else "no_usable_answer"
    return CredentialState.INVALID, "revoked" if now < RETIRED_AFTER else "revoked_or_retired"


def looks_retired(answers: Iterable[Answer], now: datetime) -> bool:
    """After the date, every answer is one and the same 404, 410, redirect or HTML page (never a 401, 403 or 5xx)."""
    answers = list(answers)
    if now < RETIRED_AFTER or not answers:
        return False
    alike = len({(answer.kind, answer.status) for answer in answers}) == 1
    return alike and _retirement_shaped(answers[0])


def _retirement_shaped(answer: Answer) -> bool:
    # How v1 answers after that date is recorded nowhere (November 2026), so several shapes count.
    if answer.kind in (AnswerKind.NOT_FOUND, AnswerKind.GONE, AnswerKind.REDIRECT):
        return True
    return answer.html and answer.kind in (AnswerKind.NOT_JSON, AnswerKind.UNEXPECTED)


def _retired_or_not(anonymous: Answer) -> tuple[CredentialState, str]:
    """The API is there as long as a request without a key gets its known 401; some answers settle nothing."""
    # A 403 without a key is about this address, not about the API.
    if anonymous.kind in SETTLES_NOTHING or anonymous.status == 403:
        return CredentialState.UNREACHABLE, "uniform_answer"
    return CredentialState.RETIRED, "api_retired"
