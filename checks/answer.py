"""What came back from Greenhouse, reduced to what a verdict may rest on; the body is dropped here."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from checks.connection_failure import ConnectionFailure


class AnswerKind(StrEnum):
    """The meanings an answer can have before any rule is applied.

    Wording and statuses come from recorded answers and users' reports of Harvest v1 (2014 to 2026); `PERMISSION` has
    been quoted with 401 and with 403, so both count.
    """

    JSON = "json"  # 200 with data that can be Greenhouse's: an array of a list, or an empty one under no record
    IMPOSSIBLE = "impossible"  # 200 with data of a record that does not exist: not Greenhouse's answer
    PERMISSION = "permission"  # 401/403 with the permission text and nothing else
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
    COPY = "copy"  # out of a cache, or given to an earlier request: Greenhouse was not asked
    UNEXPECTED = "unexpected"  # any other status, or a known text where it does not belong
    TIMEOUT = "timeout"
    NO_CONNECTION = "no_connection"  # refused, reset, TLS failure, name not found, broken HTTP

    @property
    def past_permission(self) -> bool:
        """The answer can only come after the permission check, if that check comes first."""
        return self in _PAST


_PAST = frozenset(
    # JSON is for controls: a nested list of an unknown parent may answer 200 with an empty array.
    {AnswerKind.JSON, AnswerKind.NOT_FOUND, AnswerKind.NO_ACCESS, AnswerKind.VALIDATION, AnswerKind.BAD_PAYLOAD}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One reduced answer. `status` is None where none came; it is kept where the head came and the body did not.

    `record_id` is kept for a 2xx on a write only. `counted`: it carries the rate limit headers that all 163 recorded
    answers of Harvest carry, whatever their status (429 apart). `empty`, on v3: a list without a row.
    `failure` says why there was no answer, and is for people: no rule rests on it.
    """

    kind: AnswerKind
    status: int | None = None
    html: bool = False
    request_id: str | None = None
    record_id: str | None = None
    location_host: str | None = None
    counted: bool = False
    empty: bool = False
    failure: ConnectionFailure | None = None

    @property
    def accepted(self) -> bool:
        """Any 2xx, with or without a readable body: on a write, what no probe should get."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def usable(self) -> bool:
        """It shows by itself that the API serves this credential: data, or a refusal by the permission text."""
        return self.kind in (AnswerKind.JSON, AnswerKind.PERMISSION)


FAILURE_CODES: Mapping[AnswerKind, str] = {
    AnswerKind.SERVER_ERROR: "server_error",
    AnswerKind.TIMEOUT: "timeout",
    AnswerKind.NO_CONNECTION: "no_connection",
    AnswerKind.RATE_LIMITED: "rate_limited",
}
"""Answers that say something about the way to Greenhouse and nothing about the credential."""


def failure_code(answers: Iterable[Answer]) -> str:
    """What all of these failed with, as exactly as it is the same for all; or that none was usable."""
    answers = list(answers)
    kinds = {FAILURE_CODES.get(answer.kind, "no_usable_answer") for answer in answers}
    if len(kinds) != 1:
        return "no_usable_answer"
    causes = {answer.failure.code.value if answer.failure else None for answer in answers}
    return (causes.pop() if len(causes) == 1 else None) or kinds.pop()


def parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # a body of 64 KiB of "[" is nested deeper than Python recurses
        return None


def looks_like_html(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "").casefold() or body[:256].lstrip()[:1] == b"<"


def plain_token(text: str | None) -> str | None:
    """A request id as Greenhouse's support would want it quoted; dropped if it is not a plain token."""
    # Logs and emails quote it: nothing may get in that forges a line or a tag.
    return text if text and re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", text) else None
