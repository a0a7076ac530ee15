"""Periodic tasks, run by a real scheduler."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from monitor.clock import ClockJumps
from monitor.errors import StoreError
from monitor.periodic import PeriodicTask, PeriodicTasks
from tests.reports import T0

OFTEN = timedelta(milliseconds=20)
A_DAY = timedelta(days=1)


async def until(found: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not found():
            await asyncio.sleep(0.01)


@dataclass
class Observed:
    """The names of tasks, once for each run, and how often the clock was set."""

    failed: list[str] = field(default_factory=list)
    worked: list[str] = field(default_factory=list)
    jumps: int = 0

    def task_failed(self, name: str) -> None:
        self.failed.append(name)

    def task_worked(self, name: str) -> None:
        self.worked.append(name)

    def clock_jumped(self) -> None:
        self.jumps += 1


@asynccontextmanager
async def running(**tasks: PeriodicTask) -> AsyncIterator[Observed]:
    observed = Observed()
    periodic = PeriodicTasks(tasks, ClockJumps(lambda: T0, lambda: 0.0), observed)
    periodic.start(*tasks)
    yield observed
    await periodic.stop(1)


async def test_a_database_problem_is_logged_once_and_so_is_its_end() -> None:
    """Hours without the database do not fill the log, but each failure counts; another problem is logged again."""
    problems = ["no room", "no room", "no room", "locked", "locked"]
    runs = []

    async def run() -> None:
        runs.append(1)
        if problems:
            raise StoreError(problems.pop(0))

    with capture_logs() as logged:
        async with running(tick=PeriodicTask(run, OFTEN)) as observed:
            await until(lambda: len(observed.worked) > 1)
    events = [(line["event"], line.get("problem")) for line in logged]
    assert events == [("beat_failed", "no room"), ("beat_failed", "locked"), ("beat_recovered", None)]
    assert observed.failed == ["tick"] * 5
    assert set(observed.worked) == {"tick"}


async def test_a_task_that_crashes_is_logged_every_time_and_runs_again() -> None:
    """A bug is no database problem: each crash is logged with its traceback."""
    runs = []

    async def run() -> None:
        runs.append(1)
        raise RuntimeError("broken")

    with capture_logs() as logged:
        async with running(tick=PeriodicTask(run, OFTEN)) as observed:
            await until(lambda: len(runs) >= 3)
    assert [line["event"] for line in logged] == ["beat_failed"] * len(runs)
    assert (observed.failed, observed.worked) == (["tick"] * len(runs), [])


async def test_setting_the_clock_runs_every_task_at_once() -> None:
    """Forward or back: a task that is due tomorrow runs now, and the jump is counted."""
    runs: list[int] = []
    observed, now = Observed(), [T0]

    async def run() -> None:
        runs.append(1)

    clock = ClockJumps(lambda: now[0], lambda: 0.0)
    periodic = PeriodicTasks({"daily": PeriodicTask(run, A_DAY)}, clock, observed)
    with capture_logs() as logged:
        periodic.start()
        for moved in (-A_DAY, A_DAY):
            now[0] += moved
            before = len(runs)
            await until(lambda before=before: len(runs) > before)
        await periodic.stop(1)
    assert (len(runs), observed.jumps) == (2, 2)
    assert [line["seconds"] for line in logged if line["event"] == "clock_jumped"] == [-86400, 86400]
