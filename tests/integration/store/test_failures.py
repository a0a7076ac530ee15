"""What a real Postgres raises: for each of its codes the transaction fails in one way, and the next one works."""

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from monitor.errors import StoreAway, StoreError
from monitor.store.database import Database
from monitor.store.failures import failure_of
from tests.postgres import administer

# Each once by its name; success, warnings and "no data" are no errors.
CODES = sorted(
    {
        error.sqlstate
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, psycopg.Error) and error.sqlstate
    }
)


async def raised(database: Database, statement: str) -> Exception:
    with pytest.raises((StoreError, DBAPIError)) as caught:
        async with database.writing() as conn:
            await conn.execute(text(statement))
    return caught.value


async def test_every_code_of_postgres_fails_one_transaction(postgres: Database) -> None:
    """Ours as an error of the statement, the database's as a StoreError with the code; both leave the pool usable."""
    for code in CODES:
        error = await raised(postgres, f"DO $$ BEGIN RAISE EXCEPTION 'it failed' USING ERRCODE = '{code}'; END $$")
        if isinstance(error, DBAPIError):
            assert failure_of(error) is None, code
        else:
            assert f"it failed, SQLSTATE {code}" in str(error), code
        await postgres.try_write()


async def test_a_server_that_only_reads_is_trouble_and_is_left_behind(postgres: Database, postgres_server: URL) -> None:
    """Writes and `ping` say so, reading goes on, and the same pool works as soon as the server takes writes again."""
    await postgres.ping()
    name = postgres.url.database
    administer(postgres_server, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    before = await backend(postgres)
    await end_sessions(postgres, postgres_server)
    assert isinstance(await raised(postgres, "UPDATE sweep SET finished_at = NULL"), StoreAway)
    with pytest.raises(StoreAway, match="takes no writes"):
        await postgres.ping()
    with pytest.raises(StoreAway, match="SQLSTATE 25006"):
        await postgres.try_write()
    assert await backend(postgres) != before
    administer(postgres_server, f"ALTER DATABASE {name} RESET default_transaction_read_only")
    with pytest.raises(StoreAway):  # the connection of the reading above
        await postgres.try_write()
    await postgres.try_write()
    await postgres.ping()


async def backend(database: Database) -> object:
    async with database.reading() as conn:
        return await conn.scalar(text("SELECT pg_backend_pid()"))


async def end_sessions(database: Database, server: URL) -> None:
    """As a fast restart does: the sessions end with 57P01."""
    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"
    administer(server, statement.format(database.url.database))


async def test_a_pool_that_is_used_up_says_so(postgres_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is trouble like any other, and names the setting."""
    monkeypatch.setattr("monitor.store.postgres.POOL_WAIT_SECONDS", 0.1)
    database = Database(postgres_url, pool_size=2)
    async with database.reading(), database.reading():
        with pytest.raises(StoreAway, match="raise HARVEST_MONITOR_DATABASE_POOL_SIZE"):
            await database.ping()
    await database.ping()
    await database.close()
