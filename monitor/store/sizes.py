"""The size of the database, by table and in total."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.sqlite_file import log_bytes
from monitor.store.tables import METADATA


@dataclass(frozen=True, slots=True)
class TableSize:
    """`bytes` includes indexes; None if the SQLite library cannot tell."""

    name: str
    rows: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class DatabaseSize:
    """In bytes: used, free within the file, and the size of SQLite's write-ahead log."""

    used: int
    free: int
    wal: int


async def of_tables(conn: AsyncConnection) -> list[TableSize]:
    """The size of every table; reads everything, so it takes a while."""
    sizes = await _bytes_on_sqlite(conn) if conn.dialect.name == "sqlite" else await _bytes_on_postgres(conn)
    return [TableSize(name, await _rows(conn, name), sizes.get(name)) for name in sorted(METADATA.tables)]


async def of_database(conn: AsyncConnection) -> DatabaseSize:
    """The size of the whole database; reads no tables."""
    if conn.dialect.name != "sqlite":
        used = await conn.execute(select(func.pg_database_size(func.current_database())))
        return DatabaseSize(used=used.scalar_one(), free=0, wal=0)
    pragmas = ("page_size", "page_count", "freelist_count")
    page, count, free = [int((await conn.execute(text(f"PRAGMA {name}"))).scalar_one()) for name in pragmas]
    return DatabaseSize(used=page * (count - free), free=page * free, wal=log_bytes(await _file(conn)))


async def free_disk_space(conn: AsyncConnection) -> int | None:
    """Free bytes on the disk of a SQLite file; None on Postgres, whose disk is elsewhere."""
    if conn.dialect.name != "sqlite":
        return None
    return shutil.disk_usage((await _file(conn)).parent).free


async def _file(conn: AsyncConnection) -> Path:
    query = text("SELECT file FROM pragma_database_list WHERE name = 'main'")
    return Path((await conn.execute(query)).scalar_one())


async def _rows(conn: AsyncConnection, name: str) -> int:
    return int((await conn.execute(select(func.count()).select_from(METADATA.tables[name]))).scalar_one())


async def _bytes_on_sqlite(conn: AsyncConnection) -> Mapping[str, int]:
    """From the dbstat module, which not every build of SQLite has."""
    module = await conn.execute(text("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'"))
    if module.first() is None:
        return {}
    by_table = text(
        "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat AS s JOIN sqlite_master AS m ON m.name = s.name "
        "WHERE s.aggregate = TRUE GROUP BY m.tbl_name"
    )
    return {row[0]: row[1] for row in await conn.execute(by_table)}


async def _bytes_on_postgres(conn: AsyncConnection) -> Mapping[str, int]:
    size = text("SELECT pg_total_relation_size(CAST(CAST(:name AS text) AS regclass))")
    return {name: (await conn.execute(size, {"name": name})).scalar_one() for name in METADATA.tables}
