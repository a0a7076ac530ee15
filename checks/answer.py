"""What came back from Greenhouse, reduced to what a verdict may rest on; the body is dropped here."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from checks.catalogue.endpoints import Entry, RequestClass

PERMISSION_TEXT = "does not have permission for this endpoint"
INVALID_KEY_TEXT = "invalid basic auth credentials"


class AnswerKind(StrEnum):
    """The meanings an answer can have before any rule is applied.

    Wording and statuses come from recorded answers and users' reports of Harvest v1 (2014 to 2026); `PERMISSION` has
    been quoted with 401 and with 403, so both count.
    """

    JSON = "json"  # 200 with data: a JSON array, or outside lists an object that does not merely report an error
    PERMISSION = "permission"  # 401/403 with the permission text
    INVALID_KEY = "invalid_key"  # 401 "Invalid Basic Auth credentials"
    UNAUTHORIZED = "unauthorized"  # v3: 401 in JSON, the token or the client is not accepted
    FORBIDDEN = "forbidden"  # v3: 403 in JSON, the scope is missing or the user is no Site Admin
    NOT_FOUND = "not_found"  # 404 "Resource not found" or "Not found"
    NO_ACCESS = "no_access"  # 403 "You do not have access to that record" or "Access denied"
    VALIDATION = "validation"  # 422 with errors
    BAD_PAYLOAD = "bad_payload"  # 400 "Invalid JSON Payload"
    UNKNOWN_REFUSAL = "unknown_refusal"  # 401/403 with any other body: an IP rule, a CDN, unknown
    GONE = "gone"  # 404/410 without a known message
    REDIRECT = "redirect"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    NOT_JSON = "not_json"  # 2xx that is not JSON, or longer than is read
    UNEXPECTED = "unexpected"  # any other status, or a known text where it does not belong
    TIMEOUT = "timeout"
    NO_CONNECTION = "no_connection"  # refused, reset, TLS failure, name not found, broken HTTP

    @property
    def past_permission(self) -> bool:
        """The answer can only come after the permission check, if that check comes first."""
        return self in _PAST


_REPORTING = frozenset({"error", "errors", "message", "status", "code", "detail", "details", "request_id"})
_PAST = frozenset(
    {AnswerKind.JSON, AnswerKind.NOT_FOUND, AnswerKind.NO_ACCESS, AnswerKind.VALIDATION, AnswerKind.BAD_PAYLOAD}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One reduced answer. `status` is None where none came, and stands where the head came and the body did not.

    `record_id` is kept for a 2xx on a write only.
    """

    kind: AnswerKind
    status: int | None = None
    html: bool = False
    request_id: str | None = None
    record_id: str | None = None
    location_host: str | None = None

    @property
    def accepted(self) -> bool:
        """Any 2xx, whatever became of the body: on a write, what no probe should get."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def usable(self) -> bool:
        """It shows by itself that the API serves this credential: data, or a refusal by the permission text."""
        return self.kind in (AnswerKind.JSON, AnswerKind.PERMISSION)


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
    document = _parse(body) if complete else None
    kind = _kind(entry, status, document)
    return Answer(
        kind=kind,
        status=status,
        html=looks_like_html(headers, body),
        request_id=_printable(headers.get("x-request-id")),
        record_id=_record_id(document) if entry.is_write and 200 <= status < 300 else None,
        location_host=_host(headers.get("location")) if kind is AnswerKind.REDIRECT else None,
    )


def reduce_listed(status: int, headers: Mapping[str, str], body: bytes, *, complete: bool = True) -> Answer:
    """The answer to a list of Harvest v3. What a 403 says is on no record, so its body decides nothing."""
    document = _parse(body) if complete else None
    return Answer(
        kind=_listed_kind(status, document),
        status=status,
        html=looks_like_html(headers, body),
        request_id=_printable(headers.get("x-request-id")),
    )


def _listed_kind(status: int, document: object) -> AnswerKind:
    if 300 <= status < 400:
        return AnswerKind.REDIRECT
    if status >= 500:
        return AnswerKind.SERVER_ERROR
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


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


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
        case 401 | 403:
            return AnswerKind.UNKNOWN_REFUSAL
        case 404 if says("resource not found", "not found"):
            return AnswerKind.NOT_FOUND
        case 404 | 410:
            return AnswerKind.GONE
        case 422 if isinstance(document, dict) and isinstance(document.get("errors"), list):
            return AnswerKind.VALIDATION
        case 400 if says("invalid json payload"):
            return AnswerKind.BAD_PAYLOAD
        case 429:
            return AnswerKind.RATE_LIMITED
    return AnswerKind.UNEXPECTED


def looks_like_html(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "").casefold() or body[:256].lstrip()[:1] == b"<"


def _record_id(document: object) -> str | None:
    if not isinstance(document, dict):
        return None
    found = document.get("id")
    return str(found)[:40] if isinstance(found, int) and not isinstance(found, bool) else None


def _printable(text: str | None) -> str | None:
    """A request id as Greenhouse's support would want it quoted; dropped if it is not a plain token."""
    return text if text and re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", text) else None


def _host(location: str | None) -> str | None:
    found = re.match(r"https?://([A-Za-z0-9.-]{1,253})", location or "")
    return found[1] if found else None
