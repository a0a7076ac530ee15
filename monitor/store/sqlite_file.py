"""What concerns a SQLite file as a file, on a connection of its own, outside of any transaction."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from monitor.errors import StoreError
from monitor.store.migrations import VERSION_TABLE

LOG_LIMIT = 64 * 1024 * 1024
"""Bytes. The log of recent changes is made to begin anew when it is longer, and cut back to this when it does."""

_PATIENCE_SECONDS = 0.2  # writers stand still for as long
_PATIENCE_FOR_ALL_OF_IT = 30.0


def log_bytes(path: Path) -> int:
    """The size of the log of recent changes (-wal) beside the file."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def for_reading(path: Path) -> dict[str, str]:
    """How SQLite's URI asks for reading only.

    On a disk that can not be written, a file without a log is open nowhere, and must be said not to change: SQLite
    would want to make a log beside it first.
    """
    settled = log_bytes(path) == 0 and not os.access(path.parent, os.W_OK)
    return {"mode": "ro", "immutable": "1"} if settled else {"mode": "ro"}


def shorten_log(path: Path, longest: int = LOG_LIMIT) -> None:
    """Write the log back into the file if it is too long, and begin it anew; given up while a reader still needs it.

    SQLite does so by itself at a moment without readers, and where reads overlap all the time there is none.
    """
    if log_bytes(path) > longest:
        with closing(_opened(path, _PATIENCE_SECONDS)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def vacuum(path: Path) -> None:
    """Write the file anew without its free pages; sqlite3.Error where it is in use for too long. Writers wait."""
    with closing(_opened(path, _PATIENCE_FOR_ALL_OF_IT)) as conn:
        conn.execute("VACUUM")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def held(path: Path, patience: float = 5.0) -> Iterator[None]:
    """Hold the write lock of a database of ours, as another program may; nothing is written, and no file is made.

    StoreError if it is none, or the lock can not be had for longer than the patience, in seconds.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience)) as conn:
            if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone():
                raise StoreError(f"{path} is no database of Harvest Monitor: it was left alone")
            conn.execute("BEGIN IMMEDIATE")
            yield
    except sqlite3.Error as problem:
        raise StoreError(f"{path} can not be held ({problem})") from None


def _opened(path: Path, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=patience, isolation_level=None)
