"""The write halt all checks share: it holds at once, even if the database fails, and only people lift it."""

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


def write_halt_on(database: Database) -> SharedWriteHalt:
    return SharedWriteHalt(database, NOTICES, Renderer(), lambda: AT)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """The captured log: each traceback formatted for a terminal would take a second."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
async def claimed(database: Database) -> Claim:
    await sync(database, a_tenant("acme"))
    return await claim(database)


@asynccontextmanager
async def without_halts(database: Database) -> AsyncIterator[None]:
    """Until the context ends, halts can be neither read nor written."""
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE write_halt RENAME TO halts_away"))
    yield
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE halts_away RENAME TO write_halt"))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.001)


async def allowed(write_halt: SharedWriteHalt) -> list[bool]:
    return [await write_halt.may_write(entry) for entry in WRITES]


async def test_a_stored_alarm_stops_every_write_in_every_process(database: Database, claimed: Claim) -> None:
    """It is a row, so another process on the same database stops as well."""
    here, elsewhere = write_halt_on(database), write_halt_on(database)
    assert all(await allowed(here))
    await here.halt(an_alarm(), claimed)
    assert not any(await allowed(here))
    assert not any(await allowed(elsewhere))
    [row] = await rows(database, WRITE_HALT)
    assert (row["tenant_id"], row["credential_id"], row["endpoint"]) == ("acme", 1, WITH_ID.endpoint)
    assert (row["status"], row["request_id"], row["record_id"], row["scope"]) == (200, "r-1", "7", "all")


async def test_an_alarm_that_cannot_be_stored_still_stops_this_process(
    database: Database, claimed: Claim, logged: list[MutableMapping[str, Any]]
) -> None:
    """If the database fails during the alarm, `halt` raises nothing, and no write is sent any more."""
    write_halt = write_halt_on(database)
    async with without_halts(database):
        await write_halt.halt(an_alarm(), claimed)
        assert not any(await allowed(write_halt))
        await write_halt.store()
        assert not any(await allowed(write_halt))
    assert await rows(database, WRITE_HALT) == []
    assert not any(await allowed(write_halt)), "the database is back and has no halt"
    assert [line["event"] for line in logged] == ["halted_writes", "halt_not_stored", "halt_not_stored"]


async def test_what_could_not_be_stored_is_stored_later_and_once(database: Database, claimed: Claim) -> None:
    """Once the database is back, `store` writes the halt and its one notice, and then has nothing more to do."""
    write_halt = write_halt_on(database)
    async with without_halts(database):
        await write_halt.halt(an_alarm(), claimed)
    assert await rows(database, NOTICE) == []
    for _ in range(3):
        await write_halt.store()
    assert len(await rows(database, WRITE_HALT)) == len(await rows(database, NOTICE)) == 1
    assert not any(await allowed(write_halt_on(database)))


async def test_no_write_is_allowed_if_the_halts_cannot_be_read(database: Database) -> None:
    """`may_write` raises, so the write is not sent."""
    async with without_halts(database):
        with pytest.raises((StoreError, SQLAlchemyError)):
            await write_halt_on(database).may_write(WITH_ID)


class SlowReads(Database):
    """Counts reads; each has its result at once, but ends only after `let_reads_end`."""

    reads = 0

    def delay_reads(self) -> None:
        self._end = asyncio.Event()

    def let_reads_end(self) -> None:
        self._end.set()

    @asynccontextmanager
    async def reading_once(self) -> AsyncIterator[AsyncConnection]:
        self.reads += 1
        async with super().reading_once() as conn:
            yield conn
        await self._end.wait()


@pytest.fixture
async def slow(database_url: URL) -> AsyncIterator[SlowReads]:
    opened = SlowReads(database_url)
    opened.delay_reads()
    yield opened
    await opened.close()


async def test_many_questions_at_once_are_answered_by_one_read(slow: SlowReads) -> None:
    """Fifty checks that are about to write cost the database one query; fifty later ones cost one more."""
    write_halt = write_halt_on(slow)
    first = [asyncio.create_task(write_halt.may_write(WITH_ID)) for _ in range(50)]
    await until(lambda: slow.reads)
    later = [asyncio.create_task(write_halt.may_write(WITHOUT_ID)) for _ in range(50)]
    slow.let_reads_end()
    assert await asyncio.gather(*first, *later) == [True] * 100
    assert slow.reads == 2


async def test_a_question_after_a_read_began_is_answered_by_another_read(
    slow: SlowReads, database: Database, claimed: Claim
) -> None:
    """A halt of another process stops every write that is asked about after it was stored."""
    write_halt = write_halt_on(slow)
    before = asyncio.create_task(write_halt.may_write(WITH_ID))
    await until(lambda: slow.reads)
    await asyncio.sleep(0.1)  # the read has its result, but has not ended
    await write_halt_on(database).halt(an_alarm(), claimed)
    after = asyncio.create_task(write_halt.may_write(WITH_ID))
    slow.let_reads_end()
    assert (await before, await after) == (True, False)


async def test_an_alarm_of_this_process_during_a_read_stops_the_write(slow: SlowReads, claimed: Claim) -> None:
    """The read is older than the alarm: the write that waited for it is not sent."""
    write_halt = write_halt_on(slow)
    asked = asyncio.create_task(write_halt.may_write(WITH_ID))
    await until(lambda: slow.reads)
    await asyncio.sleep(0.1)  # the read has its result, but has not ended
    await write_halt.halt(an_alarm(), claimed)
    slow.let_reads_end()
    assert not await asked


async def test_a_cancelled_check_does_not_cancel_the_read_of_others(slow: SlowReads) -> None:
    """Others that wait for the same read get its result."""
    write_halt = write_halt_on(slow)
    one, other = [asyncio.create_task(write_halt.may_write(WITH_ID)) for _ in range(2)]
    await until(lambda: slow.reads)
    one.cancel()
    slow.let_reads_end()
    assert await other
    assert one.cancelled()


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "in_memory"])
async def test_an_alarm_about_writes_without_an_id_stops_those_three_only(
    database: Database, claimed: Claim, stored: bool
) -> None:
    """A 422 in place of a refusal means nothing for writes that name a record, whether stored or not."""
    write_halt = write_halt_on(database)
    alarm = an_alarm(WITHOUT_ID, stops=write_halt_queries.WITHOUT_ID)
    if stored:
        await write_halt.halt(alarm, claimed)
    else:
        async with without_halts(database):
            await write_halt.halt(alarm, claimed)
    stopped = [entry for entry, may in zip(WRITES, await allowed(write_halt), strict=True) if not may]
    assert stopped == [entry for entry in WRITES if entry.needs is WriteProbes.ALL]
    assert len({entry.endpoint for entry in stopped}) == 3


async def test_a_lifted_halt_allows_writes_again(database: Database, claimed: Claim) -> None:
    """Once it was stored and then lifted, this process does not bring it back from memory."""
    write_halt = write_halt_on(database)
    async with without_halts(database):
        await write_halt.halt(an_alarm(), claimed)
    assert await lift(database) == 0
    assert not any(await allowed(write_halt)), "what was not stored cannot have been lifted"
    await write_halt.store()
    assert not any(await allowed(write_halt))
    assert await lift(database) == 1
    assert all(await allowed(write_halt))
    await write_halt.store()
    assert all(await allowed(write_halt))


async def lift(database: Database) -> int:
    async with database.writing() as conn:
        return await write_halt_queries.lift(conn, "op", "checked: nothing was changed", AT)


async def test_the_guard_of_a_check_is_the_shared_halt(database: Database, claimed: Claim) -> None:
    """An alarm of one credential's check keeps the next credential's check from writing."""
    write_halt = write_halt_on(database)
    await SharedWriteGuard(write_halt, claimed).halt(an_alarm())
    assert not await SharedWriteGuard(write_halt, claimed).may_write(WITH_ID)


def accept(here: Installation, account: str) -> None:
    """From now on the sandbox answers one write probe of this customer with 200, as should never happen."""
    fault = {"kind": "status", "account": account, "method": "POST", "prefix": "/v1/applications/0/advance"}
    here.sandbox.add_fault(Fault.model_validate({**fault, "status": 200}))


def writes_sent(here: Installation, account: str) -> list[str]:
    return [f"{e.method} {e.target}" for e in here.sandbox.request_log.entries(account) if e.method != "GET"]


async def test_a_2xx_in_a_check_leaves_one_halt_and_one_notice_to_the_operator(
    sqlite: Database,
    tmp_path: Path,
) -> None:
    """No write is sent after it, in this check or any other; the check itself is recorded."""
    async with installation(sqlite, tmp_path) as here:
        for tenant_id in ("acme", "globex"):
            here.add_tenant(tenant_id)
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
    """The database refused the row and so has no halt: still this check and all later ones send no write."""
    async with installation(sqlite, tmp_path) as here:
        for tenant_id in ("acme", "globex"):
            here.add_tenant(tenant_id)
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
