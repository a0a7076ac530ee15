"""`db upgrade`."""

import asyncio

import typer

from monitor import settings as settings_module
from monitor.store.database import Database

app = typer.Typer(help="Look after the database.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command(epilog="Example: HARVEST_MONITOR_DATABASE_URL=postgresql://… harvest-monitor db upgrade")
def upgrade() -> None:
    """Bring the tables to this release; a SQLite file is brought there by itself at every start."""

    async def act() -> None:
        db = Database(settings_module.load().database)
        try:
            await db.migrate()
        finally:
            await db.close()

    asyncio.run(act())
    typer.echo("the tables are those of this release")
