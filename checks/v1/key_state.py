"""The state of a Harvest key as a whole, from all the answers of one check: pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from checks.answer import FAILURE_CODES, Answer, AnswerKind, failure_code
from checks.credential import CredentialState

RETIRED_AFTER = datetime(2026, 9, 1, tzinfo=UTC)
"""Greenhouse: "Harvest API v1 and v2 will be deprecated and unavailable after August 31, 2026" (help 5888163769883)."""

# Answers to the request without a key: the API is there, or nothing can be concluded.
SETTLES_NOTHING = frozenset({AnswerKind.INVALID_KEY, AnswerKind.PERMISSION, AnswerKind.JSON, *FAILURE_CODES})


def state_of(answers: Iterable[Answer], anonymous: Answer | None, now: datetime) -> tuple[CredentialState, str]:
    """State and detail code. `anonymous` is the answer to the request without a key, if it was sent.

    `retired` is confirmed by a second check, which the caller makes.
    """
    answers = list(answers)
    kinds = {answer.kind for answer in answers}
    # Before what was served: a key revoked in the middle of a check had data at first.
    if AnswerKind.INVALID_KEY in kinds:
        return CredentialState.INVALID, "revoked" if now < RETIRED_AFTER else "revoked_or_retired"
    if any(answer.usable for answer in answers):
        return CredentialState.OK, ""
    if anonymous is not None and looks_retired(answers, now):
        return _retired_or_not(anonymous)
    if AnswerKind.UNKNOWN_REFUSAL in kinds:
        return CredentialState.BLOCKED, "unknown_refusal"
    return CredentialState.UNREACHABLE, failure_code(answers) if answers else "deadline"


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
