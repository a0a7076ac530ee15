"""Drift events one by one, newest first, in pages."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.history_queries import COLUMNS, PastEvent
from monitor.store.burst_tables import BURST
from monitor.store.statements import unindexed
from monitor.store.tables import CREDENTIAL, DRIFT_EVENT, TENANT

_E = DRIFT_EVENT.c


class EventPlace(NamedTuple):
    at: datetime
    id: int


async def page(
    conn: AsyncConnection, wanted: WantedChanges, limit: int, after: EventPlace | None = None
) -> Sequence[PastEvent]:
    statement = (
        select(*COLUMNS)
        .join(TENANT, TENANT.c.id == _E.tenant_id)
        .join(CREDENTIAL, CREDENTIAL.c.id == _E.credential_id)
        .where(*_conditions(wanted), *await _of_permission(conn, wanted))
        .order_by(_E.at.desc(), _E.id.desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(_E.at, _E.id) < tuple_(literal(after.at, _E.at.type), after.id))
    return [PastEvent(**row._mapping) for row in await conn.execute(statement)]


def _conditions(wanted: WantedChanges) -> list[ColumnElement[bool]]:
    """All but the permission. A tenant has few events: its index is the one to take."""
    found: list[ColumnElement[bool]] = []
    if wanted.tenant_id is not None:
        found.append(_E.tenant_id == wanted.tenant_id)
    if wanted.kinds is not None:
        kind = _E.kind if wanted.tenant_id is None else unindexed(_E.kind)
        found.append(kind.in_(sorted(wanted.kinds)))
    if wanted.since is not None:
        found.append(_E.at >= wanted.since)
    if wanted.until is not None:
        found.append(_E.at < wanted.until)
    return found


async def _of_permission(conn: AsyncConnection, wanted: WantedChanges) -> list[ColumnElement[bool]]:
    """By the ids that go by this label, if any: an index has the events of an id, the newest first."""
    permission = wanted.permission
    if permission is None:
        return []
    if wanted.tenant_id is not None:
        return [or_(unindexed(_E.permission_id) == permission, _E.permission_label == permission)]
    labelled = select(BURST.c.permission_id).where(BURST.c.permission_label == permission).distinct()
    ids = list((await conn.execute(labelled)).scalars())
    return [_E.permission_id.in_(ids or [permission])]
