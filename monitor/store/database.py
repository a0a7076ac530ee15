"""Access to the database, SQLite file or Postgres: transactions that either read or write.

Statements are SQLAlchemy core statements on an AsyncConnection; there are no ORM sessions.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from monitor.database_address import place
from monitor.errors import StoreError
from monitor.file_owner import give_to_owner_of
from monitor.store import driver, sqlite_file
from monitor.store.failures import ONLY_READS, failure_of, store_error, unusable
from monitor.store.migrations import SchemaState, schema_state, upgrade
from monitor.store.postgres import POOL_SIZE, postgres_engine
from monitor.store.statements import MIGRATION_LOCK, one_at_a_time
from monitor.store.tables import INSTALLATION

BUSY_TIMEOUT_SECONDS = 30
SQLITE_CONNECTIONS = 15
WAL_TRIES = 20
WAL_WAIT_SECONDS = 0.05

_NO_BEGIN = {"begin": ""}
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # FULL, since NORMAL may lose the last commits of a WAL in a power failure.
    "PRAGMA synchronous = FULL",
    # Off by default, for each connection.
    "PRAGMA foreign_keys = ON",
    f"PRAGMA journal_size_limit = {sqlite_file.LOG_LIMIT}",
)


class Database:
    """`url` comes from monitor.database_address. Nothing is opened before the first transaction.

    `pool_size` is the most connections to Postgres; SQLite has its own number.
    """

    def __init__(self, url: URL, engine: AsyncEngine | None = None, pool_size: int = POOL_SIZE) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._engine = engine or (
            _sqlite_engine(_existing_file(url), _PRAGMAS) if self.is_sqlite else postgres_engine(url, pool_size)
        )
        # SQLite has one writer at a time and does not queue the others fairly: writers of this process queue here.
        self._write_lock: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.is_sqlite else nullcontext()
        self._locked_since: float | None = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state of the database throughout; on Postgres it cannot write."""
        async with self._connected() as conn:
            if not self.is_sqlite:
                # Postgres's own default would show each statement another state.
                await conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with conn.begin():
                yield conn

    @asynccontextmanager
    async def reading_once(self) -> AsyncIterator[AsyncConnection]:
        """For a single statement that reads: it is its own transaction, without round trips for begin and end."""
        async with self._connected() as conn:
            yield await conn.execution_options(**(_NO_BEGIN if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}))

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes, committed at its end. Never nest them: SQLite has one at a time."""
        async with self._write_lock, self._connected() as conn:
            # After a plain BEGIN that has read, the first write fails at once (SQLITE_BUSY_SNAPSHOT) if another wrote.
            # readonly=None, not False: that would ask for READ WRITE, which overrides an operator's read-only default.
            await conn.execution_options(begin="BEGIN IMMEDIATE", postgresql_readonly=None)
            try:
                # Writers of this process queue for our own lock, so whoever keeps the first from SQLite's is another.
                self._locked_since = time.monotonic() if self.is_sqlite else None
                async with conn.begin():
                    self._locked_since = None
                    yield conn
            finally:
                self._locked_since = None

    @property
    def locked_seconds(self) -> float:
        """How long another program has kept our next writer from SQLite's lock; 0 if none does."""
        return 0.0 if self._locked_since is None else time.monotonic() - self._locked_since

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """StoreError if the database cannot be reached or written, is damaged, or stays locked for too long."""
        try:
            async with self._engine.connect() as conn, _closed_if_cancelled(conn):
                yield conn
        except DBAPIError as error:
            if failure_of(error) is None:
                raise
            raise unusable(self.url, error) from error
        except PoolTimeout as error:
            raise unusable(self.url, error) from error

    async def schema_state(self) -> SchemaState:
        """How the tables compare with this release; StoreError if the database cannot be read at all."""
        if self.is_sqlite:
            _create_private_file(self.url)
        try:
            async with self.reading() as conn:
                return await conn.run_sync(schema_state)
        except (SQLAlchemyError, OSError) as error:
            raise unusable(self.url, error) from error

    async def migrate(self) -> None:
        """Upgrade the tables to this release: completely or not at all, by one process at a time."""
        self._refuse_foreign(await self.schema_state())
        try:
            async with self.writing() as conn:
                await one_at_a_time(conn, MIGRATION_LOCK)
                await conn.run_sync(upgrade)
        except SQLAlchemyError as error:
            raise unusable(self.url, error) from error

    async def ping(self) -> None:
        """StoreError unless the database answers, and on Postgres would let us write."""
        try:
            async with self.reading_once() as conn:
                if self.is_sqlite:
                    await conn.execute(select(1))
                elif await conn.scalar(text("SELECT current_setting('transaction_read_only')")) == "on":
                    await conn.invalidate()  # a new one may lead to the primary
                    raise store_error(self.url, "it takes no writes", ONLY_READS)
        except (SQLAlchemyError, OSError) as error:
            raise unusable(self.url, error) from error

    async def try_write(self) -> None:
        """StoreError unless something can be written now. It changes nothing that anybody reads."""
        async with self.writing() as conn:
            if self.is_sqlite:
                # It writes a page also where the number stays the same, which an UPDATE does not.
                await conn.execute(text("PRAGMA user_version = 0"))
            else:
                await conn.execute(select(INSTALLATION).with_for_update())

    async def fill_pool(self) -> None:
        """Open every connection to SQLite now, so that a process without file handles later still reads and writes.

        StoreError if they cannot be opened. A Postgres that serves others too is asked for connections as they are
        needed.
        """
        if not self.is_sqlite:
            return
        async with AsyncExitStack() as opened:
            for _ in range(SQLITE_CONNECTIONS):
                await opened.enter_async_context(self._connected())

    async def shorten_log(self) -> None:
        """Shorten SQLite's write-ahead log, which grows while readers overlap all the time."""
        if self.is_sqlite:
            async with self._write_lock:
                await asyncio.to_thread(sqlite_file.shorten_log, Path(str(self.url.database)))

    async def vacuum(self) -> None:
        """Return free space to the disk; writers wait meanwhile. StoreError on Postgres, which needs no vacuum."""
        if not self.is_sqlite:
            raise StoreError("Postgres reuses free space automatically (autovacuum): leave out --vacuum")
        try:
            async with self._write_lock:
                await asyncio.to_thread(sqlite_file.vacuum, Path(str(self.url.database)))
        except sqlite3.Error as error:
            raise unusable(self.url, error) from error

    async def close(self) -> None:
        await self._engine.dispose()

    def refuse_unless_current(self, found: SchemaState) -> None:
        self._refuse_foreign(found)
        if found is not SchemaState.CURRENT:
            problem = "missing" if found is SchemaState.EMPTY else "of an earlier release"
            raise StoreError(
                f"the tables in {self.name} are {problem}: run `harvest-monitor db upgrade`, then start again"
            )

    def _refuse_foreign(self, found: SchemaState) -> None:
        if found is SchemaState.NEWER:
            raise StoreError(f"{self.name} was written by a later release: install that release, or restore a backup")
        if found is SchemaState.FOREIGN:
            raise StoreError(
                f"{self.name} contains tables of another program: give Harvest Monitor its own database "
                "(HARVEST_MONITOR_DATABASE_URL)"
            )

    @property
    def name(self) -> str:
        """The database's name for people: a file, or host, port and database."""
        return place(self.url)


