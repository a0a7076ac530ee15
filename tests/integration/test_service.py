"""`serve` within the test: its periodic tasks together."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL, text

from checks.report import WriteAlarm
from monitor.config.settings import NoticesMode, Settings
from monitor.service import assembled, serve
from monitor.store.burst_tables import BURST
from monitor.store.database import Database, open_database
from tests.reports import T0
from tests.store import rows
from tests.unit.test_metrics import value

TENANTS = """
tenants:
  - id: acme
    name: Acme Corp
    credential: {kind: harvest-key, label: Gem Harvest API Key, key: "env:NO_SUCH_KEY"}
"""


def settings_in(folder: Path, sqlite_url: URL) -> Settings:
    """Those of a service with one tenant, which sends nothing."""
    (folder / "tenants.yaml").write_text(TENANTS)
    return Settings(
        database_url=f"sqlite:///{sqlite_url.database}",
        tenants=folder / "tenants.yaml",
        installation_key=folder / "a.key",
        listen="127.0.0.1:0",
        notices=NoticesMode.OFF,
        settle=timedelta(seconds=1),
        confirm_after=timedelta(seconds=1),
    )


async def test_a_running_service_groups_what_its_checks_found(tmp_path: Path, sqlite_url: URL) -> None:
    """Here a key that cannot be read; nothing is sent."""
    stop = asyncio.Event()
    service = asyncio.create_task(serve(settings_in(tmp_path, sqlite_url), stop))
    database = await open_database(sqlite_url)
    async with asyncio.timeout(30):
        while not (bursts := await rows(database, BURST)):
            await asyncio.sleep(0.1)
    stop.set()
    await service
    await database.close()
    assert [(burst["subject"], burst["examples"]) for burst in bursts] == [("misconfigured", ["acme"])]


async def test_an_alarm_that_is_not_stored_is_exported_until_it_is(tmp_path: Path, sqlite_url: URL) -> None:
    """By the process that raised it, whose write probes it stops: HarvestMonitorWriteHalt relies on it."""
    alarm = WriteAlarm("POST /v1/applications/{id}/move", 201, T0, None, None, "all")
    async with assembled(settings_in(tmp_path, sqlite_url), await open_database(sqlite_url)) as service:
        assert value(service.metrics, "write_halt_unstored") == 0
        await _rename_table(service.db, "write_halt", "halts_away")
        await service.write_halt.halt(alarm, Probed())
        assert value(service.metrics, "write_halt_unstored") == 1
        await _rename_table(service.db, "halts_away", "write_halt")
        await service.catch_up()
        assert value(service.metrics, "write_halt_unstored") == 0


@dataclass(frozen=True)
class Probed:
    tenant_id: str = "acme"
    tenant_name: str = "Acme Corp"
    credential_id: int | None = None
    label: str = "Gem Harvest API Key"


async def _rename_table(database: Database, name: str, to: str) -> None:
    async with database.writing() as conn:
        await conn.execute(text(f"ALTER TABLE {name} RENAME TO {to}"))
