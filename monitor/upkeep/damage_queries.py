"""What bad disks and other programs do to a database: its pages, tables and references, whatever they mean."""

from collections.abc import Iterator

from sqlalchemy import Column, Table, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.migrations import differences
from monitor.store.tables import METADATA
from monitor.upkeep.finding import DatabaseFinding, Part

_RESTORE = (
    "stop the service, put the file aside, and restore the newest sound backup (`harvest-monitor db restore`); what "
    "came later is found anew by the next checks"
)


async def of_file(conn: AsyncConnection, *, quick: bool) -> list[DatabaseFinding]:
    """SQLite's own look at every page; `quick` leaves out whether each index has what its table has."""
    pragma = text("PRAGMA quick_check" if quick else "PRAGMA integrity_check")
    try:
        said = [str(row[0]) for row in await conn.execute(pragma)]
    except DBAPIError as problem:
        if not str(getattr(problem.orig, "sqlite_errorname", "")).startswith("SQLITE_CORRUPT"):
            raise
        said = [str(problem.orig)]  # so damaged that SQLite gave up
    if said == ["ok"]:
        return []
    return [DatabaseFinding(Part.FILE, None, " ".join(line.split()), _RESTORE) for line in said]


async def of_tables(conn: AsyncConnection) -> list[DatabaseFinding]:
    """What is missing of this release's tables, or is otherwise; what others have added to them is no concern."""
    next_step = "undo what was changed in the tables, or restore a backup from before (`harvest-monitor db restore`)"
    found = await conn.run_sync(differences)
    return [DatabaseFinding(Part.TABLES, None, one.text, next_step) for one in found if not one.surplus]


async def of_references(conn: AsyncConnection) -> list[DatabaseFinding]:
    """Rows that refer to a row that is not there: column by column, how many."""
    findings = []
    for column, target in _references():
        referring, there = column.table.alias(), target.table.alias()
        value = referring.c[column.name]
        dangling = value.is_not(None) & ~select(there.c[target.name]).where(there.c[target.name] == value).exists()
        count, first = (await conn.execute(select(func.count(), func.min(value)).where(dangling))).one()
        if count:
            message = (
                f"{count} rows of {column.table.name} name a {target.table.name} that is not there, such as {first}"
            )
            findings.append(DatabaseFinding(Part.REFERENCES, None, message, _RESTORE))
    return findings


def _references() -> Iterator[tuple[Column[object], Column[object]]]:
    tables: list[Table] = METADATA.sorted_tables
    for table in tables:
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
            yield key.parent, key.column
