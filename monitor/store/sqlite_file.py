"""What concerns a SQLite file as a file, on a connection of its own, outside of any transaction."""

import sqlite3
from contextlib import closing
from pathlib import Path

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


def _opened(path: Path, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=patience, isolation_level=None)
