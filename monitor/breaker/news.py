"""What the tenants heard from last have met: pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.breaker.signs import Sign

MANY = 5  # tenants; what fewer meet is their own
LATEST = 20  # tenants heard from last; half of them in trouble is much


class Heard(NamedTuple):
    """The last sign of one tenant, the same for so many `times` since a moment. Times are seconds of one clock."""

    sign: Sign
    at: float
    since: float
    times: int

    @property
    def in_trouble(self) -> bool:
        """One failure may be chance, and is tried again; a limit and a barrier are meant."""
        return self.sign is not Sign.SERVED and (self.sign is not Sign.UNREACHABLE or self.times > 1)


@dataclass(frozen=True, slots=True)
class Seen:
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


class News:
    """The last sign of each of the tenants heard from last; those `apart` are in trouble of their own."""

    def __init__(self) -> None:
        self._latest: dict[str, Heard] = {}
        self._apart: set[str] = set()

    def hear(self, tenant: str, sign: Sign, now: float) -> None:
        if sign is Sign.SERVED:
            self._apart.discard(tenant)
        elif tenant in self._apart:
            return
        before = self._latest.pop(tenant, None)
        if before is None or before.sign is not sign:
            before = Heard(sign, now, since=now, times=0)
        self._latest[tenant] = Heard(sign, now, before.since, before.times + 1)
        if len(self._latest) > LATEST:
            del self._latest[next(iter(self._latest))]

    def seen(self, after: float = -math.inf) -> Seen:
        """What was heard after a moment."""
        heard = [one for one in self._latest.values() if one.at > after]
        troubled = [one for one in heard if one.in_trouble]
        since = min((one.since for one in troubled), default=math.inf)
        return Seen(len(heard), Counter(one.sign for one in troubled), since)

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
