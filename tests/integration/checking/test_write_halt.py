"""The shared stop of write probes: it stands at once, outlives a failing database, and is lifted by people alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, WriteProbes
from checks.report import WriteAlarm
from monitor.checking import write_halt_queries
from monitor.checking.claim_queries import Claim
from monitor.checking.write_halt import SharedWriteGuard, SharedWriteHalt
from monitor.errors import StoreError
from monitor.incidents.rules import Audience
from monitor.notices.content.render import Renderer
from monitor.sandbox.faults.http import Fault
from monitor.store.database import Database
from monitor.store.tables import CHECK, NOTICE, WRITE_HALT
from tests.installation import NOTICES, Installation, installation
from tests.store import a_tenant, claim, rows, sync

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WRITES = [entry for entry in catalogue().all_entries() if entry.is_write]
WITH_ID = next(entry for entry in WRITES if entry.needs is WriteProbes.SAFE)
WITHOUT_ID = next(entry for entry in WRITES if entry.needs is WriteProbes.ALL)


def an_alarm(entry: Entry = WITH_ID, stops: str = write_halt_queries.ALL) -> WriteAlarm:
    return WriteAlarm(entry.endpoint, 200, AT, request_id="r-1", record_id="7", stops=stops)


def stop_of(database: Database) -> SharedWriteHalt:
    return SharedWriteHalt(database, NOTICES, Renderer(), lambda: AT)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged: kept, for tracebacks drawn for a terminal take a second each."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
async def taken(database: Database) -> Claim:
    await sync(database, a_tenant("acme"))
    return await claim(database)


@asynccontextmanager
async def without_halts(database: Database) -> AsyncIterator[None]:
    """A database in which halts can be neither read nor written for as long as the context lasts."""
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE write_halt RENAME TO halts_away"))
    yield
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE halts_away RENAME TO write_halt"))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.001)


async def allowed(stop: SharedWriteHalt) -> list[bool]:
    return [await stop.may_write(entry) for entry in WRITES]


async def test_an_alarm_stops_every_write_everywhere_once_it_is_stored(database: Database, taken: Claim) -> None:
    """Also the stop of another process on the same database heeds it, for it is a row."""
    here, elsewhere = stop_of(database), stop_of(database)
    assert all(await allowed(here))
    await here.halt(an_alarm(), taken)
    assert not any(await allowed(here))
    assert not any(await allowed(elsewhere))
    [row] = await rows(database, WRITE_HALT)
    assert (row["tenant_id"], row["credential_id"], row["endpoint"]) == ("acme", 1, WITH_ID.endpoint)
    assert (row["status"], row["request_id"], row["record_id"], row["scope"]) == (200, "r-1", "7", "all")


async def test_an_alarm_that_cannot_be_stored_stops_this_process_all_the_same(
    database: Database, taken: Claim, logged: list[MutableMapping[str, Any]]
) -> None:
    """The database fails when the alarm comes: halting raises nothing, and no write goes any more, then or later."""
    stop = stop_of(database)
    async with without_halts(database):
        await stop.halt(an_alarm(), taken)
        assert not any(await allowed(stop))
        await stop.store()
        assert not any(await allowed(stop))
    assert await rows(database, WRITE_HALT) == []
    assert not any(await allowed(stop)), "the database is back and says that no halt stands"
    assert [line["event"] for line in logged] == ["halted_writes", "halt_not_stored", "halt_not_stored"]


async def test_what_could_not_be_stored_is_stored_at_a_later_beat_and_once(database: Database, taken: Claim) -> None:
    """`store` writes the halt and its one notice when the database is back, and has nothing to do after that."""
    stop = stop_of(database)
    async with without_halts(database):
        await stop.halt(an_alarm(), taken)
    assert await rows(database, NOTICE) == []
    for _ in range(3):
        await stop.store()
    assert len(await rows(database, WRITE_HALT)) == len(await rows(database, NOTICE)) == 1
    assert not any(await allowed(stop_of(database)))


async def test_where_nobody_can_say_whether_a_halt_stands_no_leave_is_given(database: Database) -> None:
    """A database that does not answer the question raises: the write is not sent."""
    async with without_halts(database):
        with pytest.raises((StoreError, SQLAlchemyError)):
            await stop_of(database).may_write(WITH_ID)


class SlowReads(Database):
    """Counts what is read; each read has seen what it sees, and ends when it is let."""

    reads = 0

    def hold(self) -> None:
        self._let = asyncio.Event()

    def let_go(self) -> None:
        self._let.set()

    @asynccontextmanager
    async def reading_once(self) -> AsyncIterator[AsyncConnection]:
        self.reads += 1
        async with super().reading_once() as conn:
            yield conn
        await self._let.wait()


@pytest.fixture
async def slow(database_url: URL) -> AsyncIterator[SlowReads]:
    opened = SlowReads(database_url)
    opened.hold()
    yield opened
    await opened.close()


async def test_many_who_ask_at_once_are_told_by_one_read(slow: SlowReads) -> None:
    """Fifty checks that come to a write together cost the database one question, and those that come after it one."""
    stop = stop_of(slow)
    first = [asyncio.create_task(stop.may_write(WITH_ID)) for _ in range(50)]
    await until(lambda: slow.reads)
    later = [asyncio.create_task(stop.may_write(WITHOUT_ID)) for _ in range(50)]
    slow.let_go()
    assert await asyncio.gather(*first, *later) == [True] * 100
    assert slow.reads == 2


async def test_who_asks_after_a_read_began_is_told_what_was_stored_since(
    slow: SlowReads, database: Database, taken: Claim
) -> None:
    """A halt of another process holds for every write that is asked about after it was stored."""
    stop = stop_of(slow)
    before = asyncio.create_task(stop.may_write(WITH_ID))
    await until(lambda: slow.reads)
    await asyncio.sleep(0.1)  # the read is over, and held
    await stop_of(database).halt(an_alarm(), taken)
    after = asyncio.create_task(stop.may_write(WITH_ID))
    slow.let_go()
    assert (await before, await after) == (True, False)


async def test_an_alarm_of_this_process_during_a_read_stops_the_write(slow: SlowReads, taken: Claim) -> None:
    """What was read is older than the alarm: the write that waited for it is not sent."""
    stop = stop_of(slow)
    asked = asyncio.create_task(stop.may_write(WITH_ID))
    await until(lambda: slow.reads)
    await asyncio.sleep(0.1)  # the read is over, and held
    await stop.halt(an_alarm(), taken)
    slow.let_go()
    assert not await asked


async def test_a_check_that_is_cancelled_takes_the_answer_from_nobody(slow: SlowReads) -> None:
    """Others wait for the same read, and get it."""
    stop = stop_of(slow)
    one, other = [asyncio.create_task(stop.may_write(WITH_ID)) for _ in range(2)]
    await until(lambda: slow.reads)
    one.cancel()
    slow.let_go()
    assert await other
    assert one.cancelled()


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "in_mind"])
async def test_an_alarm_about_writes_without_an_id_stops_those_three_only(
    database: Database, taken: Claim, stored: bool
) -> None:
    """A 422 where a refusal was due says nothing of the writes that name a record; stored or not."""
    stop = stop_of(database)
    alarm = an_alarm(WITHOUT_ID, stops=write_halt_queries.WITHOUT_ID)
    if stored:
        await stop.halt(alarm, taken)
    else:
        async with without_halts(database):
            await stop.halt(alarm, taken)
    stopped = [entry for entry, may in zip(WRITES, await allowed(stop), strict=True) if not may]
    assert stopped == [entry for entry in WRITES if entry.needs is WriteProbes.ALL]
    assert len({entry.endpoint for entry in stopped}) == 3


async def test_a_lifted_halt_lets_writes_go_again(database: Database, taken: Claim) -> None:
    """What people lifted does not come back out of this process's mind once it was stored."""
    stop = stop_of(database)
    async with without_halts(database):
        await stop.halt(an_alarm(), taken)
    assert await lift(database) == 0
    assert not any(await allowed(stop)), "nobody can have lifted what was not stored"
    await stop.store()
    assert not any(await allowed(stop))
    assert await lift(database) == 1
    assert all(await allowed(stop))
    await stop.store()
    assert all(await allowed(stop))