async def open_database(url: URL, pool_size: int = POOL_SIZE) -> Database:
    """A database ready for use. SQLite's tables are brought up to date; on Postgres that is an operator's command.

    StoreError if it cannot be used, belongs to another program, is newer than this release, or (Postgres) older.
    """
    database = Database(url, pool_size=pool_size)
    try:
        found = await database.schema_state()
        if database.is_sqlite and found in (SchemaState.EMPTY, SchemaState.BEHIND):
            await database.migrate()
        else:
            database.refuse_unless_current(found)
    except BaseException:
        await database.close()
        raise
    return database


def database_as_it_is(url: URL) -> Database:
    """Read-only access: creates no file, upgrades no table, writes nothing, not even the repairs of a normal start."""
    if url.get_backend_name() != "sqlite":
        return Database(url)
    address = _file_address(url, sqlite_file.for_reading(Path(str(url.database))))
    return Database(url, _sqlite_engine(address, ("PRAGMA query_only = ON",)))


@asynccontextmanager
async def _closed_if_cancelled(conn: AsyncConnection) -> AsyncIterator[None]:
    """Discard the connection of a cancelled task.

    psycopg 3.3.9, cancelled as it enters the pipeline of an executemany, raises an AssertionError instead of passing on
    the cancellation, and leaves a connection on which no later transaction can begin.
    """
    task = asyncio.current_task()
    try:
        yield
    except asyncio.CancelledError:
        await conn.invalidate()
        raise
    except AssertionError as error:
        if task is None or not task.cancelling():
            raise
        await conn.invalidate()
        raise asyncio.CancelledError from error


class _SQLiteConnection(sqlite3.Connection):
    """Rolls back when it is closed, as happens when a task is cancelled in the middle of a transaction.

    Otherwise SQLite keeps a closed connection's transaction, and its lock, for as long as anything, such as the
    traceback of the cancellation, still refers to one of its cursors (sqlite3_close_v2).
    """

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()
        super().close()


def _sqlite_engine(url: URL, pragmas: Iterable[str]) -> AsyncEngine:
    connect = partial(driver.connection, timeout=BUSY_TIMEOUT_SECONDS, factory=_SQLiteConnection)
    # hide_parameters: errors would quote the bound values, and are logged.
    # No overflow: each of its connections would be opened for one use, with a thread and the reading of the schema.
    engine = create_async_engine(
        url,
        pool_size=SQLITE_CONNECTIONS,
        max_overflow=0,
        connect_args={"async_creator_fn": connect},
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver would begin transactions itself, and too late
        cursor = connection.cursor()
        for pragma in pragmas:
            _execute_with_retry(cursor, pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        statement = connection.get_execution_options().get("begin", "BEGIN")
        if statement:
            connection.exec_driver_sql(statement)

    return engine


def _execute_with_retry(cursor: Any, pragma: str) -> None:
    """When two processes switch a new file to WAL, one gets "locked" immediately, whatever the busy timeout."""
    for _ in range(WAL_TRIES):
        try:
            cursor.execute(pragma)
            return
        except sqlite3.OperationalError:
            time.sleep(WAL_WAIT_SECONDS)
    cursor.execute(pragma)


def _existing_file(url: URL) -> URL:
    """A file that went away is an error; SQLite would put an empty one in its place."""
    return _file_address(url, {"mode": "rw"})


def _file_address(url: URL, options: Mapping[str, str]) -> URL:
    file = Path(str(url.database)).absolute().as_uri()
    return URL.create(url.drivername, database=file, query={"uri": "true", **options})


def _create_private_file(url: URL) -> None:
    """Only the owner can read a new file; SQLite gives the files beside it the same mode."""
    path = Path(str(url.database))
    if not path.parent.is_dir():
        raise StoreError(
            f"the folder {path.parent} for the database does not exist: create it, "
            "or change HARVEST_MONITOR_DATABASE_URL"
        )
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            give_to_owner_of(handle, path.parent)
        finally:
            os.close(handle)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"the database {path} cannot be created ({error.strerror})") from error
