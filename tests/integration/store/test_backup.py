"""Backups of a SQLite database: copied while others write, checked, restored; and its log kept short."""

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, insert, text, update

from monitor.errors import StoreError
from monitor.store import sizes, sqlite_file
from monitor.store.backup import Copied, Restored, back_up, restore_backup
from monitor.store.database import Database, open_database
from monitor.store.migrations import VERSION_TABLE, SchemaState, upgrade
from monitor.store.tables import NOTICE, OPERATOR_ACTION, TENANT
from tests.store import T0, a_tenant, an_action, everything, rows, sync

LATER = T0 + timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


@pytest.fixture
async def database(sqlite_url: URL) -> Any:
    opened = await open_database(sqlite_url)
    yield opened
    await opened.close()


def file_of(database: Database) -> Path:
    return Path(str(database.url.database))


def ask(file: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as conn:
        return conn.execute(question).fetchall()


async def copy_of(database: Database, folder: Path) -> Copied:
    return await asyncio.to_thread(back_up, file_of(database), folder / "copy.sqlite3", overwrite=False)


async def put_back(copy: Path, database: Database) -> Restored:
    return await asyncio.to_thread(restore_backup, copy, file_of(database), "ops", LATER)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Taking a copy.


async def test_a_copy_is_one_state_however_many_write(database: Database, folder: Path) -> None:
    """Writers continue meanwhile; what was written together is in the copy together, or not at all."""
    await sync(database, *(a_tenant(f"tenant-{number}") for number in range(300)))
    done = asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not done.is_set():
            async with database.writing() as conn:
                for _ in range(2):
                    await conn.execute(insert(OPERATOR_ACTION).values(**an_action()))
            written += 2

    writers = [asyncio.create_task(write()) for _ in range(3)]
    while written < 10:
        await asyncio.sleep(0)
    before = written
    copied = await copy_of(database, folder)
    after = written
    done.set()
    await asyncio.gather(*writers)

    ((count,),) = ask(copied.file, "SELECT count(*) FROM operator_action")
    assert count % 2 == 0
    assert before <= count <= after
    assert ask(copied.file, "SELECT count(*) FROM tenant") == [(300,)]


async def test_a_copy_is_one_private_file(database: Database, folder: Path) -> None:
    """It needs no log beside it, only its owner can read it, and no other file is left in the folder."""
    copied = await copy_of(database, folder)
    assert copied.bytes == copied.file.stat().st_size
    assert stat.S_IMODE(copied.file.stat().st_mode) == 0o600
    assert ask(copied.file, "PRAGMA journal_mode") == [("delete",)]
    assert names(folder) == ["copy.sqlite3"]


async def test_a_copy_replaces_a_file_only_with_overwrite(database: Database, folder: Path) -> None:
    """An existing file is refused before anything is copied; with overwrite it stays until the copy is complete."""
    (folder / "copy.sqlite3").write_text("last week's")
    with pytest.raises(StoreError, match=r"copy.sqlite3 already exists: .*--overwrite"):
        await copy_of(database, folder)
    with pytest.raises(StoreError, match="there is no file"):
        back_up(folder / "nothing", folder / "copy.sqlite3", overwrite=True)
    assert (folder / "copy.sqlite3").read_text() == "last week's"
    back_up(file_of(database), folder / "copy.sqlite3", overwrite=True)
    assert ask(folder / "copy.sqlite3", "SELECT count(*) FROM tenant") == [(0,)]
    with pytest.raises(StoreError, match="is the database itself"):
        back_up(file_of(database), file_of(database), overwrite=True)


async def test_an_older_database_is_copied_as_it_is(sqlite_url: URL, folder: Path) -> None:
    """It can be backed up with the new release before that release upgrades it."""
    database = Database(sqlite_url)
    await database.schema_state()
    async with database.writing() as conn:
        await conn.run_sync(upgrade, "0001")
    copied = await copy_of(database, folder)
    assert copied.revision == "0001"
    assert await database.schema_state() is SchemaState.BEHIND
    await database.close()


def scratch(file: Path) -> None:
    """Overwrite the middle of a file, as a bad disk does."""
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(b"\xff" * 8192)


async def test_a_damaged_database_gives_no_copy(database: Database, folder: Path) -> None:
    """A copy that cannot be read is not a backup, and does not get a name like one."""
    await sync(database, *(a_tenant(f"tenant-{number}") for number in range(100)))
    await database.close()
    scratch(file_of(database))
    with pytest.raises(StoreError, match=r"damaged|cannot be read as a database"):
        await copy_of(database, folder)
    assert names(folder) == []


# Restoring.


async def test_a_restored_copy_is_what_it_was(database: Database, folder: Path) -> None:
    """It has every row of that moment; the previous database is kept with everything written later."""
    await sync(database, a_tenant("acme"))
    before = await everything(database)
    copied = await copy_of(database, folder)
    await sync(database, a_tenant("acme"), a_tenant("globex"), now=LATER)
    await database.close()

    restored = await put_back(copied.file, database)

    found = await everything(database)
    (action,) = found.pop("operator_action")
    assert action == action | {"who": "ops", "action": "db restore", "subject": "copy.sqlite3", "at": LATER}
    del before["operator_action"]
    assert found == before
    assert restored.put_aside is not None
    assert ask(restored.put_aside, "SELECT id FROM tenant ORDER BY id") == [("acme",), ("globex",)]
    assert stat.S_IMODE(file_of(database).stat().st_mode) == 0o600


async def test_pending_notices_are_held(database: Database, folder: Path) -> None:
    """They may have been sent since the copy was taken, so an operator decides. Other notices stay unchanged."""
    plain = {"audience": "csm", "why": "", "recipient": "", "subject": "", "text": "t", "html": "", "attempts": 0}
    async with database.writing() as conn:
        for number, status in enumerate(("pending", "sent", "held")):
            row = {**plain, "status": status, "message_id": f"<{number}>", "created_at": T0, "next_attempt_at": T0}
            await conn.execute(insert(NOTICE).values(**row))
    copied = await copy_of(database, folder)
    async with database.writing() as conn:
        await conn.execute(update(NOTICE).values(status="sent"))
    await database.close()

    assert (await put_back(copied.file, database)).held == 1

    assert [(n["status"], n["next_attempt_at"]) for n in await rows(database, NOTICE)] == [
        ("held", None), ("sent", T0), ("held", T0),
    ]  # fmt: skip


async def test_a_database_in_use_is_not_replaced(database: Database, folder: Path) -> None:
    """While any process has it open, idle or not, the restore is refused and nothing is changed."""
    copied = await copy_of(database, folder)
    await sync(database, a_tenant("acme"))
    with pytest.raises(StoreError, match="is in use: stop the service first"):
        await put_back(copied.file, database)
    assert [row["id"] for row in await rows(database, TENANT)] == ["acme"]
    assert not any("replaced" in name for name in names(file_of(database).parent))


async def test_no_log_is_left_to_another_database(database: Database, folder: Path) -> None:
    """The log of a killed service is kept with its file: beside another file, SQLite would read it into that one."""
    copied = await copy_of(database, folder)
    killed = sqlite3.connect(file_of(database), isolation_level=None)
    killed.execute("INSERT INTO operator_action (at, who, action, subject, reason) VALUES ('', 'x', 'x', 'x', 'x')")
    log = file_of(database).with_name("store.sqlite3-wal")
    left_behind = log.read_bytes()
    killed.close()
    await database.close()
    log.write_bytes(left_behind)

    await put_back(copied.file, database)

    assert not log.exists()
    assert [row["who"] for row in await rows(database, OPERATOR_ACTION)] == ["ops"]


async def test_a_damaged_database_can_be_replaced(database: Database, folder: Path) -> None:
    """That is what backups are for."""
    await sync(database, a_tenant("acme"))
    copied = await copy_of(database, folder)
    await database.close()
    file_of(database).write_bytes(b"\xff" * 100_000)
    await put_back(copied.file, database)
    assert [row["id"] for row in await rows(database, TENANT)] == ["acme"]


def _newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")


def _foreign(file: Path) -> None:
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute(f"DROP TABLE {VERSION_TABLE}")


def _gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_newer, "written by a later release"),
        (_foreign, "not a Harvest Monitor database"),
        (_gone, "there is no file"),
        (scratch, "damaged|cannot be read as a database"),
    ],
)
async def test_an_unusable_copy_is_refused(
    database: Database, folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    """The database stays unchanged."""
    await sync(database, *(a_tenant(f"tenant-{number}") for number in range(100)))
    copied = await copy_of(database, folder)
    await database.close()
    spoil(copied.file)
    with pytest.raises(StoreError, match=message):
        await put_back(copied.file, database)
    assert len(await rows(database, TENANT)) == 100
    assert not any("replaced" in name for name in names(file_of(database).parent))


# The write-ahead log.


async def test_a_log_that_grew_is_shortened_once_no_reader_needs_it(database: Database) -> None:
    """A long reader keeps the log but delays nobody for long; without the reader, the log is written back."""
    async with database.reading() as reader:
        await reader.execute(text("SELECT count(*) FROM tenant"))
        await sync(database, *(a_tenant(f"tenant-{number}") for number in range(300)))
        grown = sqlite_file.log_bytes(file_of(database))
        sqlite_file.shorten_log(file_of(database), longest=grown - 1)
        assert sqlite_file.log_bytes(file_of(database)) >= grown
    sqlite_file.shorten_log(file_of(database), longest=grown)
    assert sqlite_file.log_bytes(file_of(database)) >= grown
    sqlite_file.shorten_log(file_of(database), longest=grown - 1)
    assert sqlite_file.log_bytes(file_of(database)) == 0
    assert len(await rows(database, TENANT)) == 300


async def test_a_short_log_is_left_unchanged(database: Database) -> None:
    """The service calls this often; on Postgres there is nothing to do."""
    await sync(database, a_tenant("acme"))
    there = sqlite_file.log_bytes(file_of(database))
    await database.shorten_log()
    assert sqlite_file.log_bytes(file_of(database)) == there > 0
    away = Database(URL.create("postgresql+psycopg", host="127.0.0.1", port=9, database="store"))
    await away.shorten_log()
    await away.close()


async def test_free_space_is_returned(database: Database) -> None:
    """A file with free pages becomes small; on Postgres vacuum is refused with the reason."""
    await sync(database, *(a_tenant(f"tenant-{number}") for number in range(300)))
    async with database.writing() as conn:
        for table in ("credential", "status_change", "tenant"):
            await conn.execute(text(f"DELETE FROM {table}"))
    async with database.reading() as conn:
        before = await sizes.of_database(conn)
    await database.vacuum()
    async with database.reading() as conn:
        after = await sizes.of_database(conn)
    assert after == sizes.DatabaseSize(used=before.used, free=0, wal=0)
    assert file_of(database).stat().st_size == after.used < before.used + before.free
    away = Database(URL.create("postgresql+psycopg", host="127.0.0.1", port=9, database="store"))
    with pytest.raises(StoreError, match="automatically"):
        await away.vacuum()
    await away.close()
