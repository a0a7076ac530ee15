"""The SQLite driver: one round trip to the connection's thread per statement, and few statements per check."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from monitor.store import driver
from monitor.store.database import Database
from tests.reports import HOUR, served
from tests.store import T0, a_tenant, check, sync

Trips = Callable[[], list[str]]
COMPLIANT = served(dict.fromkeys(("jobs", "offers", "users"), "g"))


@pytest.fixture
def trips(caplog: pytest.LogCaptureFixture) -> Trips:
    """What each round trip since the last call was for, in order; aiosqlite logs each one."""
    caplog.set_level(logging.DEBUG, "aiosqlite")

    def since_last() -> list[str]:
        told = [record.getMessage() for record in caplog.records if record.name == "aiosqlite"]
        caplog.clear()
        return [" ".join(line.split()) for line in told if line.startswith("executing ")]

    return since_last


@pytest.fixture
async def warm(sqlite: Database) -> Database:
    """A connection is already open, and a tenant was checked once."""
    await sync(sqlite, a_tenant("acme"))
    await check(sqlite, COMPLIANT)
    return sqlite


async def test_a_statement_is_one_trip(warm: Database, trips: Trips) -> None:
    """Begin, query and end are three; returning the connection is none."""
    trips()
    async with warm.reading() as conn:
        assert (await conn.execute(text("SELECT id FROM tenant"))).all() == [("acme",)]
    begun, asked, ended = trips()
    assert "'BEGIN'" in begun
    assert "'SELECT id FROM tenant'" in asked
    assert "commit" in ended


async def test_reading_once_is_one_trip(warm: Database, trips: Trips) -> None:
    """A single reading statement needs no begin and no end; the next transaction has both again."""
    trips()
    async with warm.reading_once() as conn:
        assert (await conn.execute(text("SELECT id FROM tenant"))).all() == [("acme",)]
    (asked,) = trips()
    assert "'SELECT id FROM tenant'" in asked
    async with warm.reading() as conn:
        await conn.execute(text("SELECT id FROM tenant"))
    assert len(trips()) == 3


async def test_a_writer_cancelled_while_waiting_for_the_lock_does_not_keep_it(sqlite: Database) -> None:
    """The transaction may still begin in the thread after it was cancelled: it is ended there."""
    other = sqlite3.connect(str(sqlite.url.database), isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(_write_and_fail(sqlite))
    await asyncio.sleep(0.1)
    writing.cancel()
    await asyncio.sleep(0)
    other.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await writing
    other.execute("BEGIN IMMEDIATE")
    other.close()


async def test_a_check_that_finds_nothing_new_takes_few_statements(warm: Database, trips: Trips) -> None:
    """Claim and record together: every statement adds to the cost of a sweep."""
    trips()
    await check(warm, COMPLIANT, T0 + 4 * HOUR)
    taken = trips()
    statements = [trip for trip in taken if "'BEGIN IMMEDIATE'" not in trip and "commit" not in trip]
    assert len(taken) - len(statements) == 4
    assert len(statements) == 11, "\n".join(statements)


async def test_a_failed_transaction_is_rolled_back(warm: Database, trips: Trips) -> None:
    """In one round trip, with everything written before; the error is that of the failed statement."""
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: tenant\.id"):
        await _write_and_fail(warm)
    assert "rollback" in trips()[-1]
    async with warm.reading() as conn:
        assert (await conn.execute(text("SELECT name FROM tenant"))).scalar_one() == "Acme"


async def _write_and_fail(database: Database) -> None:
    async with database.writing() as conn:
        await conn.execute(text("UPDATE tenant SET name = 'changed'"))
        await conn.execute(text("INSERT INTO tenant SELECT * FROM tenant"))


async def test_the_cursor_has_what_sqlalchemy_needs(tmp_path: Path) -> None:
    """Rows, their description, the row count, and the id of the last row written."""
    connection = await driver.connection(tmp_path / "file.sqlite3")
    statement = await connection.cursor().__aenter__()
    await statement.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    await statement.executemany("INSERT INTO t VALUES (?)", [(3,), (4,), (5,)])
    assert (statement.rowcount, await statement.fetchall()) == (3, [])
    await statement.execute("INSERT INTO t VALUES (?) RETURNING n", (9,))
    assert (statement.lastrowid, await statement.fetchall(), statement.description[0][0]) == (9, [(9,)], "n")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await statement.execute("SELECT * FROM missing")
    await statement.close()
    await connection.close()
