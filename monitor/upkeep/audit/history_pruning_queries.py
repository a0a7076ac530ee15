"""Deleting old drift events and operators' actions: whole signed batches, the oldest first."""

from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, Table, delete, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents import grouping_queries
from monitor.notices.notice import Status
from monitor.store.audit_tables import AUDIT_BATCH, AUDIT_HEAD
from monitor.store.tables import CAUSE, DRIFT_EVENT, INCIDENT, NOTICE, NOTICE_ACTION, OPERATOR_ACTION
from monitor.tenants.scope_acceptance_queries import ACTION as ACCEPTANCE
from monitor.upkeep.audit.chain import HistoryKind, SignedBatch

# Named, not by exclusion, for the index of statuses: nearly all notices were sent.
_UNDONE = NOTICE.c.status.in_([Status.PENDING, Status.HELD, Status.FAILED])
_WITHOUT_END = 2**63 - 1


def _id(kind: HistoryKind) -> ColumnElement[int]:
    return DRIFT_EVENT.c.id if kind is HistoryKind.EVENTS else OPERATOR_ACTION.c.id


def _stays(kind: HistoryKind, before: datetime) -> ColumnElement[bool]:
    """Rows that are young or needed."""
    at = DRIFT_EVENT.c.at if kind is HistoryKind.EVENTS else OPERATOR_ACTION.c.at
    return or_(at >= before, _needed(kind))


def _needed(kind: HistoryKind) -> ColumnElement[bool]:
    """Rows that something still goes by, however old they are."""
    if kind is HistoryKind.EVENTS:
        undone = select(CAUSE.c.event_id).join(NOTICE, NOTICE.c.id == CAUSE.c.notice_id).where(_UNDONE)
        return or_(
            DRIFT_EVENT.c.incident_id.in_(select(INCIDENT.c.id).where(INCIDENT.c.resolved_at.is_(None))),
            DRIFT_EVENT.c.id.in_(select(CAUSE.c.event_id).where(CAUSE.c.settled_at.is_(None))),
            DRIFT_EVENT.c.id.in_(undone),
        )
    undone = select(NOTICE_ACTION.c.action_id).join(NOTICE, NOTICE.c.id == NOTICE_ACTION.c.notice_id).where(_UNDONE)
    return or_(OPERATOR_ACTION.c.action == ACCEPTANCE, OPERATOR_ACTION.c.id.in_(undone))


async def is_prunable(conn: AsyncConnection, batch: SignedBatch, before: datetime) -> bool:
    """Whether none of a batch's rows stays."""
    kind = HistoryKind(batch.kind)
    within = _id(kind).between(batch.first_id, batch.last_id)
    return not (await conn.execute(select(exists().where(within, _stays(kind, before))))).scalar_one()


async def _lowest_that_stays(conn: AsyncConnection, kind: HistoryKind, before: datetime) -> int:
    # In the order of ids, so that it ends at the first row that stays, instead of reading all that do.
    lowest = select(_id(kind)).where(_stays(kind, before)).order_by(_id(kind)).limit(1)
    found = (await conn.execute(lowest)).scalar_one_or_none()
    return _WITHOUT_END if found is None else int(found)


async def newest_of(conn: AsyncConnection, kind: HistoryKind) -> int:
    """The number of a kind's newest batch; 0 if there is none."""
    newest = select(func.coalesce(func.max(AUDIT_BATCH.c.id), 0)).where(AUDIT_BATCH.c.kind == kind)
    return int((await conn.execute(newest)).scalar_one())


async def count_old(conn: AsyncConnection, before: datetime) -> int:
    """How many rows can be pruned, by what their batches say."""
    c, rows = AUDIT_BATCH.c, 0
    present_key = select(AUDIT_HEAD.c.key_id).scalar_subquery()
    for kind in HistoryKind:
        below, newest = await _lowest_that_stays(conn, kind, before), await newest_of(conn, kind)
        old = (
            c.kind == kind,
            c.key_id == present_key,
            c.pruned_at.is_(None),
            c.last_id < literal(below, BigInteger()),
            c.id < newest,
        )
        rows += (await conn.execute(select(func.coalesce(func.sum(c.row_count), 0)).where(*old))).scalar_one()
    return int(rows)


async def delete_rows(conn: AsyncConnection, batch: SignedBatch) -> None:
    """The rows of a batch, with what refers to them."""
    if HistoryKind(batch.kind) is HistoryKind.EVENTS:
        within = DRIFT_EVENT.c.id.between(batch.first_id, batch.last_id)
        bursts = list((await conn.execute(select(DRIFT_EVENT.c.burst_id).where(within).distinct())).scalars())
        await _delete_range(conn, CAUSE, CAUSE.c.event_id, batch)
        await _delete_range(conn, DRIFT_EVENT, DRIFT_EVENT.c.id, batch)
        await grouping_queries.recount(conn, [burst for burst in bursts if burst is not None])
    else:
        await _delete_range(conn, NOTICE_ACTION, NOTICE_ACTION.c.action_id, batch)
        await _delete_range(conn, OPERATOR_ACTION, OPERATOR_ACTION.c.id, batch)


async def _delete_range(conn: AsyncConnection, table: Table, key: ColumnElement[int], batch: SignedBatch) -> None:
    await conn.execute(delete(table).where(key.between(batch.first_id, batch.last_id)))
