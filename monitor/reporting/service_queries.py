"""What the service knows about itself, for the sentence on top and the facts beside it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.report import PAUSED as PAUSED_CHECK
from monitor.breaker.machine import State as BreakerState
from monitor.config.settings import NoticesMode, Settings
from monitor.incidents import burst_queries
from monitor.incidents.changes import ListedBurst
from monitor.incidents.status import TenantStatus
from monitor.notices.immediate.checks_paused import PAUSED, RESUMED
from monitor.notices.notice import Status as NoticeStatus
from monitor.reporting import tenant_list_queries
from monitor.reporting.headline import Halt, HeldBurst, LossesToday, OutboxFacts, ServiceFacts, SweepProgress
from monitor.reporting.status_counts import StatusCount, status_counts
from monitor.store.columns import UTCDateTime
from monitor.store.tables import (
    CAUSE,
    CHECK,
    CREDENTIAL,
    DRIFT_EVENT,
    NOTICE,
    STATUS_CHANGE,
    SWEEP,
    TENANT,
    WRITE_HALT,
)

DAY = timedelta(days=1)
_C, _N, _S, _T = CREDENTIAL.c, NOTICE.c, STATUS_CHANGE.c, TENANT.c
_ACTIVE = _T.removed_at.is_(None)


async def facts(
    conn: AsyncConnection,
    now: datetime,
    settings: Settings,
    breaker: BreakerState | None,
    breaker_since: datetime | None = None,
) -> ServiceFacts:
    """`breaker` is the state of the serving process's; None where it is not known."""
    row = (await conn.execute(_facts(now, settings.deadline))).one()
    held, held_bursts = await burst_queries.largest_held(conn) if row.held else (None, 0)
    return ServiceFacts(
        now=now,
        interval=settings.interval,
        tenants=await tenants_by_status(conn),
        sweep=SweepProgress(row.sweep_began, row.swept, row.planned, row.sweep_ended),
        outbox=OutboxFacts(row.pending, row.held, row.failed, row.stuck_since, row.last_sent_at),
        losses=LossesToday(row.lost, row.told),
        halt=await _halt(conn),
        held=_held(held) if held else None,
        held_bursts=held_bursts,
        breaker=breaker,
        breaker_since=breaker_since,
        overdue=row.overdue,
        last_checked_at=row.last_checked_at,
        ours=row.ours,
        suspects=row.suspects,
        notices_off=settings.notices_in_force is NoticesMode.OFF,
    )


def _held(burst: ListedBurst) -> HeldBurst:
    seen_to = burst.seen_to or burst.last_at
    return HeldBurst(
        burst.id, burst.tenants, burst.first_seen or burst.first_at, seen_to, burst.permission_label, burst.state
    )


def _facts(now: datetime, grace: timedelta) -> Any:
    """One statement; a check is overdue once it has been due for longer than `grace`."""
    began = select(func.max(SWEEP.c.started_at)).scalar_subquery()
    is_planned = _C.next_due.is_not(None)
    lost = and_(_ACTIVE, _T.severity <= TenantStatus.DRIFTED.severity, _T.status_since >= now - DAY)
    parts: dict[str, ScalarSelect[Any] | ColumnElement[Any]] = {
        "pending": _notices(NoticeStatus.PENDING),
        "held": _notices(NoticeStatus.HELD),
        "failed": _notices(NoticeStatus.FAILED),
        "stuck_since": _scalar(func.min(_N.pending_since), _N.status == NoticeStatus.PENDING),
        "last_sent_at": select(_N.sent_at)
        .where(_N.status == NoticeStatus.SENT)
        .order_by(_N.id.desc())
        .limit(1)
        .scalar_subquery(),
        "sweep_began": began,
        "sweep_ended": _scalar(func.max(SWEEP.c.finished_at), SWEEP.c.finished_at <= now),
        "planned": _scalar(func.count(_C.id), is_planned),
        "swept": _scalar(func.count(_C.id), is_planned, _C.last_checked_at >= began),
        "overdue": _scalar(func.count(_C.id), _C.next_due < now - grace),
        "last_checked_at": select(func.max(CHECK.c.started_at)).scalar_subquery(),
        "ours": _scalar(func.count(_T.id), _ACTIVE, tenant_list_queries.ours()),
        "suspects": _scalar(func.count(_C.id), _C.removed_at.is_(None), _SUSPECT),
        "lost": _scalar(func.count(_T.id), lost),
        "told": _scalar(func.count(_T.id), lost, _told_since()),
    }
    return select(*(part.label(name) for name, part in parts.items()))


