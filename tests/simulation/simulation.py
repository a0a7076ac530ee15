"""One run of a simulation: an SQLite file, a clock that is moved minute by minute, and the shipped parts."""

import heapq
import os
import random
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, bindparam, func, insert, select, update

from checks.credential import CredentialKind
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits
from monitor.checking.sampler import SampleLimits, Sampler
from monitor.checking.schedule import key_of, next_regular
from monitor.drift.permissions import asked_for
from monitor.incidents.rules import Audience
from monitor.metrics import Metrics
from monitor.notices.compose.brake import ALWAYS_PASS
from monitor.notices.compose.composer import Composer
from monitor.notices.content.messages import Message
from monitor.notices.content.render import RenderedMessage, Renderer
from monitor.notices.notice import Status
from monitor.notices.operator_actions import release
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database, open_database
from monitor.store.tables import CAUSE, CREDENTIAL, NOTICE, PERMISSION_STATE, SAMPLE
from tests.notices import a_policy
from tests.reports import DIGEST, KEY, POLICY, T0, served
from tests.simulation.wave import SHARED, Cell, Loss, WaveKind, losses, own, report
from tests.store import a_tenant, check, sync

MINUTE = timedelta(minutes=1)
INTERVAL = POLICY.interval
LABEL = "Gem Harvest API Key"
_CHECKED = (
    update(CREDENTIAL)
    .where(CREDENTIAL.c.id == bindparam("key"))
    .values(last_checked_at=bindparam("at"), last_full_at=bindparam("at"), next_due=bindparam("due"))
)


class Wordless(Renderer):
    """Emails are counted, not read."""

    def render(self, message: Message) -> RenderedMessage:
        return RenderedMessage("subject", "text", "html")


def tenant_id(number: int) -> str:
    return f"t{number:05}"


async def template(path: Path, tenants: int, permissions: Sequence[str] | None = None) -> None:
    """A file with so many healthy tenants; each has the shared permissions and one of its own, or those given."""
    database = await open_database(URL.create("sqlite+aiosqlite", database=str(path)))
    try:
        await sync(database, *(a_tenant(tenant_id(number)) for number in range(tenants)))
        rows = [
            row
            for number in range(tenants)
            for row in _permission_rows(number + 1, permissions or (*SHARED, own(number)))
        ]
        async with database.writing() as conn:
            await conn.execute(insert(PERMISSION_STATE), rows)
            healthy = {"fingerprint": KEY, "manifest_digest": DIGEST, "baseline_at": T0, "state_since": T0}
            granted = len(permissions or (*SHARED, ""))
            await conn.execute(update(CREDENTIAL).values(**healthy, granted=granted, last_outcome="compliant"))
    finally:
        await database.close()


