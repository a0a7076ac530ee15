"""A real PgBouncer that lends each server connection for one transaction, between us and Postgres."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import URL, insert, select, text

from monitor.store.database import Database, open_database
from monitor.store.migrations import SchemaState
from monitor.store.tables import OPERATOR_ACTION
from tests.pgbouncer import running_pgbouncer
from tests.real_part import real_part
from tests.store import an_action


@pytest.fixture
def pooled_url(postgres_url: URL) -> Iterator[URL]:
    with real_part(), running_pgbouncer(postgres_url, server_connections=2) as url:
        yield url


@pytest.fixture
async def pooled(pooled_url: URL) -> AsyncIterator[Database]:
    database = Database(pooled_url)
    await database.migrate()
    yield database
    await database.close()


async def test_what_a_session_leaves_behind_meets_nobody_else(pooled: Database, pooled_url: URL) -> None:
    """Forty transactions at once of ten connections on two of the server's, many times the same statements."""
    other = await open_database(pooled_url)
    assert await other.schema_state() is SchemaState.CURRENT

    async def use(database: Database) -> None:
        async with database.writing() as conn:
            await conn.execute(insert(OPERATOR_ACTION), [an_action(), an_action()])
        async with database.reading() as conn:
            assert await conn.scalar(text("SHOW transaction_read_only")) == "on"
            await conn.execute(select(OPERATOR_ACTION))
        await database.ping()
        await database.try_write()

    for _ in range(4):
        await asyncio.gather(*(use(database) for database in (pooled, other) for _ in range(10)))
    async with pooled.reading_once() as conn:
        assert len((await conn.execute(select(OPERATOR_ACTION))).all()) == 160
    await other.close()


async def test_statements_prepared_on_request_fail_behind_a_pooler(pooled: Database, pooled_url: URL) -> None:
    """The test above can fail: with the address's own prepare_threshold, sessions meet each other's statements."""
    asking = Database(pooled_url.update_query_dict({"prepare_threshold": "0"}))

    async def read() -> None:
        async with asking.reading() as conn:
            await conn.execute(select(OPERATOR_ACTION))

    problems = [*filter(None, await asyncio.gather(*(read() for _ in range(40)), return_exceptions=True))]
    assert problems
    assert all("leave prepare_threshold out" in str(problem) for problem in problems), problems
    await asking.close()
