"""The ids of tenants that the shell offers when somebody presses Tab."""

import asyncio

from monitor.cli.database import require_file
from monitor.config import settings_loader
from monitor.config.settings import Settings
from monitor.store.database import database_as_it_is
from monitor.tenants.sync_queries import active_ids

SECONDS = 1.0


def tenant_ids(incomplete: str) -> list[str]:
    """None where it would take long or fail: Tab asks no server, waits for nothing, and complains of nothing."""
    try:
        settings = settings_loader.load()
        if settings.database.get_backend_name() != "sqlite":
            return []
        require_file(settings.database)
        ids = asyncio.run(asyncio.wait_for(_ids(settings), SECONDS))
    except Exception:  # a command would say what it is; here it would be printed into somebody's command line
        return []
    return sorted(id_ for id_ in ids if id_.startswith(incomplete))


async def _ids(settings: Settings) -> frozenset[str]:
    db = database_as_it_is(settings.database)
    try:
        async with db.reading() as conn:
            return await active_ids(conn)
    finally:
        await db.close()
