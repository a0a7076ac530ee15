"""How fast requests may follow each other, and when to wait: the rate limit is left to the customer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

V1_WINDOW_SECONDS = 10.0  # Harvest v1 counts in windows of 10 s (Greenhouse's documentation, "Throttling")
V3_WINDOW_SECONDS = 30.0  # Harvest v3 counts in fixed windows that begin at :00 and :30 (recorded 2026-05-11)
TOKEN_WINDOW_SECONDS = 60.0  # requests for tokens are counted apart, by the minute (recorded 2026-05-11)
SHORTEST_PAUSE_SECONDS = 1.0  # a reset that lies in the past is a clock that differs, not permission to go on
LONGEST_WAIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What an answer says about the limit; `reset_seconds` is from now. Without one, we wait for a window."""

    limit: int | None
    remaining: int | None
    reset_seconds: float | None
    retry_after_seconds: float | None
    window_seconds: float = V1_WINDOW_SECONDS

    @property
    def pause_seconds(self) -> float:
        """How long to leave the rest of the window to the customer's own integration."""
        # A share, not a number: recorded limits are 20 to 50 on v1 (2014 to 2023) and 150 on v3 (2026).
        if self.limit is None or self.remaining is None or self.remaining >= self.limit / 2:
            return 0.0
        # On v3 the reset is always 30 s ahead (recorded 2026-05-11), even if the window ends sooner.
        return self.window_seconds if self.reset_seconds is None else max(self.reset_seconds, SHORTEST_PAUSE_SECONDS)

    @property
    def back_off_seconds(self) -> float:
        """How long a 429 asks to stay away: Retry-After, else the reset, else one window."""
        asked = self.retry_after_seconds if self.retry_after_seconds is not None else self.reset_seconds
        return self.window_seconds if asked is None else max(asked, SHORTEST_PAUSE_SECONDS)


def rate_limit(headers: Mapping[str, str], now: datetime, window_seconds: float = V1_WINDOW_SECONDS) -> RateLimit:
    """Read from lower-case headers. Retry-After may be seconds or a date, X-RateLimit-Reset a timestamp."""
    return RateLimit(
        limit=_whole(headers.get("x-ratelimit-limit")),
        remaining=_whole(headers.get("x-ratelimit-remaining")),
        reset_seconds=_until(headers.get("x-ratelimit-reset"), now),
        retry_after_seconds=_until(headers.get("retry-after"), now),
        window_seconds=window_seconds,
    )


def v3_rate_limit(headers: Mapping[str, str], now: datetime) -> RateLimit:
    """Of Harvest v3's lists, whose X-RateLimit-Reset runs ahead: it is always one window from the answer.

    So the end of the window is told by the clock, Greenhouse's if the answer has it.
    """
    seconds = (_date(headers.get("date")) or now).timestamp()
    found = rate_limit(headers, now, V3_WINDOW_SECONDS)
    return replace(found, reset_seconds=V3_WINDOW_SECONDS - seconds % V3_WINDOW_SECONDS)


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=found.tzinfo or UTC)


def _whole(text: str | None) -> int | None:
    # int() takes fewer blanks off than strip() does: it must see what was found to be digits.
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else None


def _until(text: str | None, now: datetime) -> float | None:
    """Seconds from now; a number over ten million is a timestamp. Bounded, so that a wrong header cannot park us."""
    number = _whole(text)
    if number is not None:
        seconds = float(number) if number < 10_000_000 else number - now.timestamp()
    elif moment := _date(text):
        seconds = (moment - now).total_seconds()
    else:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


class RateLimiter:
    """Spaces the requests of all who share it, `per_second` at most (0: no limit). Clock and sleep are passed in."""

    def __init__(
        self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._free_at = 0.0
        self.set_rate(per_second)

    def set_rate(self, per_second: float) -> None:
        """For requests from now on."""
        self._gap = 1.0 / per_second if per_second > 0 else 0.0

    async def wait_for_turn(self) -> float:
        """Returns the seconds waited."""
        now = self._clock()
        start = max(now, self._free_at)
        # Taken before the sleep: callers that come meanwhile queue behind it, without a lock.
        self._free_at = start + self._gap
        if start > now:
            await self._sleep(start - now)
        return start - now

    def pause(self, seconds: float) -> None:
        """No turn before so many seconds have passed."""
        self._free_at = max(self._free_at, self._clock() + seconds)
