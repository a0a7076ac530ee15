"""When a credential is checked next: pure arithmetic on moments.

A credential has a moment of its own in every interval, its phase, taken from a stable hash of its key. The phases of
many credentials are spread evenly, and neither a restart nor a late check shifts them. The key is made of tenant and
label, such as `acme/Gem Harvest API Key`.
"""

import hashlib
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
CATCH_UP_PACE = 4  # times the ordinary one: what is late is worked off within a quarter of the interval
CATCH_UP_AT_ONCE = 10
CATCH_UP_PER_SECOND = 0.1  # at the least, so that a handful of credentials is not stretched over an hour


def key_of(tenant_id: str, label: str) -> str:
    return f"{tenant_id}/{label}"


def phase(key: str, interval: timedelta) -> timedelta:
    """This key's own moment within every interval, counted from its beginning."""
    # Not hash(), which differs from process to process. Whole numbers: no float holds 64 bits.
    share = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big")
    return (interval // _MICROSECOND * share >> 64) * _MICROSECOND


def next_regular(key: str, after: datetime, interval: timedelta) -> datetime:
    """The first of this key's moments later than `after`; never more than one interval away."""
    into_interval = (after - _EPOCH - phase(key, interval)) % interval
    return after + interval - into_interval


def next_due(key: str, now: datetime, interval: timedelta, check_again_in: timedelta | None) -> datetime:
    """The next check: this key's own moment, or sooner where a suspicion asks for one."""
    regular = next_regular(key, now, interval)
    return regular if check_again_in is None else min(regular, now + check_again_in)


def interval_start(now: datetime, interval: timedelta) -> datetime:
    """When the interval began that a moment falls into."""
    return now - (now - _EPOCH) % interval


class CatchUp:
    """How many ordinary checks may begin: after an outage of ours, what is late follows without a burst.

    A handful at once, then a multiple of the ordinary pace, which is never felt while the service keeps up.
    """

    def __init__(self) -> None:
        self._level = float(CATCH_UP_AT_ONCE)
        self._at: float | None = None

    def allowed(self, watched: int, interval: timedelta, at: float) -> int:
        """Looks that may begin at this moment, in seconds of a clock that only goes on; `watched` is all there are."""
        pace = max(CATCH_UP_PACE * watched / interval.total_seconds(), CATCH_UP_PER_SECOND)
        gone = 0.0 if self._at is None else at - self._at
        self._level = min(self._level + gone * pace, max(CATCH_UP_AT_ONCE, 2 * pace))
        self._at = at
        return int(self._level)

    def begun(self, checks: int) -> None:
        self._level -= checks
