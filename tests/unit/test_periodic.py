"""The beats of the service, turned by a real scheduler."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from monitor.clock import Jumps
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
async def turning(**beats: PeriodicTask) -> AsyncIterator[list[str]]:
    failed: list[str] = []
    clockwork = PeriodicTasks(beats, Jumps(lambda: T0, lambda: 0.0), lambda: None, failed.append)
    clockwork.start(*beats)
    yield failed
    await clockwork.stop(1)


async def test_trouble_with_the_database_is_told_once_and_so_is_its_end() -> None:
    """A database that is away for hours fills no log, though each turn counts; another reason is told anew."""
    said = ["no room", "no room", "no room", "locked", "locked"]
    turns = []

    async def beat() -> None:
        turns.append(1)
        if said:
            raise StoreError(said.pop(0))

    with capture_logs() as logged:
        async with turning(tick=PeriodicTask(beat, OFTEN)) as failed:
            await until(lambda: len(turns) > 6)
    told = [(line["event"], line.get("problem")) for line in logged]
    assert told == [("beat_failed", "no room"), ("beat_failed", "locked"), ("beat_recovered", None)]
    assert failed == ["tick"] * 5


async def test_a_beat_that_breaks_is_told_every_time_and_turns_again() -> None:
    """A mistake of ours is no trouble of the database: each is told, with its traceback."""
    turns = []

    async def beat() -> None:
        turns.append(1)
        raise RuntimeError("broken")

    with capture_logs() as logged:
        async with turning(tick=PeriodicTask(beat, OFTEN)) as failed:
            await until(lambda: len(turns) >= 3)
    assert [line["event"] for line in logged] == ["beat_failed"] * len(turns)
    assert failed == ["tick"] * len(turns)


async def test_a_clock_that_was_set_starts_every_beat_anew() -> None:
    """Whichever way: a beat that waits for tomorrow comes at once, and the jump is counted."""
    turns: list[int] = []
    jumped: list[int] = []
    now = [T0]

    async def beat() -> None:
        turns.append(1)

    jumps = Jumps(lambda: now[0], lambda: 0.0)
    clockwork = PeriodicTasks({"daily": PeriodicTask(beat, A_DAY)}, jumps, lambda: jumped.append(1), lambda _: None)
    with capture_logs() as logged:
        clockwork.start()
        for moved in (-A_DAY, A_DAY):
            now[0] += moved
            before = len(turns)
            await until(lambda before=before: len(turns) > before)
        await clockwork.stop(1)
    assert (len(turns), len(jumped)) == (2, 2)
    assert [line["seconds"] for line in logged if line["event"] == "clock_jumped"] == [-86400, 86400]
