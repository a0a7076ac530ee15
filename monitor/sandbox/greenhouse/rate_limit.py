"""The rate limits: a number of requests in each fixed window of ten seconds, on v3 of thirty."""

import math
from collections import OrderedDict
from typing import NamedTuple

from monitor.sandbox.greenhouse.responses import Header
from monitor.sandbox.greenhouse.settings import SandboxSettings

WINDOW_SECONDS = 10
V3_SECONDS = 30
TOKEN_SECONDS = 60
_STRANGERS_KEPT = 1000


class Take(NamedTuple):
    """One request's place in the window. `reset_at` is in epoch seconds, as `X-RateLimit-Reset` gives it."""

    allowed: bool
    remaining: int
    reset_at: int


class RateLimitWindow:
    """What is used of the current window. The customer's own integration takes its share at the start of each."""

    def __init__(self, seconds: int = WINDOW_SECONDS) -> None:
        self._seconds = seconds
        self._number = -1
        self._used = 0

    def take(self, now: float, settings: SandboxSettings) -> Take:
        """Count one request of v1; a refused one is not counted."""
        return self.take_of(now, settings.limit, settings.other_traffic)

    def take_of(self, now: float, limit: int, other_traffic: int = 0) -> Take:
        # Windows begin on multiples of their length: on v3 `remaining` was recorded to rise at :00 and :30 (May 2026).
        number = int(now // self._seconds)
        if number != self._number:
            self._number, self._used = number, 0
        left = limit - other_traffic - self._used
        if left > 0:
            self._used += 1
        return Take(left > 0, max(left - 1, 0), (number + 1) * self._seconds)


class StrangerWindows:
    """One window for each unknown key, client id or token, by guess; the oldest ones are dropped.

    Refused calls count against a limit, too: a recorded 401 has the headers.
    """

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[int, str], RateLimitWindow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def of(self, text: str, seconds: int = WINDOW_SECONDS) -> RateLimitWindow:
        window = self._windows.get((seconds, text))
        if window is None:
            window = self._windows[seconds, text] = RateLimitWindow(seconds)
            if len(self._windows) > _STRANGERS_KEPT:
                self._windows.popitem(last=False)
        return window


def served_headers(take: Take, settings: SandboxSettings) -> tuple[Header, ...]:
    """The headers of every answer except a 429."""
    if not settings.limit_headers:
        return ()
    limit, remaining = str(settings.limit).encode(), str(take.remaining).encode()
    return (b"X-RateLimit-Limit", limit), (b"X-RateLimit-Remaining", remaining)


def refused_headers(reset_at: int, now: float) -> tuple[Header, ...]:
    """The headers of a 429: when the window ends, and how many seconds that is from now."""
    return (b"X-RateLimit-Reset", str(reset_at).encode()), retry_after(reset_at, now)


def v3_headers(take: Take, now: float, settings: SandboxSettings) -> tuple[Header, ...]:
    """The headers of every answer of v3, whatever its status (rate limit guide of Harvest v3)."""
    return _stated(settings.v3_limit, take, now + V3_SECONDS, settings)


def token_headers(take: Take, now: float, settings: SandboxSettings) -> tuple[Header, ...]:
    """The headers of every answer of `/token` (recorded 2026-05-11 with a token, assumed of refusals)."""
    return _stated(settings.token_limit, take, now + TOKEN_SECONDS, settings)


def _stated(limit: int, take: Take, reset: float, settings: SandboxSettings) -> tuple[Header, ...]:
    """The reset is not the end of the window but the answer's own time and a window's length (recorded 2026-05-11)."""
    if not settings.limit_headers:
        return ()
    names = (b"X-RateLimit-Limit", b"X-RateLimit-Remaining", b"X-RateLimit-Reset")
    values = (limit, take.remaining, int(reset))
    return tuple((name, str(value).encode()) for name, value in zip(names, values, strict=True))


def retry_after(reset_at: int, now: float) -> Header:
    return b"Retry-After", str(max(1, math.ceil(reset_at - now))).encode()