_SUSPECT = or_(_C.suspects > 0, _C.suspect_state.is_not(None))


def _scalar(what: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(what).where(*conditions).scalar_subquery()


def _notices(status: NoticeStatus) -> ScalarSelect[Any]:
    return _scalar(func.count(_N.id), _N.status == status)


def _told_since() -> ColumnElement[bool]:
    """A notice of the tenant's present trouble was sent."""
    return exists(
        select(CAUSE.c.id)
        .join_from(DRIFT_EVENT, CAUSE, CAUSE.c.event_id == DRIFT_EVENT.c.id)
        .join(NOTICE, _N.id == CAUSE.c.notice_id)
        .where(DRIFT_EVENT.c.tenant_id == _T.id, DRIFT_EVENT.c.at >= _T.status_since, _N.sent_at.is_not(None))
    )


async def _halt(conn: AsyncConnection) -> Halt | None:
    newest = (
        select(WRITE_HALT.c.at, WRITE_HALT.c.status, _T.name)
        .outerjoin(TENANT, _T.id == WRITE_HALT.c.tenant_id)
        .where(WRITE_HALT.c.lifted_at.is_(None))
        .order_by(WRITE_HALT.c.at.desc())
        .limit(1)
    )
    row = (await conn.execute(newest)).one_or_none()
    return None if row is None else Halt(row.at, row.status, row.name)


async def reported_pause(conn: AsyncConnection, since: datetime) -> datetime | None:
    """When a pause of all checks was last reported, unless it is over; None if there was none since then.

    It is over once a check was made in full, or its end was reported. Only the serving process knows of a pause that
    it did not report: within the hour after another one, or with notices off.
    """
    reported = select(func.max(_N.created_at, type_=UTCDateTime())).where(_said(PAUSED), _N.created_at >= since)
    at: datetime | None = (await conn.execute(reported)).scalar_one()
    if at is None:
        return None
    resumed = exists().where(_said(RESUMED), _N.created_at >= at)
    checked = exists().where(
        CHECK.c.started_at >= at, CHECK.c.state == CredentialState.OK, CHECK.c.detail != PAUSED_CHECK
    )
    return None if (await conn.execute(select(or_(resumed, checked)))).scalar_one() else at


def _said(why: str) -> ColumnElement[bool]:
    # Those of no tenant are few, and an index has them.
    return and_(_N.tenant_id.is_(None), _N.why == why)


async def tenants_by_status(conn: AsyncConnection) -> Mapping[TenantStatus, int]:
    counted = select(_T.severity, func.count()).where(_ACTIVE).group_by(_T.severity)
    in_order = tuple(TenantStatus)
    return {in_order[severity]: number for severity, number in await conn.execute(counted)}


async def counts_since(
    conn: AsyncConnection, tenants: Mapping[TenantStatus, int], since: datetime
) -> tuple[StatusCount, ...]:
    """How many tenants came to each status and left it since then: their status then against their status now."""
    first = select(_S.tenant_id, func.min(_S.id).label("id")).where(_S.at >= since).group_by(_S.tenant_id).subquery()
    statement = (
        select(_S.previous, _T.status, func.count())
        .join_from(first, STATUS_CHANGE, _S.id == first.c.id)
        .join(TENANT, _T.id == first.c.tenant_id)
        .group_by(_S.previous, _T.status)
    )
    moves = {_move(before, status): number for before, status, number in await conn.execute(statement)}
    return status_counts(tenants, moves)


def _move(before: str | None, status: str) -> tuple[TenantStatus | None, TenantStatus]:
    return (TenantStatus(before) if before else None, TenantStatus(status))
