"""Which tenants may be checked now, making their checks due, and how far these are."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.columns import UTCDateTime
from monitor.store.tables import CREDENTIAL, OPERATOR_ACTION, TENANT

ACTION = "tenants recheck"
"""In the audit log, by which the last time that somebody asked is found."""

_BATCH = 500  # tenants in one statement: both databases allow some 32,000 parameters
_C, _DONE, _T = CREDENTIAL.c, OPERATOR_ACTION.c, TENANT.c
_IS_CHECKED = and_(_C.removed_at.is_(None), _C.next_due.is_not(None))


@dataclass(frozen=True, slots=True)
class TenantToCheck:
    """`credentials` counts those that are checked at all; `checked_at` and `asked_at` are the last times of late."""

    removed: bool
    paused: bool
    problem: str | None
    credentials: int
    checked_at: datetime | None
    asked_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecheckProgress:
    """Of the checks that were asked for: how many there are, have begun, and are done."""

    credentials: int
    begun: int
    done: int


async def tenants(
    conn: AsyncConnection, tenant_ids: Collection[str], recently: datetime, now: datetime
) -> Mapping[str, TenantToCheck]:
    """Those that are known, by id; their rows stay locked, so that of two who ask at once one is refused."""
    found: dict[str, TenantToCheck] = {}
    for batch in _batches(tenant_ids):
        locked = select(TENANT).where(_T.id.in_(batch)).order_by(_T.id).with_for_update()
        rows = (await conn.execute(locked)).all()
        credentials = await _credentials(conn, batch, recently, now)
        asked = await _asked(conn, batch, recently, now)
        found |= {row.id: _tenant(row, credentials.get(row.id), asked.get(row.id)) for row in rows}
    return found


async def make_due(conn: AsyncConnection, tenant_ids: Collection[str], now: datetime) -> None:
    """What is due already keeps its place among those that wait."""
    for batch in _batches(tenant_ids):
        later = and_(_C.tenant_id.in_(batch), _IS_CHECKED, _C.next_due > now)
        await conn.execute(update(CREDENTIAL).where(later).values(next_due=now))


async def progress(conn: AsyncConnection, tenant_ids: Collection[str], asked_at: datetime) -> RecheckProgress:
    """A check that begins moves its credential's due time; one that ends is dated."""
    counts = [0, 0, 0]
    is_done = _C.last_checked_at >= asked_at
    for batch in _batches(tenant_ids):
        counted = select(
            func.count(), func.count().filter(or_(is_done, _C.next_due > asked_at)), func.count().filter(is_done)
        ).where(_C.tenant_id.in_(batch), _IS_CHECKED)
        row = (await conn.execute(counted)).one()
        counts = [before + more for before, more in zip(counts, row, strict=True)]
    return RecheckProgress(*counts)


def _batches(tenant_ids: Collection[str]) -> Iterator[list[str]]:
    """In the order in which rows are locked everywhere."""
    ordered = sorted(set(tenant_ids))
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


async def _credentials(
    conn: AsyncConnection, tenant_ids: Collection[str], recently: datetime, now: datetime
) -> Mapping[str, Row[*tuple[Any, ...]]]:
    lately = and_(
        _C.last_checked_at > recently, _C.last_checked_at <= now
    )  # a date ahead of now was written under a wrong clock
    checked_at = func.max(_C.last_checked_at, type_=UTCDateTime()).filter(lately)
    statement = (
        select(_C.tenant_id, func.count().label("number"), checked_at.label("checked_at"))
        .where(_C.tenant_id.in_(tenant_ids), _IS_CHECKED)
        .group_by(_C.tenant_id)
    )
    return {row.tenant_id: row for row in await conn.execute(statement)}


async def _asked(
    conn: AsyncConnection, tenant_ids: Collection[str], recently: datetime, now: datetime
) -> Mapping[str, datetime]:
    statement = (
        select(_DONE.subject, func.max(_DONE.at, type_=UTCDateTime()).label("at"))
        .where(_DONE.action == ACTION, _DONE.subject.in_(tenant_ids), _DONE.at > recently, _DONE.at <= now)
        .group_by(_DONE.subject)
    )
    return {row.subject: row.at for row in await conn.execute(statement)}


def _tenant(row: Row[Any], credentials: Row[Any] | None, asked_at: datetime | None) -> TenantToCheck:
    return TenantToCheck(
        removed=row.removed_at is not None,
        paused=row.paused is not None,
        problem=row.problem,
        credentials=credentials.number if credentials else 0,
        checked_at=credentials.checked_at if credentials else None,
        asked_at=asked_at,
    )
