"""The state of a Harvest key as a whole, from all the answers of one check: pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from checks.answer import FAILURE_CODES, Answer, AnswerKind, failure_code
from checks.credential import CredentialState
from checks.report import LOOKS_RETIRED

RETIRED_AFTER = datetime(2026, 9, 1, tzinfo=UTC)
"""Greenhouse: "Harvest API v1 and v2 will be deprecated and unavailable after August 31, 2026" (help 5888163769883)."""

REFUSALS_TO_DOUBT = 3
"""So many requests refuse the key itself, and none does anything else: then requests of other kinds have to tell."""

REFUSALS_OF_A_DEAD_KEY = 6
"""So many do before a key counts as refused: three lists, then a list without a filter and a record of each service."""

MOST_FOREIGN, SERVED_AT_LEAST_ONE_IN = 20, 5
"""Where so many answers are none of the API's, a key is served only if a usable one comes to each few of them."""

_NOT_OF_THE_API = frozenset({AnswerKind.GONE, AnswerKind.REDIRECT, AnswerKind.UNKNOWN_REFUSAL})
_GREENHOUSE = re.compile(r"(.+\.)?greenhouse\.io")


def state_of(answers: Iterable[Answer], anonymous: Answer | None, now: datetime) -> tuple[CredentialState, str]:
    """State and detail code, from every answer heard. `anonymous` is that to the request without a key, if it was sent.

    Whether the API is retired or closed for a while, no single check can tell: it says `unreachable`.
    """
    answers = list(answers)
    kinds = {answer.kind for answer in answers}
    if AnswerKind.IMPOSSIBLE in kinds:
        return CredentialState.UNREACHABLE, "not_greenhouse"
    if any(answer.usable for answer in answers):
        return (CredentialState.UNREACHABLE, "hardly_served") if _hardly_served(answers) else (CredentialState.OK, "")
    if refuses_all(answers, at_least=REFUSALS_OF_A_DEAD_KEY):
        return _refused(answers, anonymous, now)
    if AnswerKind.INVALID_KEY in kinds:
        return CredentialState.UNREACHABLE, "contradicted" if _others(answers) else "no_usable_answer"
    if anonymous is not None and looks_retired(answers, now):
        return CredentialState.UNREACHABLE, LOOKS_RETIRED if _alike([*answers, anonymous]) else "uniform_answer"
    if answers and all(map(_leads_away, answers)):
        return CredentialState.UNREACHABLE, "redirected"
    return CredentialState.UNREACHABLE, failure_code(answers) if answers else "deadline"


def _hardly_served(answers: list[Answer]) -> bool:
    """By one list that a closed API left open, or by a stray answer: the rest is what none of its requests should get.

    So much of it that a few suspects whose endpoints are gone make none.
    """
    foreign = sum(answer.kind in _NOT_OF_THE_API or _is_page(answer) for answer in answers)
    return foreign >= MOST_FOREIGN and SERVED_AT_LEAST_ONE_IN * sum(answer.usable for answer in answers) <= foreign


def refuses_all(answers: Iterable[Answer], at_least: int) -> bool:
    """So many answers, and all of them, refuse the key itself in one and the same way; failures do not count."""
    kinds = [answer.kind for answer in answers if answer.kind not in FAILURE_CODES]
    return len(kinds) >= at_least and set(kinds) in ({AnswerKind.INVALID_KEY}, {AnswerKind.UNKNOWN_REFUSAL})


def _refused(answers: list[Answer], anonymous: Answer | None, now: datetime) -> tuple[CredentialState, str]:
    refusals = [answer for answer in answers if answer.kind not in FAILURE_CODES]
    if refusals[0].kind is AnswerKind.INVALID_KEY:
        return CredentialState.INVALID, "revoked" if now < RETIRED_AFTER else "revoked_or_retired"
    # Refused as well, but otherwise: asked for its key, perhaps.
    everybody = anonymous is not None and _alike([*refusals, anonymous])
    return CredentialState.BLOCKED, "refused_without_key" if everybody else "unknown_refusal"


def _others(answers: list[Answer]) -> set[AnswerKind]:
    """Answers that a refused key would not get."""
    return {answer.kind for answer in answers} - FAILURE_CODES.keys() - {AnswerKind.INVALID_KEY}


def looks_retired(answers: Iterable[Answer], now: datetime) -> bool:
    """After the date, every answer is one and the same 404, 410, redirect or HTML page (never a 401, 403 or 5xx)."""
    answers = list(answers)
    return now >= RETIRED_AFTER and bool(answers) and _alike(answers) and _retirement_shaped(answers[0])


def _alike(answers: Iterable[Answer]) -> bool:
    return len({(answer.kind, answer.status, answer.html, answer.location_host) for answer in answers}) == 1


def _retirement_shaped(answer: Answer) -> bool:
    # How v1 answers after that date is recorded nowhere (November 2026), so several shapes count.
    if answer.kind in (AnswerKind.NOT_FOUND, AnswerKind.GONE):
        return True
    if answer.kind is AnswerKind.REDIRECT:
        return not _leads_away(answer)
    return _is_page(answer)


def _is_page(answer: Answer) -> bool:
    return answer.html and answer.kind in (AnswerKind.NOT_JSON, AnswerKind.UNEXPECTED)


def _leads_away(answer: Answer) -> bool:
    """To a host that is not Greenhouse's: somebody in between sends it, a proxy or a login page."""
    host = answer.location_host
    return answer.kind is AnswerKind.REDIRECT and host is not None and not _GREENHOUSE.fullmatch(host.casefold())
