"""The drift history: events as they were recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift import EventKind
from monitor.store.statements import unindexed
from monitor.store.tables import CREDENTIAL, DRIFT_EVENT, TENANT


@dataclass(frozen=True, slots=True)
class PastEvent:
    """A recorded drift event with the names people know; for excess, `permission_id` is the endpoint."""

    id: int
    at: datetime
    kind: str
    tenant_id: str
    tenant_name: str
    credential_label: str
    permission_id: str | None
    permission_group: str | None
    permission_label: str | None
    mapping: str | None
    rule: str | None
    state: str | None
    detail: str
    seen_before: datetime | None
    first_seen: datetime | None
    incident_id: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; None leaves an aspect open. A permission goes by id or by label.

    `after_id` leaves out the events up to this one, in the order in which they were recorded.
    """

    tenant_id: str | None = None
    since: datetime | None = None
    permission: str | None = None
    kind: EventKind | None = None
    limit: int | None = None
    after_id: int | None = None


_NAMES = {"tenant_name": TENANT.c.name, "credential_label": CREDENTIAL.c.label}
COLUMNS = [
    *(DRIFT_EVENT.c[field.name] for field in fields(PastEvent) if field.name not in _NAMES),
    *(column.label(name) for name, column in _NAMES.items()),
]


async def newest_id(conn: AsyncConnection) -> int:
    """0 if there is no event."""
    return int((await conn.execute(select(func.coalesce(func.max(DRIFT_EVENT.c.id), 0)))).scalar_one())


async def events(conn: AsyncConnection, wanted: Wanted) -> Sequence[PastEvent]:
    """In the order of time; a limit keeps the latest."""
    e = DRIFT_EVENT.c
    conditions = []
    if wanted.tenant_id is not None:
        conditions.append(e.tenant_id == wanted.tenant_id)
    if wanted.since is not None:
        conditions.append(e.at >= wanted.since)
    if wanted.permission is not None:
        conditions.append(or_(e.permission_id == wanted.permission, e.permission_label == wanted.permission))
    if wanted.kind is not None:
        kind = e.kind if wanted.tenant_id is None else unindexed(e.kind)
        conditions.append(kind == wanted.kind)
    if wanted.after_id is not None:
        conditions.append(e.id > wanted.after_id)
    latest = (
        select(*COLUMNS)
        .join(TENANT, TENANT.c.id == e.tenant_id)
        .join(CREDENTIAL, CREDENTIAL.c.id == e.credential_id)
        .where(*conditions)
        .order_by(e.at.desc(), e.id.desc())
        .limit(wanted.limit)
    )
    found = [PastEvent(**row._mapping) for row in await conn.execute(latest)]
    return found[::-1]
