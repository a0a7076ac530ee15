"""What the tenants checked most recently have met: pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.breaker.signs import Sign

MANY = 5  # tenants in trouble; with fewer, each has a problem of its own
LATEST = 20  # tenants remembered; the breaker acts when half of them are in trouble


class TenantTrouble(NamedTuple):
    """The latest sign of one tenant, seen at `at` and, without interruption, `since`; both are seconds of one clock.

    `in_trouble` is false for a single failure, which may be chance.
    """

    sign: Sign
    in_trouble: bool
    at: float
    since: float


@dataclass(frozen=True, slots=True)
class RecentTrouble:
    """Of so many `tenants`, how many were in trouble by each sign; the first of them `since` then."""

    tenants: int = 0
    by_sign: Mapping[Sign, int] = field(default_factory=dict)
    since: float = math.inf

    @property
    def many(self) -> bool:
        return self.in_trouble >= max(MANY, self.tenants / 2)

    @property
    def in_trouble(self) -> int:
        return sum(self.by_sign.values())

    @property
    def main_trouble(self) -> Sign | None:
        return max(self.by_sign, key=lambda sign: self.by_sign[sign], default=None)


class RecentTenants:
    """The latest sign of each recent tenant, leaving out those known to have a problem of their own."""

    def __init__(self) -> None:
        self._latest: dict[str, TenantTrouble] = {}
        self._excluded: set[str] = set()

    def record(self, tenant: str, latest: TenantTrouble) -> None:
        if latest.sign is Sign.SERVED:
            self._excluded.discard(tenant)
        elif tenant in self._excluded:
            return
        # Taken out first, so that the tenant moves to the end: the dict is in the order of the latest signs.
        self._latest.pop(tenant, None)
        self._latest[tenant] = latest
        if len(self._latest) > LATEST:
            del self._latest[next(iter(self._latest))]

    def trouble(self, after: float = -math.inf) -> RecentTrouble:
        """What was recorded after a moment."""
        recent = [one for one in self._latest.values() if one.at > after]
        troubled = [one for one in recent if one.in_trouble]
        since = min((one.since for one in troubled), default=math.inf)
        return RecentTrouble(len(recent), Counter(one.sign for one in troubled), since)

    @property
    def last_all_in_trouble(self) -> bool:
        """The last MANY tenants were all in trouble."""
        last = list(self._latest.values())[-MANY:]
        return len(last) == MANY and all(one.in_trouble for one in last)

    def served_after(self, moment: float) -> bool:
        return any(one.sign is Sign.SERVED and one.at > moment for one in self._latest.values())

    def forget(self, before: float) -> None:
        for tenant in [tenant for tenant, one in self._latest.items() if one.at <= before]:
            del self._latest[tenant]

    def exclude_troubled(self) -> None:
        """Others were served, so every tenant still in trouble has a problem of its own. Start again without them."""
        self._excluded |= {tenant for tenant, one in self._latest.items() if one.in_trouble}
        self._latest.clear()
