"""The list of what changed, the latest first, a page at a time."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, or_, select, true, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift import EventKind
from monitor.incidents.changes import ListedBurst, ListedChange, Page, Position, rows
from monitor.store.burst_tables import BURST
from monitor.store.statements import unindexed
from monitor.store.tables import DRIFT_EVENT, TENANT

_B = BURST.c
COLUMNS = [_B[field.name] for field in fields(ListedBurst)]
_PER_ROW = 3
_ALL_OF_ONE_CHECK = 70  # what the largest manifest can lack at once, and a few


@dataclass(frozen=True, slots=True)
class WantedChanges:
    """Which changes are asked for; None leaves an aspect open. A permission goes by its id or its label.

    For excess the id is the endpoint. `since` and `until` are compared with the latest event of a burst, which decides
    its place in the list.
    """

    tenant_id: str | None = None
    permission: str | None = None
    kinds: Collection[EventKind] | None = None
    since: datetime | None = None
    until: datetime | None = None


async def changes(conn: AsyncConnection, wanted: WantedChanges, limit: int, after: Position | None = None) -> Page:
    """At most so many rows; there may be fewer although more follow. The list moves on while events are grouped."""
    # What one check found of a tenant is one row, so rows need more than one burst each.
    fetched = limit * _PER_ROW + _ALL_OF_ONE_CHECK
    found = await bursts(conn, wanted, fetched + 1, after)
    listed, end = rows(found[:fetched], limit, more=len(found) > fetched)
    first = [_examples(bursts[0], wanted.tenant_id) for bursts in listed]
    names = await _names(conn, {tenant for tenants in first for tenant in tenants})
    return Page(
        [
            ListedChange(bursts, {tenant: names[tenant] for tenant in tenants})
            for bursts, tenants in zip(listed, first, strict=True)
        ],
        end,
    )


async def bursts(
    conn: AsyncConnection, wanted: WantedChanges, limit: int, after: Position | None = None
) -> Sequence[ListedBurst]:
    """One by one, as they are stored, the latest first."""
    return [ListedBurst(*row) for row in await conn.execute(_latest(wanted, after, limit))]


def _examples(burst: ListedBurst, wanted: str | None) -> Collection[str]:
    """The tenant that was asked for is among them."""
    if wanted is None or wanted in burst.examples:
        return burst.examples
    return [wanted, *burst.examples][: len(burst.examples)]


async def _names(conn: AsyncConnection, tenants: Collection[str]) -> dict[str, str]:
    if not tenants:
        return {}
    named = select(TENANT.c.id, TENANT.c.name).where(TENANT.c.id.in_(sorted(tenants)))
    return {row.id: row.name for row in await conn.execute(named)}


def _latest(wanted: WantedChanges, after: Position | None, limit: int) -> Select[Any]:
    """Each part reads one index from its end, and hardly more rows than it may return."""
    parts = [_part([condition, *_in_time(wanted, after)], limit) for condition in _parts(wanted)]
    if len(parts) == 1:
        return parts[0]
    found = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(found).order_by(found.c.last_at.desc(), found.c.id.desc()).limit(limit)


def _part(conditions: Iterable[ColumnElement[bool]], limit: int) -> Select[Any]:
    return select(*COLUMNS).where(*conditions).order_by(_B.last_at.desc(), _B.id.desc()).limit(limit)


def _parts(wanted: WantedChanges) -> list[ColumnElement[bool]]:
    """Conditions that exclude each other."""
    if wanted.tenant_id is not None:
        return [_B.id.in_(_bursts_of_tenant(wanted.tenant_id, wanted))]
    of_kind = true() if wanted.kinds is None else _B.kind.in_(sorted(wanted.kinds))
    if wanted.permission is not None:
        # Not both equal to it: Postgres would expect a few rows only, and sort them all.
        by_id = (_B.subject == wanted.permission) & _B.permission_id.is_not(None)
        by_label = (_B.permission_label == wanted.permission) & (_B.permission_id != wanted.permission)
        return [by_id & of_kind, by_label & of_kind]
    return [_B.kind == kind for kind in sorted(wanted.kinds)] if wanted.kinds else [of_kind]


def _bursts_of_tenant(tenant_id: str, wanted: WantedChanges) -> Select[Any]:
    """A tenant has few events: all conditions are of these, so that none of their indexes is used instead."""
    e = DRIFT_EVENT.c
    bursts = select(e.burst_id).where(e.tenant_id == tenant_id)
    if wanted.permission is not None:
        is_it = or_(unindexed(e.permission_id) == wanted.permission, e.permission_label == wanted.permission)
        bursts = bursts.where(is_it)
    return bursts if wanted.kinds is None else bursts.where(unindexed(e.kind).in_(sorted(wanted.kinds)))


def _in_time(wanted: WantedChanges, after: Position | None) -> Iterable[ColumnElement[bool]]:
    if wanted.since is not None:
        yield _B.last_at >= wanted.since
    if wanted.until is not None:
        yield _B.last_at < wanted.until
    if after is not None:
        yield tuple_(_B.last_at, _B.id) < tuple_(literal(after.last_at, _B.last_at.type), after.id)
