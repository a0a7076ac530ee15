"""How commands use the database: open it, do one thing, close it."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL

from monitor.config import settings_loader
from monitor.config.settings import Settings
from monitor.errors import StoreError
from monitor.store.database import Database, open_database

Answer = TypeVar("Answer")


def with_database(action: Callable[[Database, Settings], Awaitable[Answer]]) -> Answer:
    """Run the action on the configured database; StoreError if a SQLite file does not exist yet."""
    require_file(settings_loader.load().database)
    return with_new_database(action)


def require_file(url: URL) -> None:
    """StoreError if the URL names a SQLite file that does not exist."""
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise StoreError(
            f"there is no database {url.database} yet: start `harvest-monitor serve`, or correct "
            "HARVEST_MONITOR_DATABASE_URL"
        )


def with_new_database(action: Callable[[Database, Settings], Awaitable[Answer]]) -> Answer:
    """Like `with_database`, but creates a SQLite file that does not exist yet."""

    async def run() -> Answer:
        settings = settings_loader.load()
        db = await open_database(settings.database, settings.database_pool_size)
        try:
            return await action(db, settings)
        finally:
            await db.close()

    return asyncio.run(run())


def who() -> str:
    """The user who runs the command, for the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as an id without a name; from Python 3.13 on it is OSError
        return "unknown"


def moment(value: datetime | None) -> str:
    return "" if value is None else value.strftime("%Y-%m-%d %H:%M:%SZ")
