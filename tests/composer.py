"""A composer under test, with tenants, drift events and causes in a database."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from checks.report import WriteAlarm
from monitor.config.settings import NoticesMode
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.write_alarm import write_alarm_notice
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice
from monitor.notices.operator_actions import listing
from monitor.store.database import Database
from monitor.store.statements import upsert
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, PERMISSION_STATE, TENANT
from tests.notices import NOW, SETTLE, a_policy


class ComposerHarness:
    """A composer and its database; each tenant has one credential."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.credentials: dict[str, int] = {}

    async def add_tenant(self, tenant: str, last_checked_at: datetime | None = None, **facts: Any) -> None:
        row = {
            "id": tenant,
            "name": tenant.title(),
            "csm_name": "Dana Reyes",
            "csm_email": f"dana+{tenant}@vendor.example",
            "features": [],
            "declined": [],
            "row_digest": "",
            "created_at": NOW,
        }
        async with self.database.writing() as conn:
            await conn.execute(insert(TENANT).values(row | facts))
        self.credentials[tenant] = await self.add_credential(tenant, "Gem Harvest API Key", last_checked_at)

    async def add_credential(self, tenant: str, label: str, last_checked_at: datetime | None = None) -> int:
        columns = {
            "label": label,
            "kind": "harvest-key",
            "reference": "env:KEY",
            "tenant_id": tenant,
            "last_checked_at": last_checked_at,
        }
        async with self.database.writing() as conn:
            added = await conn.execute(insert(CREDENTIAL).values(columns).returning(CREDENTIAL.c.id))
            return int(added.scalar_one())

    async def checked(self, at: datetime) -> None:
        """All tenants were."""
        async with self.database.writing() as conn:
            await conn.execute(update(CREDENTIAL).values(last_checked_at=at))

    async def add_known_state(self, permission: str, tenant: str = "acme", **facts: Any) -> None:
        """Stores the known state of a permission: lost, unless `facts` say otherwise."""
        state = {"credential_id": self.credentials[tenant], "permission_id": permission, "verdict": "missing"}
        words = {"permission_group": "Jobs", "permission_label": permission, "origin": "lost", "rule": ""}
        async with self.database.writing() as conn:
            await upsert(conn, PERMISSION_STATE, [state | words | {"suspect_looks": 0} | facts])

    async def add_event(
        self,
        kind: EventKind,
        permission: str | None = None,
        tenant: str = "acme",
        audience: Audience = Audience.CSM,
        at: datetime = NOW - SETTLE,
    ) -> int:
        """Stores an event, its cause, and what is known of the permission from then on; returns the cause's id."""
        if tenant not in self.credentials:
            await self.add_tenant(tenant)
        if permission is not None:
            verdict = "granted" if kind is EventKind.REGAINED else "missing"
            await self.add_known_state(
                permission, tenant, verdict=verdict, origin=None if verdict == "granted" else kind
            )
        event = {
            "at": at,
            "kind": kind,
            "tenant_id": tenant,
            "credential_id": self.credentials[tenant],
            "permission_id": permission,
            "permission_group": "Offers" if permission else None,
            "permission_label": permission,
            "state": None if permission else "invalid",
            "detail": "",
            "first_seen": at,
        }
        async with self.database.writing() as conn:
            added = await conn.execute(insert(DRIFT_EVENT).values(event).returning(DRIFT_EVENT.c.id))
            cause = {
                "event_id": added.scalar_one(),
                "tenant_id": tenant,
                "audience": audience,
                "brake_key": f"{kind}:{permission or 'invalid'}",
                "created_at": at,
            }
            return int((await conn.execute(insert(CAUSE).values(cause).returning(CAUSE.c.id))).scalar_one())

    async def burst(self, kind: EventKind, tenants: int, at: datetime = NOW - SETTLE) -> list[int]:
        return [await self.add_event(kind, "GET: List offers", f"burst{number}", at=at) for number in range(tenants)]

    async def run(self, now: datetime = NOW, mode: NoticesMode = NoticesMode.CSM, renderer: Any = None) -> int:
        return await Composer(self.database, a_policy(mode), renderer or Renderer()).run_once(now)

    async def notices(self, *statuses: Status) -> list[ListedNotice]:
        """Oldest first."""
        return list(reversed(await listing(self.database, statuses or tuple(Status))))

    async def causes(self) -> Mapping[int, tuple[bool, int | None]]:
        """Cause -> whether it is settled, and in which notice."""
        async with self.database.reading() as conn:
            rows = await conn.execute(select(CAUSE.c.id, CAUSE.c.settled_at, CAUSE.c.notice_id))
            return {id_: (settled_at is not None, notice) for id_, settled_at, notice in rows}

    async def alarm(
        self, mode: NoticesMode = NoticesMode.CSM, at: datetime = NOW, renderer: Renderer | None = None
    ) -> None:
        """Writes the notice of a write alarm at acme, as the write halt does."""
        alarm = WriteAlarm("POST /v1/candidates", 201, at, "req-1", "42", "all")
        async with self.database.writing() as conn:
            await write_alarm_notice(
                conn, a_policy(mode), renderer or Renderer(), alarm, "acme", "Acme Corp", "Gem", NOW
            )
