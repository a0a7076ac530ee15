"""Runs the service's periodic tasks: none concurrently with itself, all of them at once after the clock was set."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from checks.errors import ReadFailed
from monitor.clock import ClockJumps, utc_now
from monitor.errors import StoreError

log = structlog.get_logger()

CLOCK_CHECK_SECONDS = 1.0
NOTICEABLE_JUMP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    run: Callable[[], Awaitable[None]]
    every: timedelta


class _Every(BaseTrigger):  # type: ignore[misc]  # version 3 of the scheduler has no types
    """Counts from now. The scheduler's own interval trigger steps through every run that a forward jump skipped."""

    def __init__(self, every: timedelta) -> None:
        self._every = every

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return now + self._every


class PeriodicTaskObserver(Protocol):
    """Is told of every run, and whenever the clock was set."""

    def task_worked(self, name: str) -> None: ...

    def task_failed(self, name: str) -> None: ...

    def clock_jumped(self) -> None: ...


class PeriodicTasks:
    """One job per task. A late task runs once; one that fails is logged, and runs again at its next time."""

    def __init__(
        self, tasks: Mapping[str, PeriodicTask], clock_jumps: ClockJumps, observer: PeriodicTaskObserver
    ) -> None:
        # Without misfire_grace_time=None, APScheduler 3 drops a run that is more than a second late.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._clock_jumps = clock_jumps
        self._observer = observer
        self._running: set[asyncio.Task[None]] = set()
        self._failing: dict[str, str] = {}
        self._clock_watch: asyncio.Task[None] | None = None
        for name, task in tasks.items():
            self._scheduler.add_job(self._run, _Every(task.every), (name, task.run), id=name)

    def start(self, *first: str) -> None:
        """The tasks named run at once, the others after their first interval."""
        for name in first:
            self._scheduler.modify_job(name, next_run_time=utc_now())
        self._scheduler.start()
        self._clock_watch = asyncio.create_task(self._watch_clock(), name="clock")

    async def stop(self, seconds: float) -> None:
        """Start no more tasks; those running, such as one handing over an email, get so many seconds to finish."""
        self._scheduler.pause()
        if self._clock_watch is not None:
            self._clock_watch.cancel()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()
        self._scheduler.shutdown(wait=False)

    async def _watch_clock(self) -> None:
        """The scheduler plans by the time of day: after the clock was set back a day, nothing would run for a day."""
        while True:
            await asyncio.sleep(CLOCK_CHECK_SECONDS)
            jump = self._clock_jumps.since_last()
            if abs(jump) > NOTICEABLE_JUMP_SECONDS:
                log.warning("clock_jumped", seconds=round(jump, 1))
                self._observer.clock_jumped()
                for job in self._scheduler.get_jobs():
                    job.modify(next_run_time=utc_now())

    async def _run(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._guarded(name, run), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # The scheduler cancels its jobs when it is shut down; the task itself ends when `stop` decides.
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)

    async def _guarded(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        # A task is a `beat` in logs and metrics, which docs/metrics.md promises: these names stay.
        except (StoreError, ReadFailed) as problem:
            self._observer.task_failed(name)
            self._log_once(name, str(problem))
        except Exception:
            self._observer.task_failed(name)
            log.exception("beat_failed", beat=name)
        else:
            self._observer.task_worked(name)
            if self._failing.pop(name, None) is not None:
                log.info("beat_recovered", beat=name)

    def _log_once(self, name: str, problem: str) -> None:
        """A problem of the database or a drive is logged once, not at every run for as long as it lasts."""
        if self._failing.get(name) != problem:
            log.error("beat_failed", beat=name, problem=problem)
        self._failing[name] = problem
