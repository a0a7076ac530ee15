"""Which due credentials begin now: what presses at once, the rest without a burst, nothing while the database fails."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from monitor.engine.local import LocalEngine
from monitor.errors import StoreError
from monitor.metrics import Metrics
from monitor.schedule import CatchUp
from monitor.store import credentials
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
        *,
        places: int,
        interval: timedelta,
        clock: Callable[[], float],
    ) -> None:
        self.engine = LocalEngine(self._check, places, clock)
        self._db = db
        self._job = check
        self._metrics = metrics
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
                watched = await credentials.watched(conn)
                due = await credentials.due(conn, now, self._places, self.engine.busy)
        except StoreError as problem:
            self._store_failed(problem)
            return
        self._begin(due, watched)

    @property
    def _places(self) -> int:
        if self._paused_until is None:
            return self.engine.free
        return int(self.engine.idle and self._clock() >= self._paused_until)

    def _begin(self, due: credentials.Due, watched: int) -> None:
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
