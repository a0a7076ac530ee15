"""A database that an earlier release wrote, brought up to this one, on SQLite and on Postgres."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    MetaData,
    insert,
    inspect,
    select,
)

from monitor.store.database import Database
from monitor.store.migrations import Standing, upgrade

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)


def _value(column: Column[Any]) -> object:
    """One row in every table, each numbered 1 and referring to the others' first."""
    match column.type:
        case Boolean():
            return True
        case Integer() | Float():
            return 1
        case DateTime():
            return AT
        case JSON():
            return []
    return "1"


def _tables(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    return found


def _fill(connection: Connection) -> dict[str, dict[str, Any]]:
    """A row in each table of the first release, as its columns are then."""
    upgrade(connection, "0001")
    for table in _tables(connection).sorted_tables:
        if table.name != "harvest_monitor_revision":
            connection.execute(insert(table).values({column.name: _value(column) for column in table.columns}))
    return _rows(connection)


def _rows(connection: Connection) -> dict[str, dict[str, Any]]:
    rows = {}
    for table in _tables(connection).sorted_tables:
        found = connection.execute(select(table)).mappings().first()
        if found is not None and table.name != "harvest_monitor_revision":
            rows[table.name] = {name: str(value) for name, value in found.items()}
    return rows


@pytest.fixture
async def older(empty_url: URL) -> Any:
    database = Database(empty_url)
    await database.standing()
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


async def test_a_database_of_the_first_release_keeps_every_row(older: Database) -> None:
    """Every migration takes the rows along, each value as it was, and what they refer to is still held to be there."""
    async with older.writing() as conn:
        before = await conn.run_sync(_fill)
        references = await conn.run_sync(_references)
    assert await older.standing() is Standing.BEHIND
    assert len(before) == 13
    await older.migrate()
    assert await older.standing() is Standing.CURRENT
    async with older.reading() as conn:
        after = await conn.run_sync(_rows)
        assert references <= await conn.run_sync(_references)
    for name, row in before.items():
        assert {column: after[name][column] for column in row} == row, name
