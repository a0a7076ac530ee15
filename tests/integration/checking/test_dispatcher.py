"""When checks start: urgent ones at once, late ones without a burst, none while the database fails."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from checks.answer import Answer, AnswerKind
from monitor.breaker.circuit_breaker import SLOW_CONCURRENCY_DIVISOR, CircuitBreaker
from monitor.breaker.machine import Limits, State, TrackedCheck
from monitor.breaker.recent_tenants import MANY
from monitor.checking import claim_queries
from monitor.checking.dispatcher import TRY_AGAIN_SECONDS, Dispatcher
from monitor.checking.schedule import CATCH_UP_AT_ONCE, CATCH_UP_FACTOR
from monitor.errors import StoreError
from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL
from tests.reports import HOUR, POLICY, T0
from tests.store import LEASE, a_tenant, sync


class DispatcherHarness:
    """A dispatcher on a database with credentials, and a clock that the test sets."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.metrics = Metrics("test")
        self.seconds = 0.0
        self.begun: list[int] = []
        self.trouble: StoreError | None = None
        self.limits = Limits.of(60)
        self.breaker = CircuitBreaker(self.limits, clock=lambda: self.seconds, jitter=lambda: 0.0)
        self.answer: Answer | None = Answer(AnswerKind.JSON, 200)
        self.hangs = False
        self.tickets: list[TrackedCheck] = []
        self.dispatcher = Dispatcher(
            database,
            self.check,
            self.metrics,
            self.breaker,
            concurrency=1000,
            interval=POLICY.interval,
            clock=lambda: self.seconds,
        )

    async def check(self, credential_id: int) -> None:
        self.begun.append(credential_id)
        if self.trouble is not None:
            raise self.trouble
        with self.breaker.track(str(credential_id)) as ticket:
            self.tickets.append(ticket)
            if self.hangs:
                await asyncio.Event().wait()
            if self.answer is not None:
                self.breaker.record(ticket, self.answer)
        if self.breaker.state is State.PAUSED:
            return
        async with self.database.writing() as conn:
            await claim_queries.claim_due(conn, credential_id, T0, POLICY.interval, leased_until=T0 + LEASE)

    async def tick(self) -> int:
        """One tick and all checks it started, to their end; returns how many that were."""
        before = len(self.begun)
        await self.dispatcher.tick(T0)
        while self.dispatcher.engine.running:
            await asyncio.sleep(0.001)
        return len(self.begun) - before

    async def begin(self) -> int:
        """One tick; returns how many checks it started."""
        before = len(self.begun)
        await self.dispatcher.tick(T0)
        await asyncio.sleep(0.001)
        return len(self.begun) - before

    def trip(self) -> None:
        for number in range(MANY):
            with self.breaker.track(f"other{number}") as ticket:
                self.breaker.record(ticket, Answer(AnswerKind.RATE_LIMITED, 429))

    def pause(self) -> None:
        self.trip()
        self.seconds += self.limits.slow_before_pause
        assert self.breaker.state is State.PAUSED

    @property
    def reports_trouble(self) -> bool:
        return "harvest_monitor_database_trouble 1.0" in self.metrics.render()[0].decode()


@asynccontextmanager
async def dispatcher_harness(
    database: Database, credentials: int, *, checked: bool = True
) -> AsyncIterator[DispatcherHarness]:
    await sync(database, *(a_tenant(f"t{number:04}") for number in range(credentials)), now=T0 - HOUR)
    if checked:
        async with database.writing() as conn:
            await conn.execute(update(CREDENTIAL).values(last_checked_at=T0 - 24 * HOUR))
    yield DispatcherHarness(database)


