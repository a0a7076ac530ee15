"""The beats of the service: each at its own pace, never beside itself, and all anew when the clock is set."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from monitor.clock import Jumps, utc_now
from monitor.errors import StoreError

log = structlog.get_logger()

LOOK_AT_CLOCK_SECONDS = 1.0
NOTICEABLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    turn: Callable[[], Awaitable[None]]
    every: timedelta


class _Every(BaseTrigger):  # type: ignore[misc]  # version 3 of the scheduler has no types
    """From now on. The scheduler's own interval counts out every beat that a clock set ahead has passed over."""

    def __init__(self, every: timedelta) -> None:
        self._every = every

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return now + self._every


class PeriodicTasks:
    """One job per beat; a late beat runs once. A beat that fails is told of, and tried again at its next turn.

    `jumped` is told whenever the clock was set, `failed` the name of each beat that fails.
    """

    def __init__(
        self, beats: Mapping[str, PeriodicTask], jumps: Jumps, jumped: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._jumps = jumps
        self._jumped = jumped
        self._failed = failed
        self._running: set[asyncio.Task[None]] = set()
        self._failing: dict[str, str] = {}
        self._watch: asyncio.Task[None] | None = None
        for name, beat in beats.items():
            self._scheduler.add_job(self._run, _Every(beat.every), (name, beat.turn), id=name)

    def start(self, *first: str) -> None:
        """The beats named begin at once, the others when their time has come."""
        for name in first:
            self._scheduler.modify_job(name, next_run_time=utc_now())
        self._scheduler.start()
        self._watch = asyncio.create_task(self._watch_the_clock(), name="clock")

    async def stop(self, seconds: float) -> None:
        """No beat begins any more; one under way, such as a mail half handed over, may end within so many seconds."""
        self._scheduler.pause()
        if self._watch is not None:
            self._watch.cancel()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()
        self._scheduler.shutdown(wait=False)

    async def _watch_the_clock(self) -> None:
        """The scheduler plans by the time of day: with the clock set back a day, no beat would come for a day."""
        while True:
            await asyncio.sleep(LOOK_AT_CLOCK_SECONDS)
            jump = self._jumps.since_last()
            if abs(jump) > NOTICEABLE_SECONDS:
                log.warning("clock_jumped", seconds=round(jump, 1))
                self._jumped()
                for job in self._scheduler.get_jobs():
                    job.modify(next_run_time=utc_now())

    async def _run(self, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._guarded(name, turn), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # The scheduler cancels its jobs when it is shut down; the beat itself ends when `stop` says.
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)

    async def _guarded(self, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        try:
            await turn()
        except StoreError as problem:
            self._failed(name)
            self._tell_once(name, str(problem))
        except Exception:
            self._failed(name)
            log.exception("beat_failed", beat=name)
        else:
            if self._failing.pop(name, None) is not None:
                log.info("beat_recovered", beat=name)

    def _tell_once(self, name: str, problem: str) -> None:
        """The database's trouble is told once, and not at every turn for as long as it lasts."""
        if self._failing.get(name) != problem:
            log.error("beat_failed", beat=name, problem=problem)
        self._failing[name] = problem
