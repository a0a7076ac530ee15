"""Checks in parallel in one process: bounded, independent of each other, ended in time."""

import asyncio

import pytest

from monitor.checking.engine.local import REST_SECONDS, LocalEngine


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now


async def forever(_: int) -> None:
    await asyncio.Event().wait()


async def test_no_more_jobs_run_than_the_concurrency_allows_and_none_twice() -> None:
    """Of five credentials dispatched twice, three run; the others stay due."""
    engine = LocalEngine(forever, 3, Clock().read)
    engine.dispatch([1, 2, 3, 4, 5])
    engine.dispatch([1, 2, 3, 4, 5])
    assert engine.busy == {1, 2, 3}
    assert engine.free == 0
    await engine.stop(0)


async def test_a_job_that_fails_affects_only_itself_and_waits_a_minute() -> None:
    """Its credential stays due and is not retried at once; the others go on."""
    clock, done = Clock(), []

    async def job(credential_id: int) -> None:
        if credential_id == 1:
            raise RuntimeError("broken")
        done.append(credential_id)

    engine = LocalEngine(job, 10, clock.read)
    engine.dispatch([1, 2])
    await asyncio.sleep(0.01)
    assert (done, engine.busy, engine.free) == ([2], {1}, 10)
    clock.now = REST_SECONDS + 1
    assert engine.busy == frozenset()


async def test_stopping_waits_for_jobs_and_cancels_those_that_take_too_long() -> None:
    """A quick job ends, a slow one is cancelled after the set time, and no new one starts."""
    ended = []

    async def job(credential_id: int) -> None:
        await asyncio.sleep(0.05 if credential_id == 1 else 60)
        ended.append(credential_id)

    engine = LocalEngine(job, 10, Clock().read)
    engine.dispatch([1, 2])
    async with asyncio.timeout(20):
        await engine.stop(0.5)
    engine.dispatch([3])
    assert (ended, engine.busy, engine.free) == ([1], frozenset(), 0)


@pytest.mark.parametrize("seconds", [0, 5])
async def test_stopping_an_idle_engine_takes_no_time(seconds: float) -> None:
    """If no job runs, it returns at once."""
    engine = LocalEngine(forever, 3, Clock().read)
    async with asyncio.timeout(2.5):
        await engine.stop(seconds)
    assert engine.free == 0