async def test_after_an_outage_late_checks_follow_without_a_burst(sqlite: Database) -> None:
    """A few at once, then four times the ordinary rate: all of them within a quarter of the interval."""
    async with dispatcher_harness(sqlite, credentials=800) as harness:
        assert await harness.tick() == CATCH_UP_AT_ONCE
        assert await harness.tick() == 0
        begun = CATCH_UP_AT_ONCE
        rate = CATCH_UP_FACTOR * 800 / POLICY.interval.total_seconds()
        while begun < 800:
            harness.seconds += 10
            checks = await harness.tick()
            assert checks <= 10 * rate + 1
            begun += checks
        assert harness.seconds <= POLICY.interval.total_seconds() / CATCH_UP_FACTOR + 10


async def test_first_checks_and_confirmations_wait_for_no_backlog(sqlite: Database) -> None:
    """The first tick checks new and suspect credentials, however many others are late."""
    async with dispatcher_harness(sqlite, credentials=300) as harness:
        async with sqlite.writing() as conn:
            c = CREDENTIAL.c
            await conn.execute(update(CREDENTIAL).where(c.id.in_([290, 291])).values(last_checked_at=None))
            await conn.execute(update(CREDENTIAL).where(c.id == 300).values(suspects=1, next_due=T0))
        await harness.tick()
        assert harness.begun[:3] == [300, 290, 291]
        assert len(harness.begun) == 3 + CATCH_UP_AT_ONCE


async def test_a_new_installation_checks_everybody_at_once(sqlite: Database) -> None:
    """First checks are no backlog."""
    async with dispatcher_harness(sqlite, credentials=50, checked=False) as harness:
        assert await harness.tick() == 50


async def test_a_database_problem_pauses_all_checks_until_one_succeeds(sqlite: Database) -> None:
    """It is logged once; every few seconds one check tries, and the first that can write lets all go on."""
    async with dispatcher_harness(sqlite, credentials=20, checked=False) as harness:
        harness.trouble = StoreError("no room left")
        with capture_logs() as logged:
            assert await harness.tick() == 20
            assert await harness.tick() == 0
            assert harness.reports_trouble
            for _ in range(3):
                harness.seconds += TRY_AGAIN_SECONDS
                assert await harness.tick() == 1
                assert await harness.tick() == 0
            harness.trouble = None
            harness.seconds += TRY_AGAIN_SECONDS
            assert await harness.tick() == 1
            assert not harness.reports_trouble
            assert await harness.tick() == 19
    assert _events(logged) == [("checks_paused", "no room left"), ("checks_go_on", None)]


