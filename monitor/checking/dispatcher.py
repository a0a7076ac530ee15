"""Which due credentials are checked now: second and first checks at once, the rest without a burst.

None while the database fails, and no more than the breaker allows.
"""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import State
from monitor.checking import claim_queries
from monitor.checking.claim_queries import Due
from monitor.checking.engine.local import LocalEngine
from monitor.checking.schedule import CatchUp
from monitor.errors import StoreError
from monitor.metrics import Metrics
from monitor.store.database import Database

log = structlog.get_logger()

TRY_AGAIN_SECONDS = 5.0
LOCKED_SECONDS = 5.0


class Dispatcher:
    """Hands credentials to its engine. `check` is one check of one credential, by number.

    While the database cannot be written, checks pause: a write that changes nothing, and then one check at a time, find
    out whether it can.
    """

    def __init__(
        self,
        db: Database,
        check: Callable[[int], Awaitable[None]],
        metrics: Metrics,
        breaker: CircuitBreaker,
        *,
        concurrency: int,
        interval: timedelta,
        clock: Callable[[], float],
    ) -> None:
        self.engine = LocalEngine(self._check, concurrency, clock)
        self._db = db
        self._job = check
        self._metrics = metrics
        self._breaker = breaker
        self._probes = _Probes()
        self._interval = interval
        self._clock = clock
        self._catch_up = CatchUp()
        self._paused_until: float | None = None

    async def tick(self, now: datetime) -> None:
        """Begin what is due and may begin."""
        self._notice_a_lock()
        if self._room <= 0:
            return
        try:
            if self._paused_until is not None:
                await self._db.try_write()
            async with self._db.reading() as conn:
                checked = await claim_queries.count_checked(conn)
                due = await self._due(conn, now)
        except StoreError as problem:
            self._store_failed(problem)
            return
        if not due.pressing and not due.ordinary:
            self._store_works()
        self._begin(due, checked)

    def _notice_a_lock(self) -> None:
        """Before those who wait for it give up, one after another."""
        seconds = self._db.locked_seconds
        if seconds >= LOCKED_SECONDS:
            problem = f"the database {self._db.name} has been locked for {seconds:.0f} seconds"
            self._store_failed(StoreError(f"{problem}: find out which other program keeps it locked"))

    @property
    def _room(self) -> int:
        engine, breaker = self.engine, self._breaker
        room = breaker.capacity(engine.free, engine.running)
        if breaker.state is State.PROBING and self._probes.is_under_way(engine.busy):
            return 0
        if self._paused_until is None:
            return room
        return min(room, int(engine.running == 0 and self._clock() >= self._paused_until))

    async def _due(self, conn: AsyncConnection, now: datetime) -> Due:
        match self._breaker.state:
            case State.PROBING:
                return Due(await self._probes.pick(conn, now, self.engine.busy), [])
            case State.CLOSED:
                self._probes = _Probes()
        return await claim_queries.due(conn, now, self._room, self.engine.busy)

    def _begin(self, due: Due, checked: int) -> None:
        # `_room` is asked again: breaker and jobs moved on while the database answered.
        pressing = due.pressing[: self._room]
        room = self._room - len(pressing)
        allowed = self._catch_up.allowed(checked, self._interval, self._clock())
        ordinary = due.ordinary[: min(room, allowed)]
        self._catch_up.begun(len(ordinary))
        self.engine.dispatch([*pressing, *ordinary])

    async def _check(self, credential_id: int) -> None:
        try:
            await self._job(credential_id)
        except StoreError as problem:
            self._store_failed(problem)
        else:
            self._store_works()

    def _store_failed(self, problem: StoreError) -> None:
        if self._paused_until is None:
            log.error("checks_paused", problem=str(problem))
            self._metrics.database_trouble(True)
        self._paused_until = self._clock() + TRY_AGAIN_SECONDS

    def _store_works(self) -> None:
        if self._paused_until is not None:
            self._paused_until = None
            log.info("checks_go_on")
            self._metrics.database_trouble(False)


class _Probes:
    """Which credential is probed after a pause: another one each time if possible, and one without trouble."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._sent: set[int] = set()

    def is_under_way(self, busy: Collection[int]) -> bool:
        return self._last in busy

    async def pick(self, conn: AsyncConnection, now: datetime, busy: Collection[int]) -> list[int]:
        """One, or none if nothing is due."""
        picked = await claim_queries.probe_due(conn, now, self._sent.union(busy))
        if picked is None and self._sent:
            self._sent.clear()
            picked = await claim_queries.probe_due(conn, now, busy)
        if picked is None:
            return []
        self._last = picked
        self._sent.add(picked)
        return [picked]
