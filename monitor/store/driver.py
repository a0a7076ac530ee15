"""SQLite's driver as the store uses it: one trip to the connection's thread for each statement.

aiosqlite makes four of it (open a cursor, execute, fetch, close), and a trip, which wakes that thread and then the
event loop, costs more than most statements.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self

import aiosqlite

Rows = Sequence[tuple[Any, ...]]


def connection(path: str | os.PathLike[str], **options: Any) -> "DriverConnection":
    """To be awaited; the options are those of `sqlite3.connect`."""
    return DriverConnection(partial(sqlite3.connect, path, **options), iter_chunk_size=64)


class DriverConnection(aiosqlite.Connection):
    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        self._thread.daemon = True  # a statement that hangs does not keep the process from ending

    def cursor(self) -> "Statement":  # type: ignore[override]
        return Statement(self)

    async def rollback(self) -> None:
        """SQLAlchemy wants one whenever a connection is given back: no trip where nothing is begun.

        A connection whose statement may still be under way in the thread does not come here: SQLAlchemy closes it.
        """
        if self.in_transaction:
            await super().rollback()


class Statement:
    """What SQLAlchemy asks of a cursor. Its rows are fetched together with the execution; it needs no closing."""

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

    async def _in_thread(self, how: Callable[..., sqlite3.Cursor], *arguments: Any) -> None:
        # The one way into the thread for a function of one's own; aiosqlite has no public name for it.
        await self._connection._execute(self._run, how, *arguments)  # type: ignore[no-untyped-call]

    def _run(self, how: Callable[..., sqlite3.Cursor], *arguments: Any) -> None:
        cursor = self._connection._conn.cursor()
        try:
            how(cursor, *arguments)
            self._rows = cursor.fetchall()
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()
