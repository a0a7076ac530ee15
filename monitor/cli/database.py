"""The database as commands use it: opened for one question or one act."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL

from monitor.config import settings as settings_module
from monitor.config.settings import Settings
from monitor.errors import StoreError
from monitor.store.database import Database, open_database

Answer = TypeVar("Answer")


def with_database(ask: Callable[[Database, Settings], Awaitable[Answer]]) -> Answer:
    """Open the settings' database, ask, close; StoreError if there is none yet."""
    insist_on_file(settings_module.load().database)
    return with_new_database(ask)


def insist_on_file(url: URL) -> None:
    """StoreError where there is no SQLite file of that name."""
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise StoreError(
            f"there is no database {url.database} yet: start `harvest-monitor serve`, or name the right one in "
            "HARVEST_MONITOR_DATABASE_URL"
        )


def with_new_database(act: Callable[[Database, Settings], Awaitable[Answer]]) -> Answer:
    """As `with_database`, but a SQLite file that is not there yet is made."""

    async def acted() -> Answer:
        settings = settings_module.load()
        db = await open_database(settings.database)
        try:
            return await act(db, settings)
        finally:
            await db.close()

    return asyncio.run(acted())


def who() -> str:
    """The operator, as the machine knows them, for the record of what was done."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def moment(value: datetime | None) -> str:
    return "" if value is None else value.strftime("%Y-%m-%d %H:%M:%SZ")
