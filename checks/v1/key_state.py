"""How a Harvest key stands as a whole, told from all the answers of one check: pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from checks.answer import Answer, AnswerKind
from checks.credential import CredentialState

RETIRED_AFTER = datetime(2026, 9, 1, tzinfo=UTC)
"""Greenhouse: "Harvest API v1 and v2 will be deprecated and unavailable after August 31, 2026" (help 5888163769883)."""

DETAILS = {
    "revoked": "Greenhouse does not know the key: deleted, disabled or mistyped",
    "revoked_or_retired": "Greenhouse does not know the key: revoked, or retired by Greenhouse",
    "unknown_refusal": "refused without a known text: perhaps the credential's list of trusted addresses",
    "api_retired": "every request, and one without a key, gets one and the same answer that is not the API's",
    "uniform_answer": "every request gets one and the same answer that is not the API's, yet the API is there",
    "server_error": "Greenhouse answers with server errors",
    "timeout": "no answer in time",
    "no_connection": "no connection to Greenhouse",
    "rate_limited": "the rate limit is reached before the check can begin",
    "no_usable_answer": "answers came, but none that the API gives",
    "misconfigured": "the tenants file or a reference in it is wrong; the message beside it says what and where",
    "invalid_client": "the auth server does not know the client, or its secret: disabled, deleted or mistyped; see "
    "what the references hold",
    "malformed_client": "the client id is none: correct what its reference holds",
    "no_scopes": "the credential has no scopes at all: have them ticked under Manage scopes",
    "grant_refused": "the auth server gives this client no such token: hold a token in place of `mint`, as a "
    "partner's client must",
    "foreign_client": "the token belongs to another client: correct the reference of the token, or of the client id",
    "foreign_organization": "the token belongs to another customer's organization, so nothing of it was judged: "
    "correct the references",
    "token_stale": "the token we were given has run out: mend what feeds it",
    "token_inactive": "the token we were given is not active, revoked or replaced: hand over the newest one",
    "token_refused": "Harvest v3 does not accept the token, run out or revoked: hand over the newest one",
    "organization_untold": "nothing tells whose token we were given, so nothing was read with it",
    "token_source": "the command that gives the token failed: see the log",
    "deadline": "the time for the check ran out before the first usable answer",
    "paused": "checks paused because many tenants were in trouble at once: nothing is known of this one",
}
"""Every code that `detail` can hold, with its meaning; docs/verdicts.md carries the same table."""

_PLAIN_FAILURES = {
    AnswerKind.SERVER_ERROR: "server_error",
    AnswerKind.TIMEOUT: "timeout",
    AnswerKind.NO_CONNECTION: "no_connection",
    AnswerKind.RATE_LIMITED: "rate_limited",
}

# Without a key: the API is there, or nothing can be told.
SETTLES_NOTHING = frozenset({AnswerKind.INVALID_KEY, AnswerKind.PERMISSION, AnswerKind.JSON, *_PLAIN_FAILURES})


def state_of(answers: Iterable[Answer], anonymous: Answer | None, now: datetime) -> tuple[CredentialState, str]:
    """State and detail code. `anonymous` is the answer to the request without a key, if it was sent.

    That a key is `retired` is only the first of two looks: who keeps the states asks for the second.
    """
    answers = list(answers)
    kinds = {answer.kind for answer in answers}
    if AnswerKind.INVALID_KEY in kinds:
        return CredentialState.INVALID, "revoked" if now < RETIRED_AFTER else "revoked_or_retired"
    if any(answer.usable for answer in answers):
        return CredentialState.OK, ""
    if anonymous is not None and looks_retired(answers, now):
        return _retired_or_not(anonymous)
    if AnswerKind.UNKNOWN_REFUSAL in kinds:
        return CredentialState.BLOCKED, "unknown_refusal"
    return CredentialState.UNREACHABLE, _unreachable_detail(answers)


def looks_retired(answers: Iterable[Answer], now: datetime) -> bool:
    """After the date, every answer is one and the same 404, 410, redirect or HTML page (never a 401, 403 or 5xx)."""
    answers = list(answers)
    if now < RETIRED_AFTER or not answers:
        return False
    alike = len({(answer.kind, answer.status) for answer in answers}) == 1
    return alike and _retirement_shaped(answers[0])


def _retirement_shaped(answer: Answer) -> bool:
    if answer.kind in (AnswerKind.NOT_FOUND, AnswerKind.GONE, AnswerKind.REDIRECT):
        return True
    return answer.html and answer.kind in (AnswerKind.NOT_JSON, AnswerKind.UNEXPECTED)


def _retired_or_not(anonymous: Answer) -> tuple[CredentialState, str]:
    """The API is there as long as a request without a key gets its known 401; some answers settle nothing."""
    if anonymous.kind in SETTLES_NOTHING or anonymous.status == 403:
        return CredentialState.UNREACHABLE, "uniform_answer"
    return CredentialState.RETIRED, "api_retired"


def _unreachable_detail(answers: list[Answer]) -> str:
    if not answers:
        return "deadline"
    codes = {_PLAIN_FAILURES.get(answer.kind, "no_usable_answer") for answer in answers}
    return codes.pop() if len(codes) == 1 else "no_usable_answer"
