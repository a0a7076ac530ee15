"""The rate limit: so many requests in each fixed window of ten seconds."""

import math
from typing import NamedTuple

from monitor.sandbox.replies import Header
from monitor.sandbox.settings import Settings

WINDOW_SECONDS = 10


class Take(NamedTuple):
    """One request's place in the window. `reset_at` is in epoch seconds, as `X-RateLimit-Reset` gives it."""

    allowed: bool
    remaining: int
    reset_at: int


class Window:
    """What has been used of the present window. The customer's own integration takes its share at the start of each."""

    def __init__(self) -> None:
        self._number = -1
        self._used = 0

    def take(self, now: float, settings: Settings) -> Take:
        """Count one request; a refused one is not counted."""
        number = int(now // WINDOW_SECONDS)
        if number != self._number:
            self._number, self._used = number, 0
        left = settings.limit - settings.other_traffic - self._used
        if left > 0:
            self._used += 1
        return Take(left > 0, max(left - 1, 0), (number + 1) * WINDOW_SECONDS)


def served_headers(take: Take, settings: Settings) -> tuple[Header, ...]:
    """The headers of every answer that is not a 429."""
    if not settings.limit_headers:
        return ()
    limit, remaining = str(settings.limit).encode(), str(take.remaining).encode()
    return (b"X-RateLimit-Limit", limit), (b"X-RateLimit-Remaining", remaining)


def refused_headers(reset_at: int, now: float) -> tuple[Header, ...]:
    """The headers of a 429: when the window ends, and in how many seconds that is."""
    wait = max(1, math.ceil(reset_at - now))
    return (b"X-RateLimit-Reset", str(reset_at).encode()), (b"Retry-After", str(wait).encode())
