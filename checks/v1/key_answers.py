"""Answers of Harvest v1/v2, reduced to their meaning by status and known text."""

import re
from collections.abc import Mapping

from checks.answer import Answer, AnswerKind, looks_like_html, parse_json, plain_token
from checks.catalogue.entry import Entry, RequestClass

# Quoted by users since 2021 (airbyte issue 5343), never recorded with its status: the documentation points to 401,
# clients expect 403.
PERMISSION_TEXT = "does not have permission for this endpoint"
# Recorded in 2020 and on 2026-08-11; also the answer for a disabled organization (airbyte issue 2289, 2021).
INVALID_KEY_TEXT = "invalid basic auth credentials"
_REPORTING = frozenset({"error", "errors", "message", "status", "code", "detail", "details", "request_id"})


def messages(document: object) -> list[str]:
    """Every `message` and `errors[].message` of an answer, folded in letter case and white space."""
    if not isinstance(document, dict):
        return []
    errors = document.get("errors")
    found = [document.get("message")]
    if isinstance(errors, list):
        found += [error.get("message") if isinstance(error, dict) else error for error in errors]
    return [" ".join(text.split()).casefold() for text in found if isinstance(text, str)]


def reduce(entry: Entry, status: int, headers: Mapping[str, str], body: bytes, *, complete: bool = True) -> Answer:
    """The answer without its body. `headers` has lower-case names; `complete` is false for a body that was cut."""
    document = parse_json(body) if complete else None
    kind = _kind(entry, status, document)
    return Answer(
        kind=kind,
        status=status,
        html=looks_like_html(headers, body),
        request_id=plain_token(headers.get("x-request-id")),
        record_id=_record_id(document) if entry.is_write and 200 <= status < 300 else None,
        location_host=_host(headers.get("location")) if kind is AnswerKind.REDIRECT else None,
    )


def _kind(entry: Entry, status: int, document: object) -> AnswerKind:
    if 300 <= status < 400:
        return AnswerKind.REDIRECT
    if status >= 500:
        return AnswerKind.SERVER_ERROR
    texts = messages(document)
    if status not in (401, 403) and any(PERMISSION_TEXT in text for text in texts):
        return AnswerKind.UNEXPECTED  # quoted with 401 and 403 only: elsewhere it is neither a refusal nor a pass
    return _success_kind(entry, status, document) if status < 300 else _refusal_kind(status, texts, document)


def _success_kind(entry: Entry, status: int, document: object) -> AnswerKind:
    if not isinstance(document, list | dict):
        return AnswerKind.NOT_JSON
    # Every list of Harvest v1 is documented to answer with an array.
    wrong_shape = isinstance(document, dict) and (entry.request_class is RequestClass.LIST or _only_reports(document))
    return AnswerKind.UNEXPECTED if status != 200 or wrong_shape else AnswerKind.JSON


def _only_reports(document: Mapping[str, object]) -> bool:
    """An object that says something about the request, as a gateway does, and holds no data of a record."""
    return bool(document) and document.keys() <= _REPORTING


def _refusal_kind(status: int, texts: list[str], document: object) -> AnswerKind:
    def says(*wanted: str) -> bool:
        return any(text.rstrip(".") in wanted for text in texts)

    match status:
        case 401 if any(INVALID_KEY_TEXT in text for text in texts):
            return AnswerKind.INVALID_KEY
        case 401 | 403 if any(PERMISSION_TEXT in text for text in texts):
            return AnswerKind.PERMISSION
        case 403 if says("you do not have access to that record", "access denied"):
            return AnswerKind.NO_ACCESS
        # Perhaps the credential's IP list: what Greenhouse answers to other addresses is not documented.
        case 401 | 403:
            return AnswerKind.UNKNOWN_REFUSAL
        # "Not found" is from grnhse/greenhouse-api-docs issue 393; recordings say "Resource not found".
        case 404 if says("resource not found", "not found"):
            return AnswerKind.NOT_FOUND
        case 404 | 410:
            return AnswerKind.GONE
        # The `message` that Greenhouse documents beside `errors` is missing in both recorded answers.
        case 422 if isinstance(document, dict) and isinstance(document.get("errors"), list):
            return AnswerKind.VALIDATION
        case 400 if says("invalid json payload"):
            return AnswerKind.BAD_PAYLOAD
        case 429:
            return AnswerKind.RATE_LIMITED
    return AnswerKind.UNEXPECTED


def _record_id(document: object) -> str | None:
    if not isinstance(document, dict):
        return None
    found = document.get("id")
    return str(found)[:40] if isinstance(found, int) and not isinstance(found, bool) else None


def _host(location: str | None) -> str | None:
    found = re.match(r"https?://([A-Za-z0-9.-]{1,253})", location or "")
    return found[1] if found else None
