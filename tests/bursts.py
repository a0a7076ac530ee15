"""Drift events written as rows, and grouped, for tests of bursts."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import insert

from monitor.incidents.burst_grouper import BurstGrouper
from monitor.incidents.bursts import BurstEvent
from monitor.store.database import Database
from monitor.store.tables import DRIFT_EVENT
from tests.reports import HOUR, MINUTE, T0, served
from tests.store import a_tenant, check, sync

ALL = {"jobs": "g", "offers": "g", "users": "g"}
LOST_AT = T0 + 4 * HOUR
TENANTS = ["acme", "globex", "initech", "umbrella"]


def an_event(id_: int, tenant_id: str, at: datetime = T0, permission: str = "jobs", kind: str = "lost") -> BurstEvent:
    label = f"GET: {permission}"
    return BurstEvent(id_, at, kind, tenant_id, permission, "Jobs", label, seen_before=T0, first_seen=at)


async def add_events(database: Database, events: Iterable[BurstEvent]) -> None:
    """The tenants get one credential each, numbered in the order of their names; add all tenants at once."""
    listed = list(events)
    async with database.writing() as conn:
        for event in listed:
            number = int(event.tenant_id.rpartition("-")[2])
            row = {**asdict(event), "credential_id": number, "detail": ""}
            await conn.execute(insert(DRIFT_EVENT).values(row))


async def add_tenants(database: Database, count: int) -> list[str]:
    names = [f"tenant-{number}" for number in range(1, count + 1)]
    await sync(database, *map(a_tenant, names))
    return names


async def group_all(database: Database, batch: int = 250) -> int:
    return await BurstGrouper(database, batch, batches=1000, rest_seconds=0).run_once()


async def loses(database: Database, credential_id: int, verdicts: dict[str, str], at: datetime) -> None:
    """Two checks, a minute apart: the first suspects, the second confirms."""
    for moment in (at, at + MINUTE):
        await check(database, served({**ALL, **verdicts}), moment, credential_id=credential_id)
