"""The clocks: what time it is, how many seconds have passed, and whether the two agree."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

# On Linux, a clock that goes on while the machine sleeps; there time.monotonic stands still meanwhile.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def utc_now() -> datetime:
    return datetime.now(UTC)


def elapsed() -> float:
    """Seconds since some fixed moment, including the machine's sleep on Linux; setting the clock has no effect."""
    return time.clock_gettime(_ELAPSED)


class ClockJumps:
    """Measures how far the time of day was moved, compared with the seconds that have passed."""

    def __init__(self, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._now = now
        self._clock = clock
        self._last = now(), clock()

    def since_last(self) -> float:
        """Seconds the clock was set forward (below 0: back) since the last call; the machine's sleep is no jump."""
        (now, clock), (then, clock_then) = (self._now(), self._clock()), self._last
        self._last = now, clock
        return (now - then).total_seconds() - (clock - clock_then)