async def test_a_lock_pauses_checks_before_those_who_wait_give_up(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is due when it begins nor when it ends: a write that changes nothing finds out that it is over."""
    monkeypatch.setattr("monitor.checking.dispatcher.LOCKED_SECONDS", 0.1)
    async with dispatcher_harness(sqlite, credentials=1, checked=False) as harness:
        assert await harness.tick() == 1
        with closing(sqlite3.connect(str(sqlite.url.database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(sqlite.try_write())
            while sqlite.locked_seconds < 0.1:
                await asyncio.sleep(0.01)
            with capture_logs() as logged:
                await harness.tick()
            assert harness.reports_trouble
            other.execute("ROLLBACK")
            await waiting
        await harness.tick()
        assert harness.reports_trouble
        harness.seconds += TRY_AGAIN_SECONDS
        assert await harness.tick() == 0
        assert not harness.reports_trouble
    ((event, problem),) = _events(logged)
    assert event == "checks_paused"
    assert "has been locked for 0 seconds: find out which other program keeps it locked" in str(problem)


async def test_checks_stay_paused_while_nothing_can_be_written(sqlite: Database) -> None:
    """Something is due, yet no check begins that could not be recorded; the first write that works lets one try."""
    async with dispatcher_harness(sqlite, credentials=20, checked=False) as harness:
        harness.trouble = StoreError("no room left")
        assert await harness.tick() == 20
        harness.trouble = None
        path = Path(str(sqlite.url.database))
        await sqlite.close()
        path.rename(path.with_name("away"))
        for _ in range(3):
            harness.seconds += TRY_AGAIN_SECONDS
            assert await harness.tick() == 0
        path.with_name("away").rename(path)
        harness.seconds += TRY_AGAIN_SECONDS
        assert await harness.tick() == 1
        assert not harness.reports_trouble


async def test_a_slow_breaker_lets_a_quarter_of_the_checks_run(sqlite: Database) -> None:
    """Of a concurrency of 1000, 250 are used."""
    async with dispatcher_harness(sqlite, credentials=300, checked=False) as harness:
        harness.trip()
        harness.hangs = True
        assert await harness.begin() == 1000 // SLOW_CONCURRENCY_DIVISOR
        await harness.dispatcher.engine.stop(0)


async def test_no_check_starts_in_a_pause_and_only_one_after_it(sqlite: Database) -> None:
    """The others wait for the result of the one that probes."""
    async with dispatcher_harness(sqlite, credentials=10, checked=False) as harness:
        harness.pause()
        assert await harness.tick() == 0
        harness.seconds += harness.limits.longest_pause
        harness.hangs = True
        assert [await harness.begin(), await harness.begin()] == [1, 0]
        harness.breaker.record(harness.tickets[0], Answer(AnswerKind.JSON, 200))
        assert harness.breaker.state is State.SLOW
        assert await harness.begin() == 9
        await harness.dispatcher.engine.stop(0)


async def test_another_credential_probes_each_time_and_working_ones_first(sqlite: Database) -> None:
    """Three of five work; after all five have probed, it starts over."""
    async with dispatcher_harness(sqlite, credentials=5) as harness:
        async with sqlite.writing() as conn:
            c = CREDENTIAL.c
            await conn.execute(update(CREDENTIAL).where(c.id == 1).values(state="blocked"))
            await conn.execute(update(CREDENTIAL).where(c.id == 2).values(suspect_state="unreachable"))
        harness.pause()
        harness.answer = Answer(AnswerKind.TIMEOUT)
        for _ in range(8):
            harness.seconds += harness.limits.longest_pause
            assert (await harness.tick(), harness.breaker.state) == (1, State.PAUSED)
        assert [{*harness.begun[:3]}, {*harness.begun[3:5]}, {*harness.begun[5:]}] == [{3, 4, 5}, {1, 2}, {3, 4, 5}]


async def test_a_probe_that_sends_nothing_is_followed_by_another(sqlite: Database) -> None:
    """For example because its key cannot be read: the next tick sends another credential."""
    async with dispatcher_harness(sqlite, credentials=5) as harness:
        harness.pause()
        harness.seconds += harness.limits.longest_pause
        harness.answer = None
        assert [await harness.tick(), await harness.tick(), harness.breaker.state] == [1, 1, State.PROBING]
        assert len({*harness.begun}) == 2


async def test_no_credential_probes_if_none_is_due(sqlite: Database) -> None:
    """The breaker keeps waiting for a probe."""
    async with dispatcher_harness(sqlite, credentials=5) as harness:
        async with sqlite.writing() as conn:
            await conn.execute(update(CREDENTIAL).values(next_due=T0 + HOUR))
        harness.pause()
        harness.seconds += harness.limits.longest_pause
        assert [await harness.tick(), harness.breaker.state] == [0, State.PROBING]


async def test_a_database_that_cannot_be_read_pauses_too(sqlite: Database) -> None:
    """The tick itself does not fail: it logs the problem and tries again."""
    async with dispatcher_harness(sqlite, credentials=1) as harness:
        await sqlite.close()
        path = sqlite.url.database or ""
        with open(path, "r+b") as file:
            file.write(b"this is no database" * 300)
        with capture_logs() as logged:
            assert await harness.tick() == 0
        assert harness.reports_trouble
    assert [event for event, _ in _events(logged)] == ["checks_paused"]


def _events(logged: list[MutableMapping[str, Any]]) -> list[tuple[str, str | None]]:
    return [(line["event"], line.get("problem")) for line in logged]
