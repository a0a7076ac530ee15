"""A year of many tenants, made up row by row: nothing is checked, and the same numbers give the same rows.

Most of what happens concerns one tenant: it loses a few permissions, or its credential fails, and hours later all is
back. Now and then the same permission goes missing in 40 to 300 tenants within minutes, and once in all of them.
"""

import heapq
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from checks.manifest import Manifest, Permission, load

END = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
CREDENTIAL_TROUBLES = 0.05  # of all troubles
HOUR = 3600
BUSY_TENANT = 6  # its number; it has a long history
BUSY_TENANT_EVENTS = 5_000
HELD_BEGAN = 2 * HOUR  # before the end


class Trouble(NamedTuple):
    """What one tenant lost at one moment, in seconds before or after the end; `until` is None while it lasts."""

    at: int
    tenant: int
    lost: tuple[int, ...]  # numbers of permissions; none where the credential failed as a whole
    until: int | None
    held: bool = False


class Happening(NamedTuple):
    """A trouble's beginning or its end; `number` is the incident's."""

    at: int
    begins: bool
    number: int
    trouble: Trouble


@dataclass(frozen=True)
class MadeYear:
    """`events` is about how many drift events there are; `days` how long ago they began."""

    tenants: int
    events: int
    days: int = 365
    seed: int = 1
    manifest: Manifest = field(default_factory=lambda: load("gem"))

    @cached_property
    def permissions(self) -> Sequence[Permission]:
        return [p for p in self.manifest.permissions if p.feature is None]

    @cached_property
    def asked(self) -> Sequence[int]:
        """The permissions that can be lost."""
        return [number for number, permission in enumerate(self.permissions) if permission.endpoint]

    @property
    def seconds(self) -> int:
        return self.days * 24 * HOUR

    @cached_property
    def troubles(self) -> Sequence[Trouble]:
        """In the order of time."""
        chance = random.Random(self.seed)
        bursts = [*self._bursts(chance)]
        left = max(self.tenants * 6, self.events - 2 * len(bursts))
        each = max(1, round(left / self.tenants / 6))
        found = [*bursts, *self._held(chance)]
        taken = {one.tenant for one in found if one.until is None}
        for tenant in range(self.tenants):
            busy = max(each, min(BUSY_TENANT_EVENTS, self.events // 4) // 6)
            count = busy if tenant == BUSY_TENANT else each
            found += self._of_tenant(chance, tenant, count, may_last=tenant not in taken)
        return sorted(found)

    def _of_tenant(self, chance: random.Random, tenant: int, count: int, *, may_last: bool) -> Iterator[Trouble]:
        """One after the other, evenly; the last one may go on."""
        slot = self.seconds // count
        for number in range(count):
            begins = -self.seconds + number * slot
            at = begins + chance.randrange(max(1, slot // 2))
            until = at + max(60, min(chance.randrange(2 * HOUR, 40 * HOUR), slot * 2 // 5))
            lasts = may_last and number == count - 1 and chance.random() < 0.07
            at = max(at, -40 * HOUR) if lasts else at
            yield Trouble(at, tenant, self._some(chance), None if lasts else until)

    def _some(self, chance: random.Random) -> tuple[int, ...]:
        if chance.random() < CREDENTIAL_TROUBLES:
            return ()
        return tuple(sorted(chance.sample(self.asked, chance.choice((1, 2, 3, 3, 4, 5)))))

    def _bursts(self, chance: random.Random) -> Iterator[Trouble]:
        """A sixth of all events, and one of all tenants."""
        sizes = [self.tenants]
        while sum(sizes) * 2 < self.events // 6:
            sizes.append(min(self.tenants, chance.randint(40, 300)))
        for number, size in enumerate(sizes):
            at = -self.seconds // 3 if number == 0 else -chance.randrange(3 * 24 * HOUR, self.seconds)
            permission = (chance.choice(self.asked),)
            until = at + chance.randrange(3 * HOUR, 48 * HOUR)
            for tenant in chance.sample(range(self.tenants), size):
                yield Trouble(at + chance.randrange(900), tenant, permission, until + chance.randrange(900))

    def _held(self, chance: random.Random) -> Iterator[Trouble]:
        """The emails about the newest burst wait for an operator."""
        for tenant in chance.sample(range(self.tenants), min(self.tenants // 2, 212)):
            at = -HELD_BEGAN + chance.randrange(900)
            yield Trouble(at, tenant, (self.asked[10],), None, held=True)

    def happenings(self) -> Iterable[Happening]:
        """Beginnings and ends, in the order of time."""
        numbered = list(enumerate(self.troubles, 1))
        begin = (Happening(one.at, True, number, one) for number, one in numbered)
        ended = [Happening(one.until, False, number, one) for number, one in numbered if one.until is not None]
        return heapq.merge(begin, sorted(ended, key=_moment), key=_moment)


def _moment(happening: Happening) -> int:
    return happening.at


def when(seconds: int) -> str:
    """A moment as both databases read it; in UTC."""
    return f"{_END + timedelta(seconds=seconds)}.000000"


_END = END.replace(tzinfo=None)
