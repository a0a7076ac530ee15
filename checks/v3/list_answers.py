"""Answers of Harvest v3's lists, reduced to their meaning by status."""

from collections.abc import Mapping

from checks.answer import Answer, AnswerKind, looks_like_html, parse_json, plain_token
from checks.v3.challenge import challenge_error

_BY_ERROR = {"invalid_token": AnswerKind.UNAUTHORIZED, "insufficient_scope": AnswerKind.FORBIDDEN}


def reduce_listed(status: int, headers: Mapping[str, str], body: bytes, *, complete: bool = True) -> Answer:
    """The answer to a list of Harvest v3. Greenhouse does not document what a 403 says, so its body decides nothing."""
    document = parse_json(body) if complete else None
    html = looks_like_html(headers, body)
    kind = _listed_kind(status, document)
    if kind is AnswerKind.UNKNOWN_REFUSAL and not html:
        kind = _BY_ERROR.get(challenge_error(headers) or "", kind)
    return Answer(
        kind=kind,
        status=status,
        html=html,
        request_id=plain_token(headers.get("x-request-id")),
        counted="x-ratelimit-limit" in headers,
        empty=kind is AnswerKind.JSON and not document,
    )


def _listed_kind(status: int, document: object) -> AnswerKind:
    if 300 <= status < 400:
        return AnswerKind.REDIRECT
    if status >= 500:
        return AnswerKind.SERVER_ERROR
    # Both hosts are behind CloudFront (recorded 2026-05-11): a page instead of JSON may be the edge's answer.
    readable = isinstance(document, dict)
    match status:
        case 200 if isinstance(document, list):
            return AnswerKind.JSON
        case 401 if readable:
            return AnswerKind.UNAUTHORIZED
        case 403 if readable:
            return AnswerKind.FORBIDDEN
        case 401 | 403:
            return AnswerKind.UNKNOWN_REFUSAL
        case 404 | 410:
            return AnswerKind.NOT_FOUND if readable else AnswerKind.GONE
        case 429:
            return AnswerKind.RATE_LIMITED
    return AnswerKind.NOT_JSON if status < 300 and document is None else AnswerKind.UNEXPECTED
