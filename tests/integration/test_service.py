"""`serve` within the test: its periodic tasks together."""

import asyncio
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL

from monitor.config.settings import NoticesMode, Settings
from monitor.service import serve
from monitor.store.burst_tables import BURST
from monitor.store.database import open_database
from tests.store import rows

TENANTS = """
tenants:
  - id: acme
    name: Acme Corp
    credential: {kind: harvest-key, label: Gem Harvest API Key, key: "env:NO_SUCH_KEY"}
"""


async def test_a_running_service_groups_what_its_checks_found(tmp_path: Path, sqlite_url: URL) -> None:
    """Here a key that cannot be read; nothing is sent."""
    (tmp_path / "tenants.yaml").write_text(TENANTS)
    settings = Settings(
        database_url=f"sqlite:///{sqlite_url.database}",
        tenants=tmp_path / "tenants.yaml",
        installation_key=tmp_path / "a.key",
        listen="127.0.0.1:0",
        notices=NoticesMode.OFF,
        settle=timedelta(seconds=1),
        confirm_after=timedelta(seconds=1),
    )
    stop = asyncio.Event()
    service = asyncio.create_task(serve(settings, stop))
    database = await open_database(sqlite_url)
    async with asyncio.timeout(30):
        while not (bursts := await rows(database, BURST)):
            await asyncio.sleep(0.1)
    stop.set()
    await service
    await database.close()
    assert [(burst["subject"], burst["examples"]) for burst in bursts] == [("misconfigured", ["acme"])]
