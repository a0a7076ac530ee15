"""The tables' migrations, run with Alembic from within the program: no ini file, no separate command."""

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


class SchemaState(StrEnum):
    """How a database compares with this release."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between the existing tables and those of this release; `surplus` means it exists but is not ours."""

    text: str
    surplus: bool


def schema_state(connection: Connection) -> SchemaState:
    found = revision(connection)
    if found is None:
        taken = set(METADATA.tables).intersection(inspect(connection).get_table_names())
        return SchemaState.FOREIGN if taken else SchemaState.EMPTY
    return state_of_revision(found)


def state_of_revision(revision: str) -> SchemaState:
    """How tables with this revision compare with this release."""
    scripts = ScriptDirectory.from_config(_config())
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        return SchemaState.NEWER
    return SchemaState.CURRENT if revision == newest() else SchemaState.BEHIND


def upgrade(connection: Connection, to: str = "head") -> None:
    """Within the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def differences(connection: Connection) -> list[Difference]:
    """How the tables differ from those of this release, column by column and index by index."""
    opts = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=opts)
    return [_difference(entry) for entry in _flat(compare_metadata(context, METADATA))]


def revision(connection: Connection) -> str | None:
    """The revision of the existing tables; None if there are none or they are not ours."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def newest() -> str:
    """The revision of this release."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _flat(entries: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Changes to one column come as a nested list."""
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
