"""When a credential is looked at next: pure arithmetic on moments.

A credential has a moment of its own in every interval, its phase, taken from a stable hash of its key. The phases of
many credentials are spread evenly, and neither a restart nor a late check shifts them. The key is made of tenant and
label, such as `acme/Gem Harvest API Key`.
"""

import hashlib
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SHORTEST_WAIT = timedelta(seconds=1)  # even where `confirm_after` is zero, looks that decide nothing are spaced out
_MOST_DOUBLINGS = 20


def key_of(tenant_id: str, label: str) -> str:
    return f"{tenant_id}/{label}"


def phase(key: str, interval: timedelta) -> timedelta:
    """This key's own moment within every interval, counted from its beginning."""
    share = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big")
    return (interval // _MICROSECOND * share >> 64) * _MICROSECOND


def next_regular(key: str, after: datetime, interval: timedelta) -> datetime:
    """The first of this key's moments later than `after`; never more than one interval away."""
    into_interval = (after - _EPOCH - phase(key, interval)) % interval
    return after + interval - into_interval


def next_due(key: str, now: datetime, interval: timedelta, look_again: timedelta | None) -> datetime:
    """The next look: this key's own moment, or sooner where a suspicion asks for one."""
    regular = next_regular(key, now, interval)
    return regular if look_again is None else min(regular, now + look_again)


def back_off(looks: int, confirm_after: timedelta, interval: timedelta) -> timedelta:
    """How long to wait after so many looks at a suspicion: doubled each time from `confirm_after` to the interval."""
    doublings = min(looks - 1, _MOST_DOUBLINGS)
    waited = max(confirm_after, _SHORTEST_WAIT) * 2**doublings if doublings else confirm_after
    return min(waited, interval)


def interval_start(now: datetime, interval: timedelta) -> datetime:
    """When the interval began that a moment falls into."""
    return now - (now - _EPOCH) % interval
