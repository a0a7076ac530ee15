"""Counts over all tenants, for the gauges."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from monitor.checking import sweep_queries
from monitor.incidents.status import PRESENT
from monitor.metrics import Snapshot
from monitor.store import sizes
from monitor.store.tables import CREDENTIAL, INCIDENT, NOTICE, TENANT, WRITE_HALT

# A severity is the state's place in the enum, so `_tenants` gets the state back by its number.
_STATES = list(CredentialState)
_SEVERITY = case({state.value: state.severity for state in _STATES}, value=CREDENTIAL.c.state)
_ACTIVE = CREDENTIAL.c.removed_at.is_(None)


async def snapshot(conn: AsyncConnection, now: datetime, grace: timedelta) -> Snapshot:
    """All gauges at one moment; a check is overdue once it has been due for longer than `grace`."""
    # Not created_at: a notice that was held or failed would set off the alert on age as soon as it is released.
    oldest = await _one(conn, select(func.min(NOTICE.c.pending_since)).where(NOTICE.c.status == "pending"))
    return Snapshot(
        taken_at=now,
        tenants=await _tenants(conn),
        tenants_by_status=await _tenants_by_status(conn),
        credentials=await _credentials(conn),
        suspects=await _suspects(conn),
        incidents_open=await _one(conn, select(func.count()).where(INCIDENT.c.resolved_at.is_(None))),
        outbox_notices=await _outbox(conn),
        outbox_oldest_age_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        last_completed_sweep=await sweep_queries.last_completed(conn, now),
        write_halt=await _one(conn, select(func.count()).where(WRITE_HALT.c.lifted_at.is_(None))) > 0,
        checks_overdue=await _one(conn, select(func.count()).where(CREDENTIAL.c.next_due < now - grace)),
        database_bytes=asdict(await sizes.of_database(conn)),
        first_sweep=await sweep_queries.first(conn),
    )


async def _one(conn: AsyncConnection, statement: Select[Any]) -> Any:
    return (await conn.execute(statement)).scalar_one()


async def _tenants(conn: AsyncConnection) -> dict[str, int]:
    """By the worst state of their credentials; a tenant whose row is unusable and has none is misconfigured.

    Without those that are paused: their state is old, and nobody is to be called for it.
    """
    without = case(
        (TENANT.c.problem.is_(None), CredentialState.OK.severity), else_=CredentialState.MISCONFIGURED.severity
    )
    worst = (
        select(func.coalesce(func.max(_SEVERITY), without).label("severity"))
        .join_from(TENANT, CREDENTIAL, (CREDENTIAL.c.tenant_id == TENANT.c.id) & _ACTIVE, isouter=True)
        .where(TENANT.c.removed_at.is_(None), TENANT.c.paused.is_(None))
        .group_by(TENANT.c.id, TENANT.c.problem)
        .subquery()
    )
    counted = select(worst.c.severity, func.count()).group_by(worst.c.severity)
    return {_STATES[severity].value: count for severity, count in await conn.execute(counted)}


async def _tenants_by_status(conn: AsyncConnection) -> dict[str, int]:
    """Zero for a status that no tenant has."""
    # By severity: an index has it.
    counted = select(TENANT.c.severity, func.count()).where(TENANT.c.removed_at.is_(None)).group_by(TENANT.c.severity)
    counts = {PRESENT[severity].value: count for severity, count in await conn.execute(counted)}
    return {**{status.value: 0 for status in PRESENT}, **counts}


async def _credentials(conn: AsyncConnection) -> dict[tuple[str, str], int]:
    kind, state = CREDENTIAL.c.kind, CREDENTIAL.c.state
    counted = select(kind, state, func.count().label("number")).where(_ACTIVE).group_by(kind, state)
    return {(row.kind, row.state): row.number for row in await conn.execute(counted)}


async def _suspects(conn: AsyncConnection) -> int:
    permissions = func.coalesce(func.sum(CREDENTIAL.c.suspects), 0)
    found: int = await _one(conn, select(permissions + func.count(CREDENTIAL.c.suspect_state)).where(_ACTIVE))
    return found


async def _outbox(conn: AsyncConnection) -> dict[str, int]:
    waiting = NOTICE.c.status.in_(("pending", "held", "failed"))
    counted = select(NOTICE.c.status, func.count().label("number")).where(waiting).group_by(NOTICE.c.status)
    return {row.status: row.number for row in await conn.execute(counted)}
