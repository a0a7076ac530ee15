"""Multiplies a few simulated tenants: a database of full size in a minute, for sizes and query plans.

Every row is copied many times under new ids, in the order in which the rows were created, so that the copies lie in the
file as the rows of so many real tenants would.
"""

import sqlite3
from pathlib import Path

from sqlalchemy import Column, Integer, Table

from monitor.store.tables import METADATA, OPERATOR_ACTION, SWEEP, TENANT, WRITE_HALT

_NOT_PER_TENANT = (SWEEP, OPERATOR_ACTION, WRITE_HALT)


def multiply(few: Path, many: Path, copies: int) -> None:
    """`many` must have the tables, without rows."""
    conn = sqlite3.connect(many, isolation_level=None)
    conn.execute("PRAGMA synchronous = OFF")
    conn.execute("ATTACH ? AS few", (str(few),))
    conn.execute("CREATE TEMP TABLE copy (k INTEGER PRIMARY KEY)")
    conn.executemany("INSERT INTO copy VALUES (?)", ((k,) for k in range(copies)))
    conn.execute("PRAGMA foreign_keys = OFF")
    conn.execute("BEGIN")
    for table in METADATA.sorted_tables:
        conn.execute(_copied(table, copies))
    conn.execute("COMMIT")
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    conn.close()


def _copied(table: Table, copies: int) -> str:
    names = ", ".join(column.name for column in table.columns)
    if table in _NOT_PER_TENANT:
        return f"INSERT INTO main.{table.name} ({names}) SELECT {names} FROM few.{table.name}"
    values = ", ".join(_value(column, copies) for column in table.columns)
    order = ", ".join(f"t.{column.name}" for column in table.primary_key)
    return (
        f"INSERT INTO main.{table.name} ({names}) SELECT {values} FROM few.{table.name} AS t, copy "
        f"ORDER BY {order if table.name == 'check_day' else 't.rowid'}, k"
    )


def _value(column: Column[object], copies: int) -> str:
    """Copies differ in their ids only; new numbers keep the order of the original rows."""
    target = next((key.column.table for key in column.foreign_keys), column.table)
    is_id = bool(column.foreign_keys) or (column.primary_key and column.name == "id")
    if is_id and isinstance(column.type, Integer):
        return f"(t.{column.name} - 1) * {copies} + k + 1"
    if (is_id and target is TENANT) or column.unique:
        return f"t.{column.name} || '.' || k"
    return f"t.{column.name}"
