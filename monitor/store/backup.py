"""Copies of a SQLite database: taken while the service writes, proved whole, and put back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import column, select, table

from monitor.atomic_file import atomic_file
from monitor.errors import StoreError
from monitor.store.migrations import VERSION_TABLE, Standing, of_revision

_IN_USE_AFTER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Copied:
    """`revision` is that of the tables in the copy."""

    file: Path
    bytes: int
    revision: str


@dataclass(frozen=True, slots=True)
class Restored:
    """`put_aside` is where the database is that was there before; `held` counts notices that wait for a decision."""

    file: Path
    put_aside: Path | None
    held: int


def back_up(source: Path, target: Path, *, overwrite: bool) -> Copied:
    """Copy the database as it is at one moment; neither readers nor writers wait. StoreError if no copy was made.

    The copy is one file, readable for its owner alone, and has its name only once it was read through and found whole.
    """
    _insist_on_two(source, target)
    with _told(target), atomic_file(target, overwrite=overwrite) as copy:
        with closing(_existing(source)) as conn, closing(_opened(copy)) as taken:
            conn.backup(taken)  # all pages in one step: in several, each write in between would begin it anew
            taken.execute("PRAGMA journal_mode = DELETE")
        revision = _proved(copy)
        size = copy.stat().st_size
    return Copied(target, size, revision)


def restore(copy: Path, target: Path, who: str, now: datetime) -> Restored:
    """Put a copy in the place of the database, which is put aside; StoreError, and nothing changed, if it can not be.

    What was waiting to be sent when the copy was taken may have been sent since: it is held.
    """
    _insist_on_two(copy, target)
    _proved(copy)
    _insist_on_rest(target)
    with _told(target), atomic_file(target, overwrite=True) as placed:
        with closing(_existing(copy)) as conn, closing(_opened(placed)) as taken:
            conn.backup(taken)
            held = _hold(taken, copy, who, now)
        put_aside = _put_aside(target, now)
    return Restored(target, put_aside, held)


def _hold(conn: sqlite3.Connection, copy: Path, who: str, now: datetime) -> int:
    held = conn.execute("UPDATE notice SET status = 'held', next_attempt_at = NULL WHERE status = 'pending'").rowcount
    conn.execute(
        "INSERT INTO operator_action (at, who, action, subject, reason) VALUES (?, ?, 'db restore', ?, ?)",
        (f"{now:%Y-%m-%d %H:%M:%S.%f}", who, copy.name, f"{held} notices held"),
    )
    return held


def _proved(copy: Path) -> str:
    """The revision of its tables; StoreError where a copy is damaged, or none of a database of ours."""
    with closing(_existing(copy)) as conn:
        try:
            whole = [row[0] for row in conn.execute("PRAGMA integrity_check(1)")] == ["ok"]
            dangling = conn.execute("PRAGMA foreign_key_check").fetchone()
            revision = _revision(conn)
        except sqlite3.DatabaseError as problem:
            raise StoreError(f"{copy} can not be read as a database ({problem}): use another copy") from None
    if not whole or dangling:
        raise StoreError(f"{copy} is damaged: see what `harvest-monitor db check` says, and keep your older backups")
    if revision is None:
        raise StoreError(f"{copy} is no database of Harvest Monitor: name another file")
    if of_revision(revision) is Standing.NEWER:
        raise StoreError(f"{copy} was written by a later release: use that release")
    return revision


def _revision(conn: sqlite3.Connection) -> str | None:
    if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone():
        return None
    row = conn.execute(str(select(column("version_num")).select_from(table(VERSION_TABLE)))).fetchone()
    return str(row[0]) if row else None


def _insist_on_two(copied: Path, target: Path) -> None:
    if target.exists() and copied.exists() and target.samefile(copied):
        raise StoreError(f"{target} is the database itself: name another file")


def _insist_on_rest(path: Path) -> None:
    """StoreError while another process has the database open: each keeps a lock on the file for as long."""
    if not path.exists():
        return
    conn = sqlite3.connect(path, timeout=_IN_USE_AFTER_SECONDS, isolation_level=None)
    with closing(conn):
        try:
            conn.execute("PRAGMA locking_mode = EXCLUSIVE")
            conn.execute("BEGIN EXCLUSIVE")
            conn.execute("ROLLBACK")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise StoreError(f"{path} is in use: stop the service first") from None
        except sqlite3.DatabaseError:
            pass  # damaged: that is what backups are for


def _put_aside(path: Path, now: datetime) -> Path | None:
    """With its log, which must never stay beside another database's file."""
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise StoreError(f"{target} is there already: name another file, or add --overwrite") from None
    except OSError as problem:
        raise StoreError(f"{target} can not be written ({problem.strerror}): nothing was changed") from None
    except sqlite3.Error as problem:
        raise StoreError(f"{target} can not be written ({problem}): nothing was changed") from None


def _existing(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise StoreError(f"there is no file {path}: name the right one")
    return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30, isolation_level=None)
