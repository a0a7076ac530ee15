"""The tables' history, applied by Alembic from within the program: no ini file, no command of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from monitor.store import tables

METADATA = tables.METADATA
VERSION_TABLE = "harvest_monitor_revision"


class Standing(StrEnum):
    """How a database compares with this release."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Difference:
    """Between the tables there are and those of this release; `surplus` is what is there and not ours."""

    text: str
    surplus: bool


def standing(connection: Connection) -> Standing:
    found = revision(connection)
    if found is None:
        theirs = set(METADATA.tables).intersection(inspect(connection).get_table_names())
        return Standing.FOREIGN if theirs else Standing.EMPTY
    return of_revision(found)


def of_revision(found: str) -> Standing:
    """How tables of a revision compare with this release."""
    script = ScriptDirectory.from_config(_config())
    if found not in {one.revision for one in script.walk_revisions()}:
        return Standing.NEWER
    return Standing.CURRENT if found == newest() else Standing.BEHIND


def upgrade(connection: Connection, to: str = "head") -> None:
    """Within the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def differences(connection: Connection) -> list[Difference]:
    """Between the tables, column by column and index by index, and those of this release, which they claim to be."""
    opts = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=opts)
    return [_difference(entry) for entry in _flat(compare_metadata(context, METADATA))]


def revision(connection: Connection) -> str | None:
    """Of the tables there are; None where they are not ours, or none."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def newest() -> str:
    """The revision of this release's tables."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _flat(entries: list[Any]) -> Iterator[tuple[Any, ...]]:
    """What concerns one column comes as a list of its own."""
    for entry in entries:
        yield from entry if isinstance(entry, list) else [entry]


def _difference(entry: tuple[Any, ...]) -> Difference:
    """`(kind, …, what)`, such as `("add_index", Index(…))`, or `("modify_type", schema, table, column, …)`."""
    kind = str(entry[0])
    named = [part for part in entry[1:] if part is not None]
    if kind.startswith("modify_"):
        return Difference(f"{named[0]}.{named[1]} has another {kind.removeprefix('modify_')}", surplus=False)
    what = kind.partition("_")[2]
    table = named[0] if what == "column" else getattr(getattr(named[-1], "table", None), "name", "")
    name = ".".join(filter(None, (table, getattr(named[-1], "name", None))))
    surplus = kind.startswith("remove_")
    return Difference(f"the {what} {name} is {'not ours' if surplus else 'missing'}", surplus)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
