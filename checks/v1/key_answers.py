"""Answers of Harvest v1/v2, reduced to their meaning by status and known text."""

import re
from collections.abc import Mapping

from checks.answer import Answer, AnswerKind, looks_like_html, parse_json, plain_token
from checks.catalogue.entry import Entry, RequestClass

# Quoted by users since 2021 (airbyte issue 5343), never recorded with its status: the documentation points to 401,
# clients expect 403. Nobody recorded its letter case, so that and white space are free.
PERMISSION_TEXT = "this api key does not have permission for this endpoint"
# Recorded in 2020 and on 2026-08-11; also the answer for a disabled organization (airbyte issue 2289, 2021).
INVALID_KEY = {"message": "Invalid Basic Auth credentials"}
# Letter for letter, as recorded: a gateway says "Not Found" and "Access Denied".
_NOT_FOUND = (
    {"message": "Resource not found"},
    {"errors": [{"message": "Not found"}]},  # grnhse/greenhouse-api-docs issue 393
)
_NO_ACCESS = ({"message": "You do not have access to that record"}, {"errors": [{"message": "Access denied"}]})
_BAD_PAYLOAD = {"message": "Invalid JSON Payload"}


def says_no_permission(document: object) -> bool:
    """Every message of the answer is the permission text and nothing else, letter case and white space aside."""
    texts = [" ".join(text.split()).casefold() for text in _messages(document)]
    return bool(texts) and set(texts) == {PERMISSION_TEXT}


def _messages(document: object) -> list[str]:
    """Every `message` and `errors[].message`."""
    if not isinstance(document, dict):
        return []
    errors = document.get("errors")
    found = [document.get("message")]
    if isinstance(errors, list):
        found += [error.get("message") if isinstance(error, dict) else error for error in errors]
    return [text for text in found if isinstance(text, str)]


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
        counted="x-ratelimit-limit" in headers,
        location_host=_host(headers.get("location")) if kind is AnswerKind.REDIRECT else None,
    )


def _kind(entry: Entry, status: int, document: object) -> AnswerKind:
    if 300 <= status < 400:
        return AnswerKind.REDIRECT
    if status >= 500:
        return AnswerKind.SERVER_ERROR
    return _success_kind(entry, status, document) if status < 300 else _refusal_kind(status, document)


def _success_kind(entry: Entry, status: int, document: object) -> AnswerKind:
    if not isinstance(document, list | dict):
        return AnswerKind.NOT_JSON
    # Every list of Harvest v1 is documented to answer 200 with an array.
    if status != 200 or (entry.request_class is RequestClass.LIST and isinstance(document, dict)):
        return AnswerKind.UNEXPECTED
    if entry.request_class is RequestClass.LIST:
        return AnswerKind.JSON if all(map(_is_row, document)) else AnswerKind.UNEXPECTED
    if entry.is_write or (entry.gives_list and document == []):
        return AnswerKind.JSON
    # An array for one record is somebody else's, who may answer the lists as well.
    empty_object = isinstance(document, dict) and _is_empty(document)
    return AnswerKind.UNEXPECTED if empty_object else AnswerKind.IMPOSSIBLE


def _is_row(item: object) -> bool:
    """Every row in the documentation has an id: its own, or a number that is its application's."""
    if not isinstance(item, dict):
        return False
    own = item.get("id")
    numbers = (value for name, value in item.items() if name.endswith("_id") and type(value) is int)
    return (bool(own) and type(own) in (int, str)) or any(numbers)


def _is_empty(document: object) -> bool:
    """It holds no data: an activity feed of nobody might be an object of empty lists and a count of 0."""
    # A loop, because a body may be nested as deep as the parser lets it.
    parts = [document]
    while parts:
        part = parts.pop()
        if isinstance(part, dict | list):
            parts += part.values() if isinstance(part, dict) else part
        elif part:
            return False
    return True


def _refusal_kind(status: int, document: object) -> AnswerKind:
    match status:
        case 401 if document == INVALID_KEY:
            return AnswerKind.INVALID_KEY
        case 401 | 403 if says_no_permission(document):
            return AnswerKind.PERMISSION
        case 403 if document in _NO_ACCESS:
            return AnswerKind.NO_ACCESS
        # Perhaps the credential's IP list: what Greenhouse answers to other addresses is not documented.
        case 401 | 403:
            return AnswerKind.UNKNOWN_REFUSAL
        case 404 if document in _NOT_FOUND:
            return AnswerKind.NOT_FOUND
        case 404 | 410:
            return AnswerKind.GONE
        case 422 if _lists_problems(document):
            return AnswerKind.VALIDATION
        case 400 if document == _BAD_PAYLOAD:
            return AnswerKind.BAD_PAYLOAD
        case 429:
            return AnswerKind.RATE_LIMITED
    return AnswerKind.UNEXPECTED


def _lists_problems(document: object) -> bool:
    """Recorded: `errors`, each a `message` and perhaps a `field`; documented: a `message` beside them."""
    if not isinstance(document, dict) or not document.keys() <= {"message", "errors"}:
        return False
    problems = document.get("errors")
    return isinstance(problems, list) and bool(problems) and all(map(_is_problem, problems))


def _is_problem(problem: object) -> bool:
    if not isinstance(problem, dict) or not problem.keys() <= {"message", "field"}:
        return False
    return isinstance(problem.get("message"), str) and not says_no_permission(problem)


def _record_id(document: object) -> str | None:
    if not isinstance(document, dict):
        return None
    found = document.get("id")
    return str(found)[:40] if isinstance(found, int) and not isinstance(found, bool) else None


def _host(location: str | None) -> str | None:
    """None where the redirect stays on the same host."""
    found = re.match(r"(?:https?:)?//(?:[^/?#@]*@)?([A-Za-z0-9.-]{1,253})", location or "", re.IGNORECASE)
    return found[1] if found else None
