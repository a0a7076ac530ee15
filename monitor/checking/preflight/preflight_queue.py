"""Pre-flights under way and done: a few at once, a bounded number kept, and none for longer than an hour."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import token_urlsafe
from typing import Any

import structlog

from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import State
from monitor.checking.preflight.preflight_check import PreflightCheck, PreflightOrder

log = structlog.get_logger()

MOST_RUNNING = 4
MOST_OPEN = 12
MOST_KEPT = 1000
KEPT_FOR = timedelta(hours=1)


class PreflightState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


@dataclass(eq=False, slots=True)
class Preflight:
    """One that was accepted; it holds no secret. Done without a `result`, it was broken off."""

    id: str
    created_at: datetime
    state: PreflightState = PreflightState.QUEUED
    done_at: datetime | None = None
    result: dict[str, Any] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, seconds: float) -> None:
        """Until it is done, or so many seconds have passed."""
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            pass


class PreflightQueue:
    def __init__(
        self,
        check: PreflightCheck,
        breaker: CircuitBreaker,
        now: Callable[[], datetime],
        new_id: Callable[[], str] = token_urlsafe,
    ) -> None:
        self._check = check
        self._breaker = breaker
        self._now = now
        self._new_id = new_id
        self._places = asyncio.Semaphore(MOST_RUNNING)
        self._kept: dict[str, Preflight] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def paused(self) -> bool:
        """Checks of all tenants are paused; a pre-flight must not be the one that is sent ahead, either."""
        return self._breaker.state in (State.PAUSED, State.PROBING)

    def submit(self, order: PreflightOrder) -> Preflight | None:
        """None if as many as may be are waiting or running."""
        self._forget_old()
        if len(self._tasks) >= MOST_OPEN:
            return None
        preflight = Preflight(self._new_id(), self._now())
        self._kept[preflight.id] = preflight
        task = asyncio.create_task(self._run(preflight, order), name=f"preflight-{preflight.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return preflight

    def find(self, preflight_id: str) -> Preflight | None:
        self._forget_old()
        return self._kept.get(preflight_id)

    async def stop(self) -> None:
        """Breaks off those that are open: nothing of them is stored, and whoever asked can ask again."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, preflight: Preflight, order: PreflightOrder) -> None:
        try:
            async with self._places:
                preflight.state = PreflightState.RUNNING
                preflight.result = await self._check.run(order)
            _log(preflight, order)
        except Exception:
            log.exception("preflight_broke_off", preflight=preflight.id, tenant=order.tenant)
        finally:
            preflight.state = PreflightState.DONE
            preflight.done_at = self._now()
            preflight.ended.set()

    def _forget_old(self) -> None:
        done = [kept for kept in self._kept.values() if kept.done_at is not None]
        old = [kept for kept in done if kept.done_at is not None and kept.done_at < self._now() - KEPT_FOR]
        for kept in {*old, *done[: max(len(done) - MOST_KEPT, 0)]}:
            del self._kept[kept.id]


def _log(preflight: Preflight, order: PreflightOrder) -> None:
    found = preflight.result
    if found is None:
        return
    log.info(
        "checked_before_flight",
        preflight=preflight.id,
        tenant=order.tenant,
        kind=order.kind.value,
        outcome=found["outcome"],
        state=found["credential"]["state"],
        requests=found["requests"],
        seconds=found["duration_seconds"],
    )
