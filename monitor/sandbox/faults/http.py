"""Faults of Greenhouse's side: which requests they hit, and what they do to the answers.

A fault either replaces the answer (a status, wrong JSON, a redirect: the request is not handled, so it changes nothing)
or spoils it (slow, cut, reset: the request was handled, and what it would have changed is in the request log, as on a
network that fails on the way back).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from monitor.sandbox.faults.active import ActiveFaults, FaultTerms
from monitor.sandbox.greenhouse.responses import Header, Reply, message, page, redirect


class FaultKind(StrEnum):
    STATUS = "status"  # any status, e.g. a 503 with an HTML page
    WRONG_JSON = "wrong_json"  # 200, or `status`, with `text` as JSON: null, a string, or something that is not JSON
    HTML = "html"  # 200 with a page
    REDIRECT = "redirect"  # `status` (302) to `location`
    RATE_LIMITED = "rate_limited"  # 429, with or without the headers that say when to retry
    HUGE = "huge"  # 200, a JSON array of `size` bytes
    GZIP_BOMB = "gzip_bomb"  # 200, gzip that decompresses to `size` bytes
    SET_COOKIE = "set_cookie"  # the right answer, and a cookie
    SLOW = "slow"  # the right answer after `seconds`
    DRIP = "drip"  # the right answer, one byte every `seconds`
    TRUNCATED = "truncated"  # half of the right answer, then the connection closes
    RESET = "reset"  # the connection closes without an answer
    TIMEOUT = "timeout"  # no answer for as long as the client waits


_REPLACING = frozenset(
    {
        FaultKind.STATUS,
        FaultKind.WRONG_JSON,
        FaultKind.HTML,
        FaultKind.REDIRECT,
        FaultKind.RATE_LIMITED,
        FaultKind.HUGE,
        FaultKind.GZIP_BOMB,
    }
)


class Fault(FaultTerms):
    """One fault. It matches every request unless `account`, `method` or `prefix` (of the path) narrow it."""

    kind: FaultKind
    account: str | None = None
    method: str | None = None
    prefix: str = "/"
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    seconds: Annotated[float, Field(ge=0, le=3600)] = 1.0
    headers: bool = True
    text: str = "null"
    # Both are header values, which must be printable ASCII.
    location: Annotated[str, Field(pattern=r"^https?://[!-~]+$")] = "https://elsewhere.example/"
    cookie: Annotated[str, Field(pattern=r"^[ !-~]+$")] = "_session_id=sandbox; path=/; HttpOnly"
    size: Annotated[int, Field(ge=1, le=2**31)] = 50 * 1024 * 1024

    @field_validator("status")
    @classmethod
    def _has_a_body(cls, status: int | None) -> int | None:
        if status in (204, 205, 304):
            raise ValueError(f"an answer with {status} has no body, but a fault's answer has one")
        return status

    @property
    def only_for(self) -> str | None:
        return self.account

    @property
    def replaces_answer(self) -> bool:
        """If so, the request is not handled."""
        return self.kind in _REPLACING

    @property
    def hides_status(self) -> bool:
        """No status reaches the client."""
        return self.kind in (FaultKind.RESET, FaultKind.TIMEOUT)

    def matches(self, account: str | None, method: str, path: str) -> bool:
        return self.account in (None, account) and self.method in (None, method) and path.startswith(self.prefix)

    def reply(self, now: float) -> Reply:
        """The answer of a fault that replaces Greenhouse's; HUGE and GZIP_BOMB get their bodies on the way out."""
        match self.kind:
            case FaultKind.STATUS:
                status = self.status or 503
                return page(status, f"Sandbox fault {status}")
            case FaultKind.WRONG_JSON:
                return Reply(self.status or 200, self.text.encode())
            case FaultKind.HTML:
                return page(200, "Sandbox fault")
            case FaultKind.REDIRECT:
                return redirect(self.status or 302, self.location)
            case FaultKind.RATE_LIMITED:
                return message(429, "Too many requests").adding(*self._limit_headers(now))
        return Reply(200, b"")

    def _limit_headers(self, now: float) -> tuple[Header, ...]:
        if not self.headers:
            return ()
        reset = str(int(now + self.seconds)).encode()
        return (b"X-RateLimit-Reset", reset), (b"Retry-After", str(max(1, round(self.seconds))).encode())


class HttpFaults(ActiveFaults[Fault]):
    """The active faults of Greenhouse's side."""

    def take(self, account: str | None, method: str, path: str) -> Fault | None:
        """The fault that hits this request."""
        return self.draw(lambda fault: fault.matches(account, method, path), account or "")
