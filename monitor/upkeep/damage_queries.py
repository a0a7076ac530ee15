"""Damage by bad disks and other programs: to pages, tables and references, whatever they mean."""

from collections.abc import Iterator

from sqlalchemy import Column, Table, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.notices.wording import counted
from monitor.store.migrations import differences
from monitor.store.tables import METADATA
from monitor.upkeep.finding import DatabasePart, HealthFinding

_RESTORE = (
    "stop the service, move the file aside, and restore the newest sound backup (`harvest-monitor db restore`); the "
    "next checks find again what changed since"
)


async def of_file(conn: AsyncConnection, *, quick: bool) -> list[HealthFinding]:
    """SQLite's own check of every page; `quick` does not compare indexes with their tables."""
    pragma = text("PRAGMA quick_check" if quick else "PRAGMA integrity_check")
    try:
        lines = [str(row[0]) for row in await conn.execute(pragma)]
    except DBAPIError as problem:
        # Anything else, such as a locked file, says nothing about damage.
        if not str(getattr(problem.orig, "sqlite_errorname", "")).startswith("SQLITE_CORRUPT"):
            raise
        lines = [str(problem.orig)]  # so damaged that SQLite gave up
    if lines == ["ok"]:
        return []
    return [HealthFinding(DatabasePart.FILE, " ".join(line.split()), _RESTORE) for line in lines]


async def of_tables(conn: AsyncConnection) -> list[HealthFinding]:
    """Tables of this release that are missing or differ; additions by others do no harm."""
    next_step = "undo the change to the tables, or restore an earlier backup (`harvest-monitor db restore`)"
    found = await conn.run_sync(differences)
    return [HealthFinding(DatabasePart.TABLES, one.text, next_step) for one in found if not one.surplus]


async def of_references(conn: AsyncConnection) -> list[HealthFinding]:
    """Rows that refer to a missing row, counted column by column."""
    findings = []
    for column, target in _references():
        referring, referred = column.table.alias(), target.table.alias()
        value = referring.c[column.name]
        dangling = (
            value.is_not(None) & ~select(referred.c[target.name]).where(referred.c[target.name] == value).exists()
        )
        count, first = (await conn.execute(select(func.count(), func.min(value)).where(dangling))).one()
        if count:
            message = (
                f"{counted(count, 'row')} of {column.table.name} with a missing {target.table.name}, such as {first}"
            )
            findings.append(HealthFinding(DatabasePart.REFERENCES, message, _RESTORE))
    return findings


def _references() -> Iterator[tuple[Column[object], Column[object]]]:
    tables: list[Table] = METADATA.sorted_tables
    for table in tables:
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
            yield key.parent, key.column
