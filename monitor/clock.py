"""The clocks: what time it is, how many seconds went by, and whether the two agree."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

# Where the system has it (Linux), the clock that goes on while the machine sleeps; time.monotonic stands still there.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def utc_now() -> datetime:
    return datetime.now(UTC)


def elapsed() -> float:
    """Seconds since a moment, with the machine's sleep where the system tells; no setting of the clock moves it."""
    return time.clock_gettime(_ELAPSED)


class Jumps:
    """Tells how far the time of day was moved against the seconds that went by."""

    def __init__(self, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._now = now
        self._clock = clock
        self._last = now(), clock()

    def since_last(self) -> float:
        """Seconds the clock was set forward (or back, below 0) since this was last asked; a sleep is no jump."""
        (now, clock), (then, clock_then) = (self._now(), self._clock()), self._last
        self._last = now, clock
        return (now - then).total_seconds() - (clock - clock_then)
