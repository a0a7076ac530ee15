"""What the tenants heard from last have met: pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.breaker.signs import Sign

MANY = 5  # tenants; what fewer meet is their own
LATEST = 20  # tenants heard from last; half of them in trouble is much


class TenantTrouble(NamedTuple):
    """What was heard of a tenant: `in_trouble` only where it is no chance, and `since` when. Seconds of one clock."""

    sign: Sign
    in_trouble: bool
    at: float
    since: float


@dataclass(frozen=True, slots=True)
class RecentTrouble:
    """So many of `heard` tenants were in each trouble, the first of them `since` then."""

    heard: int = 0
    troubled: Mapping[Sign, int] = field(default_factory=dict)
    since: float = math.inf

    @property
    def many(self) -> bool:
        return self.in_trouble >= max(MANY, self.heard / 2)

    @property
    def in_trouble(self) -> int:
        return sum(self.troubled.values())

    @property
    def main_trouble(self) -> Sign | None:
        return max(self.troubled, key=lambda sign: self.troubled[sign], default=None)


class RecentTenants:
    """What was heard last of each of the tenants heard from last; those `apart` are in trouble of their own."""

    def __init__(self) -> None:
        self._latest: dict[str, TenantTrouble] = {}
        self._apart: set[str] = set()

    def hear(self, tenant: str, heard: TenantTrouble) -> None:
        if heard.sign is Sign.SERVED:
            self._apart.discard(tenant)
        elif tenant in self._apart:
            return
        self._latest.pop(tenant, None)
        self._latest[tenant] = heard
        if len(self._latest) > LATEST:
            del self._latest[next(iter(self._latest))]

    def seen(self, after: float = -math.inf) -> RecentTrouble:
        """What was heard after a moment."""
        heard = [one for one in self._latest.values() if one.at > after]
        troubled = [one for one in heard if one.in_trouble]
        since = min((one.since for one in troubled), default=math.inf)
        return RecentTrouble(len(heard), Counter(one.sign for one in troubled), since)

    @property
    def all_in_trouble(self) -> bool:
        """The last tenants heard from, as many as are many, were all in trouble."""
        last = list(self._latest.values())[-MANY:]
        return len(last) == MANY and all(one.in_trouble for one in last)

    def served_after(self, moment: float) -> bool:
        return any(one.sign is Sign.SERVED and one.at > moment for one in self._latest.values())

    def forget(self, before: float) -> None:
        for tenant in [tenant for tenant, one in self._latest.items() if one.at <= before]:
            del self._latest[tenant]

    def set_apart(self) -> None:
        """Others were served: whoever is still in trouble is in one of their own. Begin anew."""
        self._apart |= {tenant for tenant, one in self._latest.items() if one.in_trouble}
        self._latest.clear()
