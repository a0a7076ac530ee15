"""Our SQLite driver: one round trip to the connection's thread per statement.

aiosqlite takes four (open a cursor, execute, fetch, close). A round trip wakes that thread and then the event loop, and
costs more than most statements.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self

import aiosqlite

Rows = Sequence[tuple[Any, ...]]


def connection(path: str | os.PathLike[str], **options: Any) -> "DriverConnection":
    """Await the result; the options are those of `sqlite3.connect`."""
    return DriverConnection(partial(sqlite3.connect, path, **options), iter_chunk_size=64)


class DriverConnection(aiosqlite.Connection):
    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        self._thread.daemon = True  # a hanging statement must not keep the process from exiting

    def cursor(self) -> "Statement":  # type: ignore[override]
        return Statement(self)

    async def rollback(self) -> None:
        """SQLAlchemy rolls back whenever a connection is returned; this costs no round trip if no transaction is open.

        A connection whose statement may still be running in the thread never gets here: SQLAlchemy closes it.
        """
        if self.in_transaction:
            await super().rollback()


class Statement:
    """The cursor that SQLAlchemy expects. Its rows are fetched with the execution, so it needs no closing."""

    def __init__(self, connection: DriverConnection) -> None:
        self._connection = connection
        self._rows: Rows = ()
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Iterable[Any] = ()) -> None:
        await self._in_thread(sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, rows: Iterable[Iterable[Any]]) -> None:
        await self._in_thread(sqlite3.Cursor.executemany, statement, rows)

    async def fetchall(self) -> Rows:
        return self._rows

    async def close(self) -> None:
        pass

    async def _in_thread(self, method: Callable[..., sqlite3.Cursor], *arguments: Any) -> None:
        # The only way to run our own function in the thread; aiosqlite has no public method for it.
        await self._connection._execute(self._run, method, *arguments)  # type: ignore[no-untyped-call]

    def _run(self, method: Callable[..., sqlite3.Cursor], *arguments: Any) -> None:
        cursor = self._connection._conn.cursor()
        try:
            method(cursor, *arguments)
            self._rows = cursor.fetchall()
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()