async def lift(database: Database) -> int:
    async with database.writing() as conn:
        return await write_halt_queries.lift(conn, "op", "looked at: nothing was changed", AT)


async def test_the_guard_of_a_check_is_the_shared_stop(database: Database, taken: Claim) -> None:
    """An alarm of one credential's check keeps the next credential's check from writing."""
    stop = stop_of(database)
    await SharedWriteGuard(stop, taken).halt(an_alarm())
    assert not await SharedWriteGuard(stop, taken).may_write(WITH_ID)


def accept(here: Installation, account: str) -> None:
    """From now on the sandbox answers one probe of this customer with 200, as no probe should be."""
    fault = {"kind": "status", "account": account, "method": "POST", "prefix": "/v1/applications/0/advance"}
    here.sandbox.add_fault(Fault.model_validate({**fault, "status": 200}))


def writes_sent(here: Installation, account: str) -> list[str]:
    return [f"{e.method} {e.target}" for e in here.sandbox.request_log.entries(account) if e.method != "GET"]


async def test_a_2xx_in_a_check_leaves_one_halt_and_one_notice_to_the_operator(
    sqlite: Database,
    tmp_path: Path,
) -> None:
    """Nothing is written after it, in this check or in anybody's; the check itself is recorded."""
    async with installation(sqlite, tmp_path) as here:
        for tenant_id in ("acme", "globex"):
            here.customer(tenant_id)
        accept(here, "acme")
        await here.sync()
        await here.check_job.check(1)
        await here.check_job.check(2)
        assert writes_sent(here, "acme")[-1] == "POST /v1/applications/0/advance"
        assert writes_sent(here, "globex") == []
        [halt] = await rows(sqlite, WRITE_HALT)
        assert (halt["tenant_id"], halt["endpoint"]) == ("acme", "POST /v1/applications/{id}/advance")
        [notice] = await rows(sqlite, NOTICE)
        assert (notice["audience"], notice["tenant_id"]) == (Audience.OPERATOR, "acme")
        assert [check["tenant_id"] for check in await rows(sqlite, CHECK)] == ["acme", "globex"]


async def test_a_halt_that_cannot_be_written_still_ends_the_writes_of_the_check(
    sqlite: Database,
    tmp_path: Path,
) -> None:
    """The database says that no halt stands, for it refused the row: the check and all after it write no more."""
    async with installation(sqlite, tmp_path) as here:
        for tenant_id in ("acme", "globex"):
            here.customer(tenant_id)
        accept(here, "acme")
        await here.sync()
        async with refusing_halts(sqlite):
            await here.check_job.check(1)
            await here.check_job.check(2)
        assert writes_sent(here, "acme")[-1] == "POST /v1/applications/0/advance"
        assert writes_sent(here, "globex") == []
        assert await rows(sqlite, WRITE_HALT) == []
        assert len(await rows(sqlite, CHECK)) == 2


@asynccontextmanager
async def refusing_halts(database: Database) -> AsyncIterator[None]:
    """A SQLite database in which halts can be read and not written."""
    refusal = "CREATE TRIGGER refuse BEFORE INSERT ON write_halt BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    async with database.writing() as conn:
        await conn.execute(text(refusal))
    yield
    async with database.writing() as conn:
        await conn.execute(text("DROP TRIGGER refuse"))
