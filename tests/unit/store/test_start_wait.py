"""How a start waits: it says so once, then rarely, and ends when it is told to or when the time is over."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from monitor.errors import StoreAway, StoreError
from monitor.store import start_wait
from monitor.store.start_wait import StoppedWaiting, once_it_is_there


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_wait, "_PAUSES", (0.001,))


class LateDatabase:
    """There at the n-th try; until then it raises what it is given."""

    def __init__(self, tries: int, problem: StoreError, each: Callable[[int], None] = lambda _: None) -> None:
        self.tries = tries
        self.problem = problem
        self.each = each
        self.tried = 0

    async def open(self) -> str:
        self.tried += 1
        self.each(self.tried)
        if self.tried < self.tries:
            raise self.problem
        return "opened"


AWAY = StoreAway("the database db:5432/store cannot be used")


async def test_a_database_that_comes_late_is_opened() -> None:
    """One line when the wait begins, with the reason and its limit, and one at its end."""
    late = LateDatabase(20, AWAY)
    with capture_logs() as logged:
        assert await once_it_is_there(late.open, timedelta(minutes=10), asyncio.Event()) == "opened"
    waiting, there = logged
    assert (waiting["event"], waiting["problem"]) == ("waiting_for_database", str(AWAY))
    assert waiting["gives_up_in_seconds"] == 600
    assert there["event"] == "database_is_there"


async def test_a_long_wait_is_told_of_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every minute, however often it is tried."""
    seconds = iter(range(0, 10_000, 7))
    monkeypatch.setattr(start_wait, "elapsed", lambda: float(next(seconds)))
    with capture_logs() as logged, pytest.raises(StoreAway):
        await once_it_is_there(LateDatabase(1000, AWAY).open, timedelta(minutes=5), asyncio.Event())
    assert [line["gives_up_in_seconds"] // 60 for line in logged] == [4, 3, 2, 1, 0]


async def test_a_database_that_is_there_is_not_waited_for() -> None:
    """Nothing is said, as nothing is the matter."""
    with capture_logs() as logged:
        assert await once_it_is_there(LateDatabase(1, AWAY).open, timedelta(0), asyncio.Event()) == "opened"
    assert logged == []


async def test_what_does_not_pass_ends_the_start_at_once() -> None:
    """And so does anything if no wait is wanted."""
    for problem, longest in ((StoreError("wrong password"), timedelta(minutes=10)), (AWAY, timedelta(0))):
        late = LateDatabase(2, problem)
        with pytest.raises(StoreError):
            await once_it_is_there(late.open, longest, asyncio.Event())
        assert late.tried == 1, problem


async def test_a_stop_ends_the_wait() -> None:
    """Between two tries, not after the next one."""
    stop = asyncio.Event()
    late = LateDatabase(1000, AWAY, lambda tried: stop.set() if tried == 3 else None)
    with pytest.raises(StoppedWaiting):
        await once_it_is_there(late.open, timedelta(minutes=10), stop)
    assert late.tried == 3
