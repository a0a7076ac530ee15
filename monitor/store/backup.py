"""Backups of a SQLite database: copied while the service writes, checked, and restored."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import column, select, table

from monitor.atomic_file import atomic_file
from monitor.errors import StoreError
from monitor.store.migrations import VERSION_TABLE, SchemaState, state_of_revision

_LOCK_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Copied:
    """`revision` is the schema revision of the copy."""

    file: Path
    bytes: int
    revision: str


@dataclass(frozen=True, slots=True)
class Restored:
    """`put_aside` is where the previous database is now; `held` counts notices held for the operator to decide."""

    file: Path
    put_aside: Path | None
    held: int


def back_up(source: Path, target: Path, *, overwrite: bool) -> Copied:
    """Copy the database as of one moment; neither readers nor writers wait. StoreError if no copy was made.

    The copy is one file that only its owner can read. It gets its name only after it was read back and checked.
    """
    _require_different_files(source, target)
    with _as_store_errors(target), atomic_file(target, overwrite=overwrite) as copy:
        with closing(_open_existing(source)) as conn, closing(_open(copy)) as target_conn:
            conn.backup(target_conn)  # all pages in one step: otherwise each write in between would restart the copy
            # So that the copy is one file: in WAL mode it would need its -wal and -shm beside it.
            target_conn.execute("PRAGMA journal_mode = DELETE")
        revision = _checked_revision(copy)
        size = copy.stat().st_size
    return Copied(target, size, revision)


def restore_backup(copy: Path, target: Path, who: str, now: datetime) -> Restored:
    """Replace the database with a copy and keep the old file under another name; on StoreError nothing was changed.

    Notices that were pending when the copy was taken may have been sent since, so they are held.
    """
    _require_different_files(copy, target)
    _checked_revision(copy)
    _require_not_in_use(target)
    with _as_store_errors(target), atomic_file(target, overwrite=True) as placed:
        with closing(_open_existing(copy)) as conn, closing(_open(placed)) as target_conn:
            conn.backup(target_conn)
            held = _hold_pending_notices(target_conn, copy, who, now)
        put_aside = _put_aside(target, now)
    return Restored(target, put_aside, held)


def _hold_pending_notices(conn: sqlite3.Connection, copy: Path, who: str, now: datetime) -> int:
    held = conn.execute("UPDATE notice SET status = 'held', next_attempt_at = NULL WHERE status = 'pending'").rowcount
    conn.execute(
        "INSERT INTO operator_action (at, who, action, subject, reason) VALUES (?, ?, 'db restore', ?, ?)",
        # The format in which SQLAlchemy stores a moment in SQLite.
        (f"{now:%Y-%m-%d %H:%M:%S.%f}", who, copy.name, f"{held} notices held"),
    )
    return held


def _checked_revision(copy: Path) -> str:
    """The copy's schema revision; StoreError if it is damaged or not a database of ours."""
    with closing(_open_existing(copy)) as conn:
        try:
            intact = [row[0] for row in conn.execute("PRAGMA integrity_check(1)")] == ["ok"]
            dangling = conn.execute("PRAGMA foreign_key_check").fetchone()
            revision = _revision(conn)
        except sqlite3.DatabaseError as problem:
            raise StoreError(f"{copy} cannot be read as a database ({problem}): use another copy") from None
    if not intact or dangling:
        raise StoreError(f"{copy} is damaged: run `harvest-monitor db check`, and keep your older backups")
    if revision is None:
        raise StoreError(f"{copy} is not a Harvest Monitor database: name another file")
    if state_of_revision(revision) is SchemaState.NEWER:
        raise StoreError(f"{copy} was written by a later release: use that release")
    return revision


def _revision(conn: sqlite3.Connection) -> str | None:
    if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone():
        return None
    row = conn.execute(str(select(column("version_num")).select_from(table(VERSION_TABLE)))).fetchone()
    return str(row[0]) if row else None


def _require_different_files(copy: Path, target: Path) -> None:
    if target.exists() and copy.exists() and target.samefile(copy):
        raise StoreError(f"{target} is the database itself: name another file")


def _require_not_in_use(path: Path) -> None:
    """StoreError while another process has the database open: each connection keeps a lock on the file."""
    if not path.exists():
        return
    conn = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None)
    with closing(conn):
        try:
            # In WAL mode BEGIN EXCLUSIVE alone succeeds beside idle connections; with this it does not.
            conn.execute("PRAGMA locking_mode = EXCLUSIVE")
            conn.execute("BEGIN EXCLUSIVE")
            conn.execute("ROLLBACK")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise StoreError(f"{path} is in use: stop the service first") from None
        except sqlite3.DatabaseError:
            pass  # a damaged database may be replaced: that is what backups are for


def _put_aside(path: Path, now: datetime) -> Path | None:
    """Rename the database together with its log, which must never stay beside another database file."""
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


@contextmanager
def _as_store_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise StoreError(f"{target} already exists: name another file, or add --overwrite") from None
    except OSError as problem:
        raise StoreError(f"{target} cannot be written ({problem.strerror}): nothing was changed") from None
    except sqlite3.Error as problem:
        raise StoreError(f"{target} cannot be written ({problem}): nothing was changed") from None


def _open_existing(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise StoreError(f"there is no file {path}: name the right one")
    return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30, isolation_level=None)
