"""What begins when: pressing looks at once, late ones without a burst, none while the database fails."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

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


class Stand:
    """A dispatcher over a database of so many credentials, with a clock that is set by hand."""

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
        """One tick and what it began, to the end; how many looks that were."""
        before = len(self.begun)
        await self.dispatcher.tick(T0)
        while self.dispatcher.engine.running:
            await asyncio.sleep(0.001)
        return len(self.begun) - before

    async def begin(self) -> int:
        """One tick; how many looks it began."""
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
async def stand(database: Database, watched: int, *, looked_at: bool = True) -> AsyncIterator[Stand]:
    await sync(database, *(a_tenant(f"t{number:04}") for number in range(watched)), now=T0 - HOUR)
    if looked_at:
        async with database.writing() as conn:
            await conn.execute(update(CREDENTIAL).values(last_checked_at=T0 - 24 * HOUR))
    yield Stand(database)


async def test_after_an_outage_late_looks_follow_without_a_burst(sqlite: Database) -> None:
    """A handful at once, then four times the ordinary pace: everybody within a quarter of the interval."""
    async with stand(sqlite, watched=800) as it:
        assert await it.tick() == CATCH_UP_AT_ONCE
        assert await it.tick() == 0
        begun = CATCH_UP_AT_ONCE
        pace = CATCH_UP_FACTOR * 800 / POLICY.interval.total_seconds()
        while begun < 800:
            it.seconds += 10
            looks = await it.tick()
            assert looks <= 10 * pace + 1
            begun += looks
        assert it.seconds <= POLICY.interval.total_seconds() / CATCH_UP_FACTOR + 10


async def test_first_looks_and_second_ones_wait_for_no_backlog(sqlite: Database) -> None:
    """Whoever is new, or in doubt, is looked at by the first tick, however many are late."""
    async with stand(sqlite, watched=300) as it:
        async with sqlite.writing() as conn:
            c = CREDENTIAL.c
            await conn.execute(update(CREDENTIAL).where(c.id.in_([290, 291])).values(last_checked_at=None))
            await conn.execute(update(CREDENTIAL).where(c.id == 300).values(suspects=1, next_due=T0))
        await it.tick()
        assert it.begun[:3] == [300, 290, 291]
        assert len(it.begun) == 3 + CATCH_UP_AT_ONCE


async def test_a_new_installation_looks_at_everybody_at_once(sqlite: Database) -> None:
    """First looks are no backlog."""
    async with stand(sqlite, watched=50, looked_at=False) as it:
        assert await it.tick() == 50


async def test_trouble_with_the_database_pauses_all_and_one_finds_out(sqlite: Database) -> None:
    """It is told once; every few seconds one look tries, and the first that can write lets all go on."""
    async with stand(sqlite, watched=20, looked_at=False) as it:
        it.trouble = StoreError("no room left")
        with capture_logs() as logged:
            assert await it.tick() == 20
            assert await it.tick() == 0
            assert it.reports_trouble
            for _ in range(3):
                it.seconds += TRY_AGAIN_SECONDS
                assert await it.tick() == 1
                assert await it.tick() == 0
            it.trouble = None
            it.seconds += TRY_AGAIN_SECONDS
            assert await it.tick() == 1
            assert not it.reports_trouble
            assert await it.tick() == 19
    assert _told(logged) == [("checks_paused", "no room left"), ("checks_go_on", None)]


async def test_a_breaker_that_is_slow_lets_a_quarter_begin(sqlite: Database) -> None:
    """Of a thousand places 250 are used."""
    async with stand(sqlite, watched=300, looked_at=False) as it:
        it.trip()
        it.hangs = True
        assert await it.begin() == 1000 // SLOW_CONCURRENCY_DIVISOR
        await it.dispatcher.engine.stop(0)


async def test_nothing_begins_in_a_pause_and_one_after_it(sqlite: Database) -> None:
    """Until the one that goes ahead is heard of, the others wait."""
    async with stand(sqlite, watched=10, looked_at=False) as it:
        it.pause()
        assert await it.tick() == 0
        it.seconds += it.limits.longest_pause
        it.hangs = True
        assert [await it.begin(), await it.begin()] == [1, 0]
        it.breaker.record(it.tickets[0], Answer(AnswerKind.JSON, 200))
        assert it.breaker.state is State.SLOW
        assert await it.begin() == 9
        await it.dispatcher.engine.stop(0)


async def test_another_goes_ahead_each_time_and_a_sound_one_first(sqlite: Database) -> None:
    """Nothing is held against three of five; when all have been sent, it begins anew."""
    async with stand(sqlite, watched=5) as it:
        async with sqlite.writing() as conn:
            c = CREDENTIAL.c
            await conn.execute(update(CREDENTIAL).where(c.id == 1).values(state="blocked"))
            await conn.execute(update(CREDENTIAL).where(c.id == 2).values(suspect_state="unreachable"))
        it.pause()
        it.answer = Answer(AnswerKind.TIMEOUT)
        for _ in range(8):
            it.seconds += it.limits.longest_pause
            assert (await it.tick(), it.breaker.state) == (1, State.PAUSED)
        assert [{*it.begun[:3]}, {*it.begun[3:5]}, {*it.begun[5:]}] == [{3, 4, 5}, {1, 2}, {3, 4, 5}]


async def test_one_that_goes_ahead_in_vain_hands_over(sqlite: Database) -> None:
    """Its key cannot be read, say, so that nothing is sent: the next tick sends another."""
    async with stand(sqlite, watched=5) as it:
        it.pause()
        it.seconds += it.limits.longest_pause
        it.answer = None
        assert [await it.tick(), await it.tick(), it.breaker.state] == [1, 1, State.PROBING]
        assert len({*it.begun}) == 2


async def test_where_nothing_is_due_nobody_goes_ahead(sqlite: Database) -> None:
    """There is nothing to find out."""
    async with stand(sqlite, watched=5) as it:
        async with sqlite.writing() as conn:
            await conn.execute(update(CREDENTIAL).values(next_due=T0 + HOUR))
        it.pause()
        it.seconds += it.limits.longest_pause
        assert [await it.tick(), it.breaker.state] == [0, State.PROBING]


async def test_a_database_that_cannot_be_read_pauses_too(sqlite: Database) -> None:
    """The tick itself does not fail: it says so, and tries again."""
    async with stand(sqlite, watched=1) as it:
        await sqlite.close()
        path = sqlite.url.database or ""
        with open(path, "r+b") as file:
            file.write(b"this is no database" * 300)
        with capture_logs() as logged:
            assert await it.tick() == 0
        assert it.reports_trouble
    assert [event for event, _ in _told(logged)] == ["checks_paused"]


def _told(logged: list[MutableMapping[str, Any]]) -> list[tuple[str, str | None]]:
    return [(line["event"], line.get("problem")) for line in logged]
