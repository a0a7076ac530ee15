"""A database written by an earlier release and upgraded to this one, on SQLite and on Postgres."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    Integer,
    MetaData,
    insert,
    inspect,
    select,
)

from monitor.incidents import status_queries
from monitor.store import migrations
from monitor.store.database import Database
from monitor.store.migrations import METADATA, VERSION_TABLE, SchemaState, differences, upgrade
from monitor.store.tables import STATUS_CHANGE

FOLDER = Path(migrations.__file__).parent
REVISIONS = sorted(path.name[:4] for path in FOLDER.glob("versions/*.py"))
AT = datetime(2026, 11, 23, 8, tzinfo=UTC)


def _value(column: Column[Any]) -> object:
    """A value for one row in every table; each row has id 1 and refers to the other tables' first rows."""
    match column.type:
        case Boolean():
            return True
        case Integer() | Float():
            return 1
        case DateTime():
            return AT
        case Date():
            return AT.date()
        case JSON():
            return []
    return "1"


def _tables(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    return found


def _step(connection: Connection, revision: str) -> dict[str, dict[str, Any]]:
    """Run one migration, then add a row to each table that has none, with its columns at that time."""
    upgrade(connection, revision)
    there = _rows(connection)
    for table in _tables(connection).sorted_tables:
        if table.name not in {*there, VERSION_TABLE}:
            connection.execute(insert(table).values({column.name: _value(column) for column in table.columns}))
    return _rows(connection)


def _rows(connection: Connection) -> dict[str, dict[str, Any]]:
    rows = {}
    for table in _tables(connection).sorted_tables:
        found = connection.execute(select(table)).mappings().first()
        if found is not None and table.name != VERSION_TABLE:
            rows[table.name] = {name: str(value) for name, value in found.items()}
    return rows


@pytest.fixture
async def older(empty_url: URL) -> Any:
    database = Database(empty_url)
    await database.schema_state()
    yield database
    await database.close()


def _references(connection: Connection) -> set[tuple[str, str]]:
    """Which column refers to which table."""
    inspector = inspect(connection)
    return {
        (f"{table}.{key['constrained_columns'][0]}", key["referred_table"])
        for table in inspector.get_table_names()
        for key in inspector.get_foreign_keys(table)
    }


def test_migrations_form_one_chain() -> None:
    """Each file is named after its revision; they count from 0001, and each follows the one before."""
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS
    found = {one.revision: one for one in ScriptDirectory(str(FOLDER)).walk_revisions()}
    assert {name: one.down_revision for name, one in found.items()} == dict(
        zip(REVISIONS, [None, *REVISIONS], strict=False)
    )
    assert {name: Path(one.path).name[:4] for name, one in found.items()} == {name: name for name in REVISIONS}


async def test_a_database_of_the_first_release_keeps_every_row(older: Database) -> None:
    """Every migration takes along all rows there are by then, each value as it was, and every reference is still held;
    a database that came the whole way has the tables of a new one.
    """
    before: dict[str, dict[str, Any]] = {}
    references: set[tuple[str, str]] = set()
    for revision in REVISIONS:
        async with older.writing() as conn:
            after = await conn.run_sync(_step, revision)
            for name, row in before.items():
                assert {column: after[name][column] for column in row} == row, f"{name} after {revision}"
            assert references <= (references := await conn.run_sync(_references))
        before = after
        assert await older.schema_state() is (SchemaState.CURRENT if revision == REVISIONS[-1] else SchemaState.BEHIND)
    assert set(before) == set(METADATA.tables)
    async with older.reading() as conn:
        assert await conn.run_sync(differences) == []


async def test_refusals_of_earlier_releases_are_no_evidence_any_more(older: Database) -> None:
    """One answer in looser words made them, and for thirty days they would prove grants."""
    async with older.writing() as conn:
        for revision in REVISIONS[: REVISIONS.index("0009")]:
            await conn.run_sync(_step, revision)
        assert "refusal" in await conn.run_sync(_rows)
        await conn.run_sync(upgrade, "0009")
        assert "refusal" not in await conn.run_sync(_rows)


async def test_every_tenant_of_an_earlier_release_gets_its_status(older: Database) -> None:
    """The one that the rule gives it, since its incident, its last check, or when it was added or removed; and one row
    of history.
    """
    async with older.writing() as conn:
        await conn.run_sync(upgrade, "0009")
        await conn.run_sync(_add_old_tenants)
        await conn.run_sync(upgrade, "0010")
        assert await status_queries.mismatches(conn) == []
        assert await status_queries.unrecorded(conn) == []
        found = await conn.execute(select(STATUS_CHANGE.c["tenant_id", "status", "previous", "at"]))
        assert {row.tenant_id: row[1:] for row in found} == {
            name: (status, None, since) for name, (status, since, *_) in OLD_TENANTS.items()
        }


CHECKED, OPENED, GONE = (AT + timedelta(hours=hours) for hours in (1, 2, 3))
ONCE = {"last_checked_at": CHECKED, "last_full_at": CHECKED, "baseline_at": CHECKED}
SERVED = {**ONCE, "baseline_at": AT}
OLD_TENANTS: dict[str, tuple[str, datetime, dict[str, Any], list[dict[str, Any]]]] = {
    "of several": ("failing", OPENED, {}, [SERVED | {"state": "invalid"}, SERVED | {"missing": 1}]),
    "no incident": ("failing", CHECKED, {}, [SERVED | {"state": "invalid"}]),
    "bad row": ("failing", AT, {"problem": "no name"}, []),
    "drifted": ("drifted", OPENED, {"problem": "no name"}, [SERVED | {"missing": 1, "undecided": 2}]),
    "undecided": ("undecided", CHECKED, {}, [SERVED | {"undecided": 2}]),
    "carried": ("undecided", CHECKED, {}, [SERVED | {"carried": 1}]),
    "suspect": ("healthy", CHECKED, {}, [SERVED | {"suspects": 1}]),
    "suspect at first": ("new", CHECKED, {}, [ONCE | {"suspects": 1}]),
    "never checked": ("new", AT, {}, [{}]),
    "nothing to check": ("new", AT, {}, []),
    "healthy": ("healthy", CHECKED, {}, [SERVED, SERVED | {"missing": 1, "removed_at": GONE}]),
    "removed": ("removed", GONE, {"removed_at": GONE}, [SERVED | {"state": "invalid", "removed_at": GONE}]),
}
"""By id: its status, since when, and what its row and its credentials have beside what all have."""


def _add_old_tenants(connection: Connection) -> None:
    tables = _tables(connection).tables
    own = {"name": "", "features": [], "declined": [], "row_digest": "", "created_at": AT}
    for name, (_, since, facts, credentials) in OLD_TENANTS.items():
        connection.execute(insert(tables["tenant"]).values({"id": name, **own, **facts}))
        for number, more in enumerate(credentials):
            values = {"tenant_id": name, "label": str(number), "kind": "harvest-key", "reference": "env:KEY"}
            connection.execute(insert(tables["credential"]).values({**COUNTS, **values, **more}))
        if since == OPENED:
            connection.execute(insert(tables["incident"]).values(tenant_id=name, opened_at=OPENED))
            connection.execute(insert(tables["incident"]).values(tenant_id=name, opened_at=AT, resolved_at=AT))


COUNTS: dict[str, Any] = {
    **dict.fromkeys(("granted", "missing", "undecided", "unchecked", "suspects", "carried", "excess"), 0),
    "state": "ok",
    "detail": "",
    "was_invalid": False,
    "suspect_looks": 0,
    "epoch": 0,
}
