"""Which due credentials begin now: what presses at once, the rest without a burst.

Nothing while the database fails; no more than the breaker lets.
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


class Dispatcher:
    """Hands credentials to its engine. `check` is one look at one credential, by number.

    Where the database does not take what a look has to write, looks pause: one at a time finds out whether it does.
    """

    def __init__(
        self,
        db: Database,
        check: Callable[[int], Awaitable[None]],
        metrics: Metrics,
        breaker: CircuitBreaker,
        *,
        places: int,
        interval: timedelta,
        clock: Callable[[], float],
    ) -> None:
        self.engine = LocalEngine(self._check, places, clock)
        self._db = db
        self._job = check
        self._metrics = metrics
        self._breaker = breaker
        self._ahead = _Ahead()
        self._interval = interval
        self._clock = clock
        self._catch_up = CatchUp()
        self._paused_until: float | None = None

    async def tick(self, now: datetime) -> None:
        """Begin what is due and may begin."""
        if self._places <= 0:
            return
        try:
            async with self._db.reading() as conn:
                watched = await claim_queries.watched(conn)
                due = await self._due(conn, now)
        except StoreError as problem:
            self._store_failed(problem)
            return
        self._begin(due, watched)

    @property
    def _places(self) -> int:
        engine, breaker = self.engine, self._breaker
        room = breaker.capacity(engine.free, engine.running)
        if breaker.state is State.PROBING and self._ahead.is_under_way(engine.busy):
            return 0
        if self._paused_until is None:
            return room
        return min(room, int(engine.running == 0 and self._clock() >= self._paused_until))

    async def _due(self, conn: AsyncConnection, now: datetime) -> Due:
        match self._breaker.state:
            case State.PROBING:
                return Due(await self._ahead.pick(conn, now, self.engine.busy), [])
            case State.CLOSED:
                self._ahead = _Ahead()
        return await claim_queries.due(conn, now, self._places, self.engine.busy)

    def _begin(self, due: Due, watched: int) -> None:
        pressing = due.pressing[: self._places]
        room = self._places - len(pressing)
        allowed = self._catch_up.allowed(watched, self._interval, self._clock())
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


class _Ahead:
    """Which credential goes ahead after a pause: another one each time, as long as there is one, and a sound one."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._sent: set[int] = set()

    def is_under_way(self, busy: Collection[int]) -> bool:
        return self._last in busy

    async def pick(self, conn: AsyncConnection, now: datetime, busy: Collection[int]) -> list[int]:
        """One, or none if nothing is due."""
        picked = await claim_queries.soundest_due(conn, now, self._sent.union(busy))
        if picked is None and self._sent:
            self._sent.clear()
            picked = await claim_queries.soundest_due(conn, now, busy)
        if picked is None:
            return []
        self._last = picked
        self._sent.add(picked)
        return [picked]
