"""When a credential is looked at next: pure arithmetic on moments.

A credential has a moment of its own in every interval, its phase, taken from a stable hash of its key. The phases of
many credentials are spread evenly, and neither a restart nor a late check shifts them. The key is
`Credential.id`-independent text such as `acme/Gem Harvest API Key`, so that a copied database keeps its plan.
"""

import hashlib
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


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
    """How long to wait after so many looks at a suspicion: doubled each time, up to the interval."""
    waited = confirm_after
    for _ in range(looks - 1):
        if waited >= interval:
            break
        waited *= 2
    return min(waited, interval)


def slot(now: datetime, interval: timedelta) -> int:
    """The number of the interval a moment falls into, since 1970."""
    return (now - _EPOCH) // interval


def slot_start(number: int, interval: timedelta) -> datetime:
    return _EPOCH + number * interval
