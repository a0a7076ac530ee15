"""The database as commands use it: opened for one question or one act."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from monitor import settings as settings_module
from monitor.settings import Settings
from monitor.store.database import Database, open_database

Answer = TypeVar("Answer")


def with_database(ask: Callable[[Database, Settings], Awaitable[Answer]]) -> Answer:
    """Open the settings' database, ask, close."""

    async def asked() -> Answer:
        settings = settings_module.load()
        db = await open_database(settings.database)
        try:
            return await ask(db, settings)
        finally:
            await db.close()

    return asyncio.run(asked())


def who() -> str:
    """The operator, as the machine knows them, for the record of what was done."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def moment(value: datetime | None) -> str:
    return "" if value is None else value.strftime("%Y-%m-%d %H:%M:%SZ")