def _permission_rows(credential: int, names: Sequence[str]) -> list[dict[str, object]]:
    return [
        {
            "credential_id": credential,
            "permission_id": found.permission_id,
            "permission_group": found.group,
            "permission_label": found.label,
            "verdict": "granted",
            "rule": found.rule,
            "since": T0,
            "suspect_looks": 0,
            "asked": asked_for(found, CredentialKind.HARVEST_KEY),
        }
        for found in served(dict.fromkeys(names, "g")).findings
    ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Emails to CSMs that left, and those that were held."""

    left: int
    held: int


class Simulation:
    """`losses` are what happens to tenants, by number. An operator `releases_every` so often what is held."""

    def __init__(
        self,
        database: Database,
        tenants: int,
        losses: Mapping[int, Sequence[Loss]],
        settle: timedelta,
        *,
        permissions: Sequence[str] | None = None,
        releases_every: timedelta | None = None,
    ) -> None:
        self.database = database
        self.losses = losses
        self.settle = settle
        self.permissions = permissions
        self.releases_every = releases_every
        self.released_at = T0
        self.released = 0
        self.policy: NoticePolicy = replace(a_policy(), settle=settle, interval=INTERVAL)
        self.composer = Composer(database, self.policy, Wordless())
        limits = SampleLimits(20, 200, max(settle, MINUTE), 7 * MINUTE, INTERVAL)
        self.sampler = Sampler(database, CircuitBreaker(Limits.of(60)), Metrics("simulation"), limits)
        self.tenants = tenants
        self.due: list[tuple[datetime, int]] = []
        self.planned: dict[int, datetime] = {}
        self.checked: dict[int, tuple[datetime, datetime]] = {}
        self.done: dict[int, int] = {}
        self.waiting_since: datetime | None = None
        self.sampled = 0

    async def prepare(self, began: datetime) -> None:
        """Every tenant was last checked at its own moment of the interval before."""
        for number in range(self.tenants):
            due = self._regular(number, began)
            self.checked[number] = (due - INTERVAL, due)
            self._plan(number, due)
        await self._flush()

    async def run(self, began: datetime, until: datetime, *, to_the_end: bool) -> Outcome:
        """Minute by minute; unless `to_the_end`, it stops when enough is held for all later ones to be held, too."""
        now = began
        while now < until and not self._is_over():
            now += MINUTE
            if await self._checks(now):
                await self._flush()
                await self._sample(now)
            if self.waiting_since is not None and now >= self.waiting_since + self.settle:
                await self._compose(now)
                if not to_the_end and await self._count(Status.HELD) > ALWAYS_PASS:
                    break
            await self._release(now)
        return Outcome(
            await self._count(Status.PENDING) - self.released, self.released + await self._count(Status.HELD)
        )

    def _is_over(self) -> bool:
        everything = all(self.done.get(number, 0) == len(theirs) for number, theirs in self.losses.items())
        return everything and self.waiting_since is None

    async def _release(self, now: datetime) -> None:
        """The operator of a year reads what is held once in a while."""
        if self.releases_every is not None and now >= self.released_at + self.releases_every:
            self.released += len(await release(self.database, now, "operator"))
            self.released_at = now

    def _plan(self, number: int, due: datetime) -> None:
        self.planned[number] = due
        heapq.heappush(self.due, (due, number))

    def _regular(self, number: int, after: datetime) -> datetime:
        return next_regular(key_of(tenant_id(number), LABEL), after, INTERVAL)

    async def _checks(self, now: datetime) -> bool:
        """Everything that is due; whether a check had something to record."""
        happened = False
        while self.due and self.due[0][0] <= now:
            at, number = heapq.heappop(self.due)
            if self.planned[number] != at:
                continue  # brought forward meanwhile
            if self._finds(number, at):
                await self._check(number, at)
                happened = True
            else:
                due = self._regular(number, at)
                self.checked[number] = (at, due)
                self._plan(number, due)
        return happened

    def _finds(self, number: int, at: datetime) -> bool:
        theirs = self.losses.get(number, ())
        return sum(began <= at for began, _ in theirs) > self.done.get(number, 0)

    async def _check(self, number: int, at: datetime) -> None:
        self.checked.pop(number, None)
        known = self.permissions or (*SHARED, own(number))
        recorded = await check(self.database, report(known, self.losses[number], at), at, credential_id=number + 1)
        due = recorded.next_due
        if recorded.events:
            self.done[number] = sum(began <= at for began, _ in self.losses[number])
            self.waiting_since = self.waiting_since or at
            due = min(due, at + (self.policy.look_again_after or INTERVAL))
        self._plan(number, due)

    async def _flush(self) -> None:
        """What the checks that found nothing leave behind."""
        if self.checked:
            rows = [{"key": number + 1, "at": at, "due": due} for number, (at, due) in self.checked.items()]
            async with self.database.writing() as conn:
                await conn.execute(_CHECKED, rows)
            self.checked.clear()

    async def _sample(self, now: datetime) -> None:
        if await self.sampler.run_once(now) == 0:
            return
        async with self.database.reading() as conn:
            chosen = select(SAMPLE.c.tenants).where(SAMPLE.c.asked_at == now)
            for tenants in (await conn.execute(chosen)).scalars():
                for tenant in tenants:
                    self._plan(int(tenant[1:]), now)
                    self.sampled += 1

    async def _compose(self, now: datetime) -> None:
        await self._flush()
        await self.composer.run_once(now)
        async with self.database.reading() as conn:
            oldest = select(func.min(CAUSE.c.created_at)).where(CAUSE.c.settled_at.is_(None))
            self.waiting_since = (await conn.execute(oldest)).scalar_one()

    async def _count(self, *statuses: Status) -> int:
        counted = select(func.count()).where(NOTICE.c.audience == Audience.CSM, NOTICE.c.status.in_(statuses))
        async with self.database.reading() as conn:
            return int((await conn.execute(counted)).scalar_one())


@asynccontextmanager
async def copied(source: Path, target: Path) -> AsyncIterator[Database]:
    """An opened copy of a template."""
    shutil.copyfile(source, target)
    database = await open_database(URL.create("sqlite+aiosqlite", database=str(target)))
    try:
        yield database
    finally:
        await database.close()
        for path in target.parent.glob(f"{target.name}*"):
            path.unlink()


async def run_cell(cell: Cell, seed: int, source: Path, folder: Path) -> Outcome:
    """One run of one cell: the trouble begins at a random moment of the interval."""
    rng = random.Random(f"{cell} {seed}")
    began = T0 + 3 * INTERVAL + rng.random() * INTERVAL
    theirs = losses(cell, began, rng)
    async with copied(source, folder / f"run-{os.getpid()}.sqlite3") as database:
        simulation = Simulation(database, cell.tenants, theirs, INTERVAL / cell.ratio)
        await simulation.prepare(began)
        to_the_end = cell.kind in (WaveKind.EACH, WaveKind.DAY)
        return await simulation.run(began, began + timedelta(days=3), to_the_end=to_the_end)


LOSSES_A_YEAR = 6
PERMISSIONS = tuple(f"permission{number:02}" for number in range(65))


async def run_independent(tenants: int, days: int, seed: int, source: Path, folder: Path) -> Outcome:
    """Independent losses, six a year and tenant; the operator releases what is held twice a day."""
    rng = random.Random(f"independent {tenants} {days} {seed}")
    began = T0 + 3 * INTERVAL
    theirs: dict[int, list[Loss]] = {}
    for number in range(tenants):
        count = sum(rng.random() < days / 365 for _ in range(LOSSES_A_YEAR))
        for what in rng.sample(PERMISSIONS, count):
            theirs.setdefault(number, []).append((began + rng.random() * timedelta(days=days), what))
    async with copied(source, folder / f"run-{os.getpid()}.sqlite3") as database:
        simulation = Simulation(
            database,
            tenants,
            theirs,
            INTERVAL / 16,
            permissions=PERMISSIONS,
            releases_every=timedelta(hours=12),
        )
        await simulation.prepare(began)
        return await simulation.run(began, began + timedelta(days=days + 1), to_the_end=True)
