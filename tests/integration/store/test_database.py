"""Opening, migrating and refusing databases; what transactions guarantee."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, event, insert, select, text
from sqlalchemy.exc import DBAPIError

from monitor.errors import StoreError
from monitor.store.database import Database, open_database
from monitor.store.migrations import VERSION_TABLE, Difference, SchemaState, differences
from monitor.store.tables import OPERATOR_ACTION, TENANT
from tests.store import T0, an_action

Keep = Callable[[Database], Database]


@pytest.fixture
async def keep() -> AsyncIterator[Keep]:
    """Closes the databases that a test opened itself."""
    async with AsyncExitStack() as opened:

        def closing(database: Database) -> Database:
            opened.push_async_callback(database.close)
            return database

        yield closing


async def test_migrations_produce_exactly_the_tables(empty_url: URL, keep: Keep) -> None:
    """The migrations create what tables.py defines, column by column and index by index."""
    database = keep(Database(empty_url))
    await database.migrate()
    async with database.reading() as conn:
        assert await conn.run_sync(differences) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("ALTER TABLE tenant ADD COLUMN surplus INTEGER", Difference("the column tenant.surplus is not ours", True)),
        ("CREATE INDEX faster ON tenant (name)", Difference("the index tenant.faster is not ours", True)),
        ("CREATE TABLE other (id INTEGER)", Difference("the table other is not ours", True)),
        ("DROP INDEX one_open_incident", Difference("the index incident.one_open_incident is missing", False)),
        ("DROP TABLE sweep", Difference("the table sweep is missing", False)),
        ("ALTER TABLE sweep DROP COLUMN finished_at", Difference("the column sweep.finished_at is missing", False)),
    ],
)
async def test_the_comparison_sees_a_difference(database: Database, change: str, difference: Difference) -> None:
    """The test above can fail: missing and additional parts are noticed."""
    async with database.writing() as conn:
        await conn.execute(text(change))
        assert await conn.run_sync(differences) == [difference]


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    """A database that is up to date stays as it is."""
    await database.migrate()
    assert await database.schema_state() is SchemaState.CURRENT


async def test_two_processes_migrating_at_once_both_succeed(empty_url: URL, keep: Keep) -> None:
    """The second one waits for the first and finds nothing left to do."""
    first, second = keep(Database(empty_url)), keep(Database(empty_url))
    await asyncio.gather(first.migrate(), second.migrate())
    assert await second.schema_state() is SchemaState.CURRENT


async def test_a_failed_migration_leaves_nothing_behind(empty_url: URL, keep: Keep) -> None:
    """A migration is all or nothing: if the last one fails, the first ones are rolled back, too."""
    database = keep(Database(empty_url))
    await database.schema_state()
    async with database.writing() as conn:
        await conn.execute(text("CREATE TABLE ix_cause_settled_at (id INTEGER)"))  # the name of a later index
    with pytest.raises(StoreError, match="ix_cause_settled_at"):
        await database.migrate()
    assert await database.schema_state() is SchemaState.EMPTY


async def test_a_new_sqlite_file_is_private_and_ready(sqlite_url: URL, keep: Keep) -> None:
    """SQLite is upgraded at start, readable only by its owner, durable, and protected by foreign keys."""
    database = keep(await open_database(sqlite_url))
    async with database.reading() as conn:
        pragmas = {name: (await conn.execute(text(f"PRAGMA {name}"))).scalar() for name in _WANTED_PRAGMAS}
    assert pragmas == _WANTED_PRAGMAS
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path(str(sqlite_url.database)).parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes


_WANTED_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


async def test_postgres_waits_for_the_operator(postgres_url: URL) -> None:
    """Postgres without our tables is refused with the command that creates them."""
    with pytest.raises(StoreError, match=r"tables in .* are missing: run `harvest-monitor db upgrade`"):
        await open_database(postgres_url)


async def test_an_older_postgres_waits_for_the_operator(postgres_url: URL, keep: Keep) -> None:
    """Postgres of an earlier release is refused with the command that upgrades it."""
    database = keep(Database(postgres_url))
    await database.migrate()
    with pytest.raises(StoreError, match="earlier release: run `harvest-monitor db upgrade`"):
        database.refuse_unless_current(SchemaState.BEHIND)


async def test_a_newer_database_is_refused(database: Database, database_url: URL) -> None:
    """Tables written by a later release are not touched."""
    async with database.writing() as conn:
        await conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreError, match="later release"):
        await open_database(database_url)
    with pytest.raises(StoreError, match="later release"):
        await database.migrate()


async def test_another_programs_tables_are_refused(empty_url: URL, keep: Keep) -> None:
    """A database with a table of one of our names, but without our revision, belongs to another program."""
    database = keep(Database(empty_url))
    await database.schema_state()
    async with database.writing() as conn:
        await conn.execute(text("CREATE TABLE tenant (id INTEGER)"))
    with pytest.raises(StoreError, match="tables of another program"):
        await open_database(empty_url)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A database in a folder that does not exist is refused, and the folder is named."""
    with pytest.raises(StoreError, match=r"the folder .*nowhere for the database does not exist"):
        await open_database(URL.create("sqlite+aiosqlite", database=str(tmp_path / "nowhere" / "store.sqlite3")))


