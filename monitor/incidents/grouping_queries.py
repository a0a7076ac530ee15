"""Reads drift events that belong to no burst yet, and writes the bursts they belong to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Select, bindparam, delete, distinct, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents.bursts import EXAMPLES, GAP, BurstEvent, OpenBurst, group
from monitor.store.burst_tables import BURST
from monitor.store.statements import BURST_LOCK, one_at_a_time
from monitor.store.tables import DRIFT_EVENT

_E, _B = DRIFT_EVENT.c, BURST.c
_STORED = [field.name for field in fields(OpenBurst) if field.name != "added"]
_SUBJECT = func.coalesce(_E.permission_id, _E.state, "")
_EVENTS = select(*(_E[field.name] for field in fields(BurstEvent))).where(_E.burst_id.is_(None))


async def any_ungrouped(conn: AsyncConnection) -> bool:
    found = await conn.execute(select(_E.id).where(_E.burst_id.is_(None)).limit(1))
    return found.first() is not None


async def group_some(conn: AsyncConnection, limit: int) -> int:
    """Group up to so many events; returns how many. One process at a time.

    First those newer than all that are grouped, in their order; then what is left from before, the newest first.
    """
    await one_at_a_time(conn, BURST_LOCK)
    events = await _next(conn, limit)
    if events:
        bursts = group(events, await _reaching(conn, events))
        counted = await _counted(conn, bursts)
        for burst in bursts:
            burst.count_tenants({*burst.examples, *(tenant for id_, tenant in counted if id_ == burst.id)})
        await _store(conn, bursts)
    return len(events)


async def _next(conn: AsyncConnection, limit: int) -> list[BurstEvent]:
    # Without a burst there is nothing to look for, and no need to search all events for it.
    grouped = _E.burst_id.is_not(None) & select(_B.id).exists()
    newest = (await conn.execute(select(_E.id).where(grouped).order_by(_E.id.desc()).limit(1))).scalar()
    if newest is not None:
        events = await _read(conn, _EVENTS.where(_E.id > newest).order_by(_E.id).limit(limit))
        if events:
            return events
    return await _read(conn, _EVENTS.order_by(_E.id.desc()).limit(limit))


async def _read(conn: AsyncConnection, statement: Select[Any]) -> list[BurstEvent]:
    return [BurstEvent(**row._mapping) for row in await conn.execute(statement)]


async def _reaching(conn: AsyncConnection, events: Sequence[BurstEvent]) -> list[OpenBurst]:
    """The stored bursts that one of these events may join.

    Of each key those that end within the events' time, and the next one after it. They do not overlap, so none further
    away can begin before that time is over; and the history of the key is not read.
    """
    since, until = min(event.at for event in events) - GAP, max(event.at for event in events) + GAP
    ids = [event.id for event in events]
    keys = select(_E.kind, _SUBJECT.label("subject")).where(_E.id.in_(ids)).distinct().subquery()
    later = BURST.alias()
    next_end = (
        select(func.min(later.c.last_at))
        .where(later.c.kind == keys.c.kind, later.c.subject == keys.c.subject, later.c.last_at > until)
        .scalar_subquery()
    )
    statement = (
        select(*(_B[name] for name in _STORED))
        .join_from(keys, BURST, (_B.kind == keys.c.kind) & (_B.subject == keys.c.subject))
        .where(
            _B.last_at >= since,
            _B.last_at <= func.coalesce(next_end, literal(until, _B.last_at.type)),
            _B.first_at <= until,
        )
    )
    return [OpenBurst(**row._mapping) for row in await conn.execute(statement)]


async def _counted(conn: AsyncConnection, bursts: Sequence[OpenBurst]) -> set[tuple[int, str]]:
    """Which of the events' tenants are in the stored bursts already. A small burst has them all in its examples."""
    pairs = {(burst.id, event.tenant_id) for burst in bursts if burst.tenants > EXAMPLES for event in burst.added}
    if not pairs:
        return set()
    in_burst = tuple_(_E.burst_id, _E.tenant_id)
    found = await conn.execute(select(_E.burst_id, _E.tenant_id).where(in_burst.in_(sorted(pairs))).distinct())
    return {(id_, tenant) for id_, tenant in found}


async def _store(conn: AsyncConnection, bursts: Sequence[OpenBurst]) -> None:
    new = [burst for burst in bursts if burst.id is None]
    old = [burst for burst in bursts if burst.id is not None]
    if new:
        rows = [{name: value for name, value in _columns(burst).items() if name != "id"} for burst in new]
        # RETURNING alone promises no order.
        statement = insert(BURST).returning(_B.id, sort_by_parameter_order=True)
        for burst, id_ in zip(new, (await conn.execute(statement, rows)).scalars(), strict=True):
            burst.id = id_
    if old:
        growing = ("first_at", "last_at", "seen_from", "first_seen", "seen_to", "events", "tenants", "examples")
        grown = update(BURST).where(_B.id == bindparam("burst")).values({name: bindparam(name) for name in growing})
        rows = [{"burst": burst.id, **{name: getattr(burst, name) for name in growing}} for burst in old]
        await conn.execute(grown, rows)
    joined = update(DRIFT_EVENT).where(_E.id == bindparam("event")).values(burst_id=bindparam("burst"))
    await conn.execute(joined, [{"event": event.id, "burst": burst.id} for burst in bursts for event in burst.added])


def _columns(burst: OpenBurst) -> dict[str, Any]:
    return {name: getattr(burst, name) for name in _STORED}


@dataclass(frozen=True, slots=True)
class BurstMiscount:
    """A burst whose counts are not what its events come to."""

    id: int
    events: int
    tenants: int
    found_events: int
    found_tenants: int


async def recount(conn: AsyncConnection, bursts: Collection[int]) -> None:
    """Count again what is left of these bursts after old events were deleted; one without any goes with its last."""
    if not bursts:
        return
    left = select(_E.burst_id).where(_E.burst_id.in_(bursts))
    await conn.execute(delete(BURST).where(_B.id.in_(bursts), _B.id.not_in(left)))
    ours = _E.burst_id == _B.id
    events = select(func.count()).where(ours).correlate(BURST).scalar_subquery()
    tenants = select(func.count(distinct(_E.tenant_id))).where(ours).correlate(BURST).scalar_subquery()
    first_at = select(func.min(_E.at)).where(ours).correlate(BURST).scalar_subquery()
    counts = {"events": events, "tenants": tenants, "first_at": first_at}
    await conn.execute(update(BURST).where(_B.id.in_(bursts)).values(counts))


async def miscounts(conn: AsyncConnection) -> list[BurstMiscount]:
    """There should be none: a burst is written with its events or not at all."""
    of_events = select(_E.burst_id, func.count().label("events"), func.count(distinct(_E.tenant_id)).label("tenants"))
    found = of_events.where(_E.burst_id.is_not(None)).group_by(_E.burst_id).subquery()
    events, tenants = func.coalesce(found.c.events, 0), func.coalesce(found.c.tenants, 0)
    statement = (
        select(_B.id, _B.events, _B.tenants, events, tenants)
        .outerjoin(found, found.c.burst_id == _B.id)
        .where(or_(_B.events != events, _B.tenants != tenants))
        .order_by(_B.id)
    )
    return [BurstMiscount(*row) for row in await conn.execute(statement)]
