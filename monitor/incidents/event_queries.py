"""From the change that a check made to drift events, the tenant's incident, and the causes of notices."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift import Change, Event
from monitor.incidents import status_queries
from monitor.incidents.rules import Readers, Step, Trouble, belongs, causes, incident_step
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, INCIDENT, TENANT

# Of every check, so they are put together once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_C = CREDENTIAL.c
_OPEN = select(INCIDENT.c.id).where(INCIDENT.c.tenant_id == bindparam("tenant_id"), INCIDENT.c.resolved_at.is_(None))
_TROUBLE = (
    func.coalesce(func.sum(_C.missing), 0),
    func.count().filter(_C.state != "ok"),
    func.coalesce(func.sum(_C.suspects + _C.carried), 0) + func.count(_C.suspect_state),
)
_OF_TENANT = (
    select(_OPEN.scalar_subquery(), *_TROUBLE, *status_queries.COLUMNS)
    .select_from(status_queries.TENANTS)
    .where(TENANT.c.id == bindparam("tenant_id"))
    .group_by(TENANT.c.id)
)


async def record_events(
    conn: AsyncConnection,
    tenant_id: str,
    credential_id: int,
    change: Change,
    check_id: int | None,
    now: datetime,
    readers: Readers | None = None,
) -> Step:
    """Write events and causes, and settle incident and status. The caller holds the tenant's row and has written
    `known`.
    """
    # First, since the events name the incident. It adds up the counts that were saved with `known`.
    step_taken, incident_id = await settle(conn, tenant_id, now)
    digest = change.known.credential.manifest_digest
    for event in change.events:
        row = {
            **_event_columns(event),
            "at": now,
            "tenant_id": tenant_id,
            "credential_id": credential_id,
            "check_id": check_id,
            "incident_id": incident_id if belongs(event) else None,
            "manifest_digest": digest,
        }
        event_id = (await conn.execute(insert(DRIFT_EVENT).values(row).returning(DRIFT_EVENT.c.id))).scalar_one()
        for draft in causes(event, readers):
            cause = {"event_id": event_id, "tenant_id": tenant_id, "created_at": now, **asdict(draft)}
            await conn.execute(insert(CAUSE).values(cause))
    return step_taken


async def settle(conn: AsyncConnection, tenant_id: str, now: datetime) -> tuple[Step, int | None]:
    """Open, keep or resolve the tenant's incident, as its credentials are now, and write its status if that changed.

    Returns the incident, if any.
    """
    row = (await conn.execute(_OF_TENANT, {"tenant_id": tenant_id})).one()
    open_id: int | None
    open_id, *trouble = row[: 1 + len(_TROUBLE)]
    changed = status_queries.change_in(row)
    if changed is not None:
        await status_queries.write(conn, [changed], now)
    step_taken = incident_step(open_id is not None, Trouble(*trouble))
    if step_taken is Step.OPEN:
        opened = insert(INCIDENT).values(tenant_id=tenant_id, opened_at=now).returning(INCIDENT.c.id)
        open_id = (await conn.execute(opened)).scalar_one()
    elif step_taken is Step.RESOLVE:
        await conn.execute(update(INCIDENT).where(INCIDENT.c.id == open_id).values(resolved_at=now))
    return step_taken, open_id


async def troubles(conn: AsyncConnection) -> dict[str, Trouble]:
    """Of each tenant that has a credential."""
    by_tenant = select(_C.tenant_id, *_TROUBLE).where(_C.removed_at.is_(None)).group_by(_C.tenant_id)
    return {tenant_id: Trouble(*counts) for tenant_id, *counts in await conn.execute(by_tenant)}


def _event_columns(event: Event) -> dict[str, object]:
    values = asdict(event)
    del values["notified_as"]  # only for choosing whom to notify; not a column
    values["permission_group"] = values.pop("group")
    values["permission_label"] = values.pop("label")
    return values
