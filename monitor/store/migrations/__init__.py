"""The tables' history, applied by Alembic from within the program: no ini file, no command of its own."""

from enum import StrEnum
from pathlib import Path

from alembic import command
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


def standing(connection: Connection) -> Standing:
    found = _revision(connection)
    if found is None:
        theirs = set(METADATA.tables).intersection(inspect(connection).get_table_names())
        return Standing.FOREIGN if theirs else Standing.EMPTY
    return of_revision(found)


def of_revision(found: str) -> Standing:
    """How tables of a revision compare with this release."""
    script = ScriptDirectory.from_config(_config())
    if found not in {revision.revision for revision in script.walk_revisions()}:
        return Standing.NEWER
    return Standing.CURRENT if found == script.get_current_head() else Standing.BEHIND


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Within the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