async def test_a_file_that_is_not_a_database_is_refused(sqlite_url: URL) -> None:
    """A file of another kind is refused and left as it was."""
    path = Path(str(sqlite_url.database))
    path.write_text("tenants:\n" * 200)
    with pytest.raises(StoreError, match=r"cannot be used \(file is not a database\)"):
        await open_database(sqlite_url)
    assert path.read_text().startswith("tenants:")


async def test_an_unreachable_server_is_reported_without_its_password() -> None:
    """The message about an unreachable Postgres names host, port and database, and nothing else of the address."""
    url = URL.create("postgresql+psycopg", "monitor", "s3cret-marked", "127.0.0.1", 9, "store")
    with pytest.raises(StoreError, match=r"the database 127.0.0.1:9/store cannot be used") as caught:
        await open_database(url)
    assert not {"s3cret-marked", "monitor"}.intersection(str(caught.value).split())


async def test_an_exception_rolls_everything_back(database: Database) -> None:
    """A transaction that ends with an exception leaves no trace."""

    async def write_and_fail() -> None:
        async with database.writing() as conn:
            await conn.execute(insert(OPERATOR_ACTION).values(**an_action()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_fail()
    async with database.reading() as conn:
        assert (await conn.execute(select(OPERATOR_ACTION))).all() == []


async def test_a_write_cancelled_in_executemany_does_not_break_the_next_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg's executemany is the one place where a cancellation turns into another error."""
    monkeypatch.setattr("psycopg.waiting.MAX_BUSY_TIME", 0)  # its first step there yields to the loop, every time
    write = asyncio.create_task(_write_many(database))

    def cancel(*_: object) -> None:
        write.cancel()

    event.listen(Engine, "do_executemany", cancel, once=True)
    (ended,) = await asyncio.gather(write, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)
    for _ in range(3):
        await _write_many(database)
    async with database.reading() as conn:
        assert len((await conn.execute(select(OPERATOR_ACTION))).all()) == 6


async def _write_many(database: Database) -> None:
    async with database.writing() as conn:
        await conn.execute(insert(OPERATOR_ACTION), [an_action(), an_action()])


async def test_a_reader_sees_one_state_throughout(database: Database) -> None:
    """A reading transaction does not see what is committed after it began."""
    async with database.reading() as reader:
        before = (await reader.execute(select(OPERATOR_ACTION))).all()
        async with database.writing() as writer:
            await writer.execute(insert(OPERATOR_ACTION).values(**an_action()))
        assert (await reader.execute(select(OPERATOR_ACTION))).all() == before == []
    async with database.reading() as reader:
        assert len((await reader.execute(select(OPERATOR_ACTION))).all()) == 1


async def test_foreign_keys_are_enforced(database: Database) -> None:
    """A row that refers to a missing row is refused, on SQLite too."""
    statement = text("INSERT INTO incident (tenant_id, opened_at) VALUES ('nobody', '2026-11-23 00:00:00+00:00')")
    with pytest.raises(DBAPIError, match=r"(?i)foreign key"):
        async with database.writing() as conn:
            await conn.execute(statement)


async def test_a_moment_comes_back_in_utc(database: Database) -> None:
    """SQLite and Postgres return the same aware moment; one without a time zone is refused."""
    async with database.writing() as conn:
        await conn.execute(insert(OPERATOR_ACTION).values(**an_action()))
        assert (await conn.execute(select(OPERATOR_ACTION.c.at))).scalar_one() == T0
    with pytest.raises(Exception, match="without a time zone"):
        async with database.writing() as conn:
            await conn.execute(insert(OPERATOR_ACTION).values(**an_action(at=T0.replace(tzinfo=None))))


async def test_many_writers_at_once_all_get_their_turn(database: Database) -> None:
    """Two hundred transactions that read, wait and write lose no update."""
    async with database.writing() as conn:
        await conn.execute(
            insert(TENANT).values(id="a", name="0", features=[], declined=[], row_digest="", created_at=T0)
        )

    async def add_one() -> None:
        async with database.writing() as conn:
            row = (await conn.execute(select(TENANT.c.name).where(TENANT.c.id == "a").with_for_update())).scalar_one()
            await asyncio.sleep(0)
            await conn.execute(TENANT.update().values(name=str(int(row) + 1)))

    await asyncio.gather(*(add_one() for _ in range(200)))
    async with database.reading() as conn:
        assert (await conn.execute(select(TENANT.c.name))).scalar_one() == "200"


async def test_another_process_holding_the_file_is_waited_for(sqlite_url: URL, keep: Keep) -> None:
    """A writer in another process delays ours, but does not make it fail."""
    database = keep(await open_database(sqlite_url))
    other = sqlite3.connect(str(sqlite_url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with database.writing() as conn:
            await conn.execute(insert(OPERATOR_ACTION).values(**an_action()))

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.1)
    assert not writing.done()
    other.execute("COMMIT")
    await writing
    other.close()
