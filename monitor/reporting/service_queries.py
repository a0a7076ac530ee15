"""What the service knows about itself, for the sentence on top and the facts beside it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    bindparam,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.report import PAUSED as PAUSED_CHECK
from monitor.breaker.machine import State as BreakerState
from monitor.config.settings import NoticesMode, Settings
from monitor.incidents import burst_queries
from monitor.incidents.status import TenantStatus
from monitor.notices.immediate.checks_paused import PAUSED, RESUMED
from monitor.notices.notice import Status as NoticeStatus
from monitor.reporting import tenant_list_queries
from monitor.reporting.headline import Halt, LossesToday, OutboxFacts, ServiceFacts, SweepProgress
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
# The 0 not as a parameter: this is the condition of the index `credential_in_doubt`.
_IN_DOUBT = or_(_C.suspects > literal_column("0"), _C.suspect_state.is_not(None))


async def facts(
    conn: AsyncConnection,
    now: datetime,
    settings: Settings,
    breaker: BreakerState | None,
    breaker_since: datetime | None = None,
) -> ServiceFacts:
    """`breaker` is the state of the serving process's; None where it is not known."""
    moments = {"now": now, "a_day_ago": now - DAY, "due_until": now - settings.deadline}
    row = (await conn.execute(_FACTS, moments)).one()
    held, held_bursts = await burst_queries.largest_held(conn) if row.held else (None, 0)
    return ServiceFacts(
        now=now,
        interval=settings.interval,
        tenants={status: number for status in TenantStatus if (number := row._mapping[_count_of(status)])},
        sweep=SweepProgress(row.sweep_began, row.swept, row.planned, row.sweep_ended),
        outbox=OutboxFacts(row.pending, row.held, row.failed, row.stuck_since, row.last_sent_at),
        losses=LossesToday(row.lost, row.told),
        halt=None if row.halted_at is None else Halt(row.halted_at, row.halted_by, row.halted_at_tenant),
        held=held,
        held_bursts=held_bursts,
        breaker=breaker,
        breaker_since=breaker_since,
        overdue=row.overdue,
        last_checked_at=row.last_checked_at,
        ours=row.ours,
        suspects=row.suspects,
        notices_off=settings.notices_in_force is NoticesMode.OFF,
    )


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


def _newest_halt() -> Subquery:
    """No row where none is in force."""
    newest = (
        select(
            WRITE_HALT.c.at.label("halted_at"),
            WRITE_HALT.c.status.label("halted_by"),
            _T.name.label("halted_at_tenant"),
        )
        .outerjoin(TENANT, _T.id == WRITE_HALT.c.tenant_id)
        .where(WRITE_HALT.c.lifted_at.is_(None))
        .order_by(WRITE_HALT.c.at.desc())
        .limit(1)
    )
    return newest.subquery()


def _facts() -> Select[Any]:
    """One statement for all facts, which takes a row of many; a check is overdue once it was due by `due_until`."""
    began = select(func.max(SWEEP.c.started_at)).scalar_subquery()
    is_planned = _C.next_due.is_not(None)
    lost = and_(_ACTIVE, _T.severity.in_(_LOST), _T.status_since >= bindparam("a_day_ago"))
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
        "sweep_ended": _scalar(func.max(SWEEP.c.finished_at), SWEEP.c.finished_at <= bindparam("now")),
        "planned": _scalar(func.count(_C.next_due), is_planned),
        "swept": _scalar(func.count(_C.next_due), is_planned, _C.last_checked_at >= began),
        "overdue": _scalar(func.count(_C.next_due), _C.next_due < bindparam("due_until")),
        "last_checked_at": select(func.max(CHECK.c.started_at)).scalar_subquery(),
        "ours": _scalar(func.count(_T.id), _ACTIVE, tenant_list_queries.ours()),
        "suspects": _scalar(func.count(_C.id), _C.removed_at.is_(None), _IN_DOUBT),
        "lost": _scalar(func.count(_T.id), lost),
        "told": _scalar(func.count(_T.id), lost, _told_since()),
        **{
            _count_of(status): _scalar(func.count(), _ACTIVE, _T.severity == status.severity) for status in TenantStatus
        },
    }
    halt = _newest_halt()
    columns = (part.label(name) for name, part in parts.items())
    return select(*columns, *halt.c).select_from(select(literal(1)).subquery().outerjoin(halt, true()))


_LOST = [status.severity for status in TenantStatus if status.severity <= TenantStatus.DRIFTED.severity]


def _count_of(status: TenantStatus) -> str:
    return f"tenants_{status}"


# It takes longer to put together than to run.
_FACTS = _facts()


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


def _moves() -> Select[Any]:
    """From each tenant's status at a moment to its status now, for those that changed since."""
    earlier = STATUS_CHANGE.alias("earlier")
    is_first = ~(
        select(earlier.c.id)
        .where(earlier.c.tenant_id == _S.tenant_id, earlier.c.at >= bindparam("since"), earlier.c.id < _S.id)
        .exists()
    )
    # Not grouped by tenant: SQLite would read all changes there ever were, in the order of an index by tenant.
    return (
        select(_S.previous, _T.status, func.count())
        .join_from(STATUS_CHANGE, TENANT, _T.id == _S.tenant_id)
        .where(_S.at >= bindparam("since"), is_first)
        .group_by(_S.previous, _T.status)
    )


_MOVES = _moves()


async def counts_since(
    conn: AsyncConnection, tenants: Mapping[TenantStatus, int], since: datetime
) -> tuple[StatusCount, ...]:
    """How many tenants came to each status and left it since then: their status then against their status now."""
    moves_since = await conn.execute(_MOVES, {"since": since})
    moves = {_move(before, status): number for before, status, number in moves_since}
    return status_counts(tenants, moves)


def _move(before: str | None, status: str) -> tuple[TenantStatus | None, TenantStatus]:
    return (TenantStatus(before) if before else None, TenantStatus(status))
