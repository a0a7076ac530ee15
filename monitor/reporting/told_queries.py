"""Who was told of tenants' open incidents."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.reporting.told import Telling, Told, most_telling
from monitor.store.tables import CAUSE, DRIFT_EVENT, INCIDENT, NOTICE, TENANT

_OF_OPEN_INCIDENTS = (
    select(
        INCIDENT.c.tenant_id,
        CAUSE.c.settled_at,
        CAUSE.c.created_at,
        NOTICE.c.id,
        NOTICE.c.status,
        NOTICE.c.recipient,
        NOTICE.c.sent_at,
        NOTICE.c.created_at.label("written_at"),
        TENANT.c.csm_name,
        TENANT.c.csm_email,
    )
    .distinct()
    .join_from(INCIDENT, DRIFT_EVENT, DRIFT_EVENT.c.incident_id == INCIDENT.c.id)
    .join(CAUSE, CAUSE.c.event_id == DRIFT_EVENT.c.id)
    .join(TENANT, TENANT.c.id == INCIDENT.c.tenant_id)
    .outerjoin(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
    .where(INCIDENT.c.resolved_at.is_(None))
)


async def of_open_incidents(conn: AsyncConnection, tenants: Collection[str]) -> Mapping[str, Told]:
    """Of these tenants, by id; none for a tenant without an open incident, or whose news nobody was to get."""
    found: dict[str, list[Told]] = {}
    for row in await conn.execute(_OF_OPEN_INCIDENTS.where(INCIDENT.c.tenant_id.in_(sorted(tenants)))):
        if (told := _told(row)) is not None:
            found.setdefault(row.tenant_id, []).append(told)
    return {tenant: told for tenant, all_told in found.items() if (told := most_telling(all_told)) is not None}


async def of_tenant(conn: AsyncConnection, tenant: str) -> list[Told]:
    """Everything that was or will be told of its open incident, each once, the latest first."""
    rows = await conn.execute(_OF_OPEN_INCIDENTS.where(INCIDENT.c.tenant_id == tenant))
    told = {told for row in rows if (told := _told(row)) is not None}
    return sorted(told, key=lambda one: (one.at, one.notice or 0), reverse=True)


def _told(row: Row[*tuple[Any, ...]]) -> Told | None:
    if row.id is None:
        return Told(Telling.SETTLING, row.created_at) if row.settled_at is None else None
    is_csm = row.csm_email is not None and row.recipient.lower() == row.csm_email.lower()
    at: datetime = row.sent_at or row.written_at
    return Told(Telling(row.status), at, (row.csm_name if is_csm else None) or row.recipient, row.id)
