"""Periodic tasks, run by a real scheduler."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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


@asynccontextmanager
async def running(**tasks: PeriodicTask) -> AsyncIterator[list[str]]:
    """The names of tasks that failed, once for each failure."""
    failed: list[str] = []
    periodic = PeriodicTasks(tasks, ClockJumps(lambda: T0, lambda: 0.0), lambda: None, failed.append)
    periodic.start(*tasks)
    yield failed
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
        async with running(tick=PeriodicTask(run, OFTEN)) as failed:
            await until(lambda: len(runs) > 6)
    events = [(line["event"], line.get("problem")) for line in logged]
    assert events == [("beat_failed", "no room"), ("beat_failed", "locked"), ("beat_recovered", None)]
    assert failed == ["tick"] * 5


async def test_a_task_that_crashes_is_logged_every_time_and_runs_again() -> None:
    """A bug is no database problem: each crash is logged with its traceback."""
    runs = []

    async def run() -> None:
        runs.append(1)
        raise RuntimeError("broken")

    with capture_logs() as logged:
        async with running(tick=PeriodicTask(run, OFTEN)) as failed:
            await until(lambda: len(runs) >= 3)
    assert [line["event"] for line in logged] == ["beat_failed"] * len(runs)
    assert failed == ["tick"] * len(runs)


async def test_setting_the_clock_runs_every_task_at_once() -> None:
    """Forward or back: a task that is due tomorrow runs now, and the jump is counted."""
    runs: list[int] = []
    jumped: list[int] = []
    now = [T0]

    async def run() -> None:
        runs.append(1)

    clock = ClockJumps(lambda: now[0], lambda: 0.0)
    periodic = PeriodicTasks({"daily": PeriodicTask(run, A_DAY)}, clock, lambda: jumped.append(1), lambda _: None)
    with capture_logs() as logged:
        periodic.start()
        for moved in (-A_DAY, A_DAY):
            now[0] += moved
            before = len(runs)
            await until(lambda before=before: len(runs) > before)
        await periodic.stop(1)
    assert (len(runs), len(jumped)) == (2, 2)
    assert [line["seconds"] for line in logged if line["event"] == "clock_jumped"] == [-86400, 86400]
