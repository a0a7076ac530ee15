"""Who was told about bursts: through the causes of their events and the notices of these."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents.changes import ListedChange, ToldCount, ToldStatus, needing_attention
from monitor.store.columns import UTCDateTime
from monitor.store.tables import CAUSE, DRIFT_EVENT, NOTICE, TENANT

COUNTED_EVENTS = 2_000
"""Up to so many events are looked through for one page of a list."""

_ORDER = list(ToldStatus)
_OF_NOTICE = [status for status in _ORDER if status not in (ToldStatus.SETTLING, ToldStatus.NOBODY)]

# The place in ToldStatus, so that the least is what a tenant counts under.
RANK: ColumnElement[int] = case(
    *((NOTICE.c.status == status, literal(_ORDER.index(status))) for status in _OF_NOTICE),
    (CAUSE.c.id.is_not(None) & CAUSE.c.settled_at.is_(None), literal(_ORDER.index(ToldStatus.SETTLING))),
    else_=literal(_ORDER.index(ToldStatus.NOBODY)),
)
_IS_CSM = TENANT.c.csm_email == NOTICE.c.recipient
RECIPIENT = case((_IS_CSM, func.coalesce(TENANT.c.csm_name, NOTICE.c.recipient)), else_=NOTICE.c.recipient)


def status_of(rank: int) -> ToldStatus:
    return _ORDER[rank]


async def told(conn: AsyncConnection, bursts: Collection[int]) -> dict[int, tuple[ToldCount, ...]]:
    """For each burst, in the order of ToldStatus; all its tenants are counted."""
    found: dict[int, tuple[ToldCount, ...]] = {}
    if bursts:
        for burst_id, rank, *facts in await conn.execute(_statement(bursts)):
            found[burst_id] = (*found.get(burst_id, ()), ToldCount(status_of(rank), *facts))
    return found


async def told_of_changes(conn: AsyncConnection, changes: Sequence[ListedChange]) -> list[tuple[ToldCount, ...] | None]:
    """For each row of a list; None for those with so many events that only their own page counts them."""
    counted, events = set(), 0
    for change in sorted(changes, key=lambda one: one.events):
        events += change.events
        if events > COUNTED_EVENTS:
            break
        counted.add(change.bursts[0].id)
    wanted = [change for change in changes if change.bursts[0].id in counted]
    found = await told(conn, [burst.id for change in wanted for burst in change.bursts])
    return [_of_row(change, found) if change.bursts[0].id in counted else None for change in changes]


def _of_row(change: ListedChange, found: dict[int, tuple[ToldCount, ...]]) -> tuple[ToldCount, ...]:
    told = [one for burst in change.bursts for one in found.get(burst.id, ())]
    return needing_attention(told) if change.tenants == 1 else tuple(told)


def _statement(bursts: Collection[int]) -> Select[Any]:
    e = DRIFT_EVENT.c
    of_tenant = (
        select(
            e.burst_id,
            func.min(RANK).label("rank"),
            *_same("audience", CAUSE.c.audience),
            *_same("recipient", RECIPIENT),
            func.max(NOTICE.c.sent_at, type_=UTCDateTime()).label("sent_at"),
        )
        .select_from(
            DRIFT_EVENT.join(TENANT, TENANT.c.id == e.tenant_id)
            .outerjoin(CAUSE, CAUSE.c.event_id == e.id)
            .outerjoin(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
        )
        .where(e.burst_id.in_(sorted(bursts)))
        .group_by(e.burst_id, e.tenant_id)
        .subquery()
    )
    t = of_tenant.c
    return (
        select(
            t.burst_id,
            t.rank,
            func.count(),
            _only(t.audience_from, t.audience_to),
            _only(t.recipient_from, t.recipient_to),
            func.max(t.sent_at, type_=UTCDateTime()),
        )
        .group_by(t.burst_id, t.rank)
        .order_by(t.burst_id, t.rank)
    )


def _same(name: str, column: Any) -> tuple[Any, Any]:
    return func.min(column).label(f"{name}_from"), func.max(column).label(f"{name}_to")


def _only(least: Any, most: Any) -> ColumnElement[Any]:
    """The value that all of them have, if it is one."""
    return case((func.min(least) == func.max(most), func.max(most)))
