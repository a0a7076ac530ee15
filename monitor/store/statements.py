"""Statements that SQLite and Postgres share but SQLAlchemy has no common form for."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

# Numbers that no other program is likely to lock in the same Postgres.
MIGRATION_LOCK = 0x48_4D_00_01
TENANTS_LOCK = 0x48_4D_00_02
PRUNE_LOCK = 0x48_4D_00_03
RETIRED_LOCK = 0x48_4D_00_04
SAMPLE_LOCK = 0x48_4D_00_05
BURST_LOCK = 0x48_4D_00_0D
AUDIT_LOCK = 0x48_4D_00_0C


def _insert(conn: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if conn.dialect.name == "sqlite" else postgresql.insert(table)


async def upsert(conn: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows, or overwrite those with the same primary key; all rows have the same columns."""
    if not rows:
        return
    statement = _insert(conn, table)
    keys = [column.name for column in table.primary_key]
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    await conn.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)


async def insert_if_new(conn: AsyncConnection, table: Table, row: dict[str, Any]) -> bool:
    """Whether the row was written; False if a row with the same unique value exists."""
    statement = _insert(conn, table).values(row).on_conflict_do_nothing().returning(*table.primary_key)
    return (await conn.execute(statement)).first() is not None


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, of texts, for a condition that is not to choose the index.

    SQLite keeps no statistics: of two columns with an index each it may take the one that most rows have in common.
    """
    return func.coalesce(column, "")


async def one_at_a_time(conn: AsyncConnection, lock: int) -> None:
    """Hold this lock until the end of the transaction; no lock is needed on SQLite, which has one writer."""
    if conn.dialect.name == "postgresql":
        await conn.execute(select(func.pg_advisory_xact_lock(lock)))
