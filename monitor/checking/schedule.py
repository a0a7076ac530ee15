"""When a credential is checked next: pure arithmetic on times.

A credential has its own time in every interval, its phase, taken from a stable hash of its key. The phases of many
credentials are spread evenly, and neither a restart nor a late check shifts them. The key consists of tenant and
label, such as `acme/Gem Harvest API Key`.
"""

import hashlib
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
CATCH_UP_FACTOR = 4  # times the ordinary rate: late checks are made within a quarter of the interval
CATCH_UP_AT_ONCE = 10
CATCH_UP_PER_SECOND = 0.1  # at least, so that a few credentials do not take an hour


def key_of(tenant_id: str, label: str) -> str:
    return f"{tenant_id}/{label}"


def phase(key: str, interval: timedelta) -> timedelta:
    """This key's own time in every interval, counted from the interval's beginning."""
    # Not hash(), which differs from process to process. Whole numbers: no float holds 64 bits.
    share = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big")
    return (interval // _MICROSECOND * share >> 64) * _MICROSECOND


def next_regular(key: str, after: datetime, interval: timedelta) -> datetime:
    """The first of this key's times later than `after`; never more than one interval away."""
    into_interval = (after - _EPOCH - phase(key, interval)) % interval
    return after + interval - into_interval


def next_due(key: str, now: datetime, interval: timedelta, check_again_in: timedelta | None) -> datetime:
    """The next check: at this key's own time, or earlier if a suspicion asks for it."""
    regular = next_regular(key, now, interval)
    return regular if check_again_in is None else min(regular, now + check_again_in)


def interval_start(now: datetime, interval: timedelta) -> datetime:
    """The beginning of the interval that contains this time."""
    return now - (now - _EPOCH) % interval


class CatchUp:
    """How many ordinary checks may start: after an outage of ours, late checks follow without a burst.

    A few at once, then a multiple of the ordinary rate, which limits nothing while the service keeps up.
    """

    def __init__(self) -> None:
        self._level = float(CATCH_UP_AT_ONCE)
        self._at: float | None = None

    def allowed(self, credentials: int, interval: timedelta, at: float) -> int:
        """Checks that may start at `at`, in seconds of a monotonic clock; `credentials` is the number of all."""
        rate = max(CATCH_UP_FACTOR * credentials / interval.total_seconds(), CATCH_UP_PER_SECOND)
        passed = 0.0 if self._at is None else at - self._at
        self._level = min(self._level + passed * rate, max(CATCH_UP_AT_ONCE, 2 * rate))
        self._at = at
        return int(self._level)

    def begun(self, checks: int) -> None:
        self._level -= checks
