"""Loads the rows of a made-up year into an empty database with tables: minutes, where checks would take a year."""

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL

from tests.bench.made_rows import MadeRows, Row
from tests.bench.made_year import MadeYear


def load(url: URL, year: MadeYear) -> None:
    """Indexes are made again when all rows are there."""
    if url.get_backend_name() == "sqlite":
        _load_sqlite(Path(str(url.database)), year)
    else:
        _load_postgres(url, year)


def _load_sqlite(path: Path, year: MadeYear) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"):
            conn.execute(f"PRAGMA {pragma}")
        indexes = conn.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            conn.execute(f"DROP INDEX {name}")

        def write(table: str, rows: Iterable[Row]) -> None:
            _progress(table)
            columns, values = _columns(rows)
            places = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
            conn.execute("BEGIN")
            conn.executemany(statement, values)
            conn.execute("COMMIT")

        MadeRows(year).write_all(write)
        for name, sql in indexes:
            _progress(name)
            conn.execute(sql)
        conn.execute("PRAGMA journal_mode = WAL")


def _load_postgres(url: URL, year: MadeYear) -> None:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        conn.execute("SET session_replication_role = replica")  # foreign keys are not asked for every row
        conn.execute("SET maintenance_work_mem = '512MB'")
        indexes = conn.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT IN "
            "(SELECT conname FROM pg_constraint)"
        ).fetchall()
        for name, _ in indexes:
            conn.execute(f"DROP INDEX {name}".encode())

        def write(table: str, rows: Iterable[Row]) -> None:
            _progress(table)
            columns, values = _columns(rows)
            statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
            with conn.cursor().copy(statement.encode()) as copy:
                for each in values:
                    copy.write_row(each)
            if "id" in columns and table != "tenant":
                conn.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))".encode()
                )

        MadeRows(year).write_all(write)
        for name, definition in indexes:
            _progress(name)
            conn.execute(definition.encode())
        _progress("analyze")
        conn.execute("VACUUM ANALYZE")


def _columns(rows: Iterable[Row]) -> tuple[list[str], Iterator[list[Any]]]:
    """All rows of a table have the same columns."""
    waiting = iter(rows)
    first: Mapping[str, Any] | None = next(waiting, None)
    if first is None:
        return ["id"], iter(())
    return list(first), ([*row.values()] for row in chain([first], waiting))


def _progress(what: str) -> None:
    print(f"{datetime.now():%H:%M:%S}   {what}", file=sys.stderr, flush=True)
