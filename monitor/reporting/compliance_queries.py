"""What compliance reports are made of: statuses, losses, and what is declined."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.clock import elapsed
from monitor.incidents.status import TenantStatus
from monitor.reporting.compliance import (
    BEGINNINGS,
    ENDS,
    Covered,
    LossEvent,
    Report,
    TenantCompliance,
    TenantReport,
    figures,
    losses_in,
    report_of,
    times_in,
)
from monitor.reporting.report_period import Period, TimeSpan, covered
from monitor.reporting.tenant_page import DeclinedPermission
from monitor.store.columns import UTCDateTime
from monitor.store.statements import unindexed
from monitor.store.tables import CREDENTIAL, DRIFT_EVENT, INCIDENT, STATUS_CHANGE, TENANT

_Made = TypeVar("_Made")
_SLICE = 500  # rows
_BEYOND = 2**62  # any id
_C, _E, _I, _S, _T = CREDENTIAL.c, DRIFT_EVENT.c, INCIDENT.c, STATUS_CHANGE.c, TENANT.c
_EVENT_COLUMNS = (
    _E.tenant_id,
    _E.at,
    _E.kind,
    _E.credential_id,
    _E.permission_id,
    _E.seen_before,
    _E.first_seen,
    _E.permission_group,
    _E.permission_label,
    _C.label,
    _E.state,
    _I.resolved_at,
    _C.removed_at,
)
# A tenant begins as new, paused or failing: with any other status it was there before statuses were recorded, and its
# first row was written by the upgrade, which could know neither how it stood before nor since when.
_KNOWN_TO_THE_UPGRADE = (TenantStatus.HEALTHY, TenantStatus.DRIFTED, TenantStatus.UNDECIDED)


async def recorded_since(conn: AsyncConnection) -> datetime | None:
    """When statuses of all tenants began to be recorded; None where there never was a tenant."""
    first_change = select(_S.id).where(_S.previous.is_not(None)).order_by(_S.id).limit(1).scalar_subquery()
    before_any_change = _S.id < func.coalesce(first_change, _BEYOND)
    # Not max(at): SQLite would look for it from the newest change on, through years of changes.
    at = case((_S.status.in_(_KNOWN_TO_THE_UPGRADE), _S.at))
    upgraded = select(func.max(at, type_=UTCDateTime())).where(before_any_change)
    found: datetime | None = (await conn.execute(upgraded)).scalar_one()
    return found or (await conn.execute(select(func.min(_S.at)))).scalar_one()


async def report(conn: AsyncConnection, period: Period, since: datetime, now: datetime) -> Report:
    """Of all tenants; PeriodError if nothing can be known of the period. `since` is `recorded_since`."""
    about = Covered(period, covered(period, since, now), since, now)
    return report_of(about, [one.tenant async for one in _tenants(conn, about)])


async def tenant_report(
    conn: AsyncConnection, tenant_id: str, period: Period, since: datetime, now: datetime
) -> TenantReport | None:
    """None if there is no such tenant. One that was not there has no times."""
    about = Covered(period, covered(period, since, now), since, now)
    return await anext(_tenants(conn, about, tenant_id), None)


async def _tenants(conn: AsyncConnection, about: Covered, only: str | None = None) -> AsyncIterator[TenantReport]:
    span = about.span
    changes = await _by_tenant(conn, _changes(span, only), lambda row: (row.at, row.status))
    events = await _by_tenant(conn, _earlier_events(span, only), LossEvent._make)
    for tenant_id, later in (await _by_tenant(conn, _events(span, only), LossEvent._make)).items():
        events.setdefault(tenant_id, []).extend(later)
    async for rows in _slices(conn, _present(span, only)):
        for row in rows:
            first = [(span.begin, row.status)] if row.status else []
            times = times_in(span, [*first, *changes.get(row.id, ())])
            declined = {one["permission"]: DeclinedPermission.stored(one) for one in row.declined}
            losses = losses_in(span, events.get(row.id, ()), declined)
            yield TenantReport(
                about, TenantCompliance(row.id, row.name, times, figures(span, losses), declined), losses
            )


async def _by_tenant(
    conn: AsyncConnection, statement: Select[Any], made: Callable[[Row[Any]], _Made]
) -> dict[str, list[_Made]]:
    found: dict[str, list[_Made]] = {}
    async for rows in _slices(conn, statement):
        for row in rows:
            found.setdefault(row.tenant_id, []).append(made(row))
    return found


async def _slices(conn: AsyncConnection, statement: Select[Any]) -> AsyncIterator[Sequence[Row[Any]]]:
    """Lets other work of the service run in between, for as long as each slice took: all tenants take a while."""
    for rows in (await conn.execute(statement)).partitions(_SLICE):
        began = elapsed()
        yield rows
        await asyncio.sleep(elapsed() - began)


def _present(span: TimeSpan, only: str | None) -> Select[Any]:
    """Each tenant that may have been there, with its status at the beginning; a named one in any case."""
    last = select(_S.status).where(_S.tenant_id == _T.id, _S.at <= span.begin)
    status = last.order_by(_S.at.desc(), _S.id.desc()).limit(1).scalar_subquery().label("status")
    found = select(_T.id, _T.name, _T.declined, status)
    if only is not None:
        return found.where(_T.id == only)
    was_there = (_T.created_at < span.end) & (_T.removed_at.is_(None) | (_T.removed_at > span.begin))
    return found.where(was_there)


def _changes(span: TimeSpan, only: str | None) -> Select[Any]:
    within = (_S.at > span.begin) & (_S.at < span.end)
    return select(_S.tenant_id, _S.at, _S.status).where(within, *_of(_S.tenant_id, only)).order_by(_S.at, _S.id)


def _events(span: TimeSpan, only: str | None) -> Select[Any]:
    within = (_E.at >= span.begin) & (_E.at < span.end)
    return _loss_events().where(within, *_of(_E.tenant_id, only))


def _earlier_events(span: TimeSpan, only: str | None) -> Select[Any]:
    """Of the incidents that were open at the beginning: what was lost before and was not back."""
    was_open = (_I.opened_at < span.begin) & (_I.resolved_at.is_(None) | (_I.resolved_at >= span.begin))
    of_incidents = _E.incident_id.in_(select(_I.id).where(was_open, *_of(_I.tenant_id, only)))
    return _loss_events().where(of_incidents, _E.at < span.begin)


def _loss_events() -> Select[Any]:
    joined = select(*_EVENT_COLUMNS).join_from(DRIFT_EVENT, CREDENTIAL, _C.id == _E.credential_id)
    joined = joined.outerjoin(INCIDENT, _I.id == _E.incident_id)
    return joined.where(unindexed(_E.kind).in_((*BEGINNINGS, *ENDS))).order_by(_E.at, _E.id)


def _of(column: ColumnElement[Any], only: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if only is None else (column == only,)
