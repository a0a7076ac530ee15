"""Lists about the service itself: sweeps, incidents, and what operators did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.tables import DRIFT_EVENT, INCIDENT, OPERATOR_ACTION, SWEEP, TENANT

_OTHER = INCIDENT.alias("other")


@dataclass(frozen=True, slots=True)
class SweepRow:
    id: int
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """`events` are the drift events that belong to it."""

    id: int
    tenant_id: str
    tenant_name: str
    csm_name: str | None
    opened_at: datetime
    resolved_at: datetime | None
    events: int


@dataclass(frozen=True, slots=True)
class ActionRow:
    id: int
    at: datetime
    who: str
    action: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """None leaves an aspect open."""

    tenant_id: str | None = None
    is_open: bool | None = None


async def sweeps(conn: AsyncConnection, limit: int, before: int | None = None) -> Sequence[SweepRow]:
    """The newest first; `before` is the id of the last one that was read."""
    statement = select(SWEEP.c.id, SWEEP.c.started_at, SWEEP.c.finished_at).order_by(SWEEP.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(SWEEP.c.id < before)
    return [SweepRow(*row) for row in await conn.execute(statement)]


async def incidents(
    conn: AsyncConnection, wanted: IncidentFilter, limit: int, before: int | None = None
) -> Sequence[IncidentRow]:
    """The newest first."""
    events = (
        select(func.count()).where(DRIFT_EVENT.c.incident_id == INCIDENT.c.id).correlate(INCIDENT).scalar_subquery()
    )
    statement = (
        select(
            INCIDENT.c.id,
            INCIDENT.c.tenant_id,
            TENANT.c.name,
            TENANT.c.csm_name,
            INCIDENT.c.opened_at,
            INCIDENT.c.resolved_at,
            events,
        )
        .join(TENANT, TENANT.c.id == INCIDENT.c.tenant_id)
        .order_by(INCIDENT.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(INCIDENT.c.id < before)
    if wanted.tenant_id is not None:
        statement = statement.where(INCIDENT.c.tenant_id == wanted.tenant_id)
    if wanted.is_open is not None:
        # By the ids of those that are open: an index has these few, and going through all by number would take long.
        open_ones = select(_OTHER.c.id).where(_OTHER.c.resolved_at.is_(None))
        is_open = INCIDENT.c.id.in_(open_ones)
        statement = statement.where(is_open if wanted.is_open else INCIDENT.c.resolved_at.is_not(None))
    return [IncidentRow(*row) for row in await conn.execute(statement)]


async def actions(
    conn: AsyncConnection, limit: int, before: int | None = None, text: str | None = None
) -> Sequence[ActionRow]:
    """The newest first; `text` is looked for in who, action, subject and reason."""
    c = OPERATOR_ACTION.c
    statement = select(c.id, c.at, c.who, c.action, c.subject, c.reason).order_by(c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(c.id < before)
    if text:
        found = (column.icontains(text, autoescape=True) for column in (c.who, c.action, c.subject, c.reason))
        statement = statement.where(or_(*found))
    return [ActionRow(*row) for row in await conn.execute(statement)]
