"""Maintenance of a SQLite file, on separate connections outside any transaction."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from monitor.errors import StoreError
from monitor.store.migrations import VERSION_TABLE

LOG_LIMIT = 64 * 1024 * 1024
"""Bytes. A longer write-ahead log is written back to the file, and cut to this size when it restarts."""

_SHORTEN_TIMEOUT_SECONDS = 0.2  # writers wait meanwhile
_VACUUM_TIMEOUT_SECONDS = 30.0


def log_bytes(path: Path) -> int:
    """The size of the write-ahead log (-wal) beside the file."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def for_reading(path: Path) -> dict[str, str]:
    """URI options to open the file read-only.

    In a folder that cannot be written, SQLite would fail to create its log beside the file. A file without a log is not
    open anywhere, so it can be declared immutable, which needs no log.
    """
    at_rest = log_bytes(path) == 0 and not os.access(path.parent, os.W_OK)
    return {"mode": "ro", "immutable": "1"} if at_rest else {"mode": "ro"}


def shorten_log(path: Path, longest: int = LOG_LIMIT) -> None:
    """Write a log that is too long back into the file and restart it; gives up while a reader still needs it.

    SQLite does this automatically once there is a moment without readers; overlapping reads never leave one.
    """
    if log_bytes(path) > longest:
        with closing(_open(path, _SHORTEN_TIMEOUT_SECONDS)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def vacuum(path: Path) -> None:
    """Rewrite the file without its free pages; sqlite3.Error if it is in use for too long. Writers wait."""
    with closing(_open(path, _VACUUM_TIMEOUT_SECONDS)) as conn:
        conn.execute("VACUUM")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def write_lock(path: Path, timeout: float = 5.0) -> Iterator[None]:
    """Hold the write lock of a database of ours, as another program might; writes nothing and creates no file.

    StoreError if it is not our database, or the lock is not free within the timeout (seconds).
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=timeout)) as conn:
            if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone():
                raise StoreError(f"{path} is not a Harvest Monitor database: it was left unchanged")
            conn.execute("BEGIN IMMEDIATE")
            yield
    except sqlite3.Error as problem:
        raise StoreError(f"{path} cannot be locked ({problem})") from None


def _open(path: Path, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=timeout, isolation_level=None)
