"""Drift events one by one, newest first, in pages."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.history_queries import COLUMNS, PastEvent
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
        .where(*_conditions(wanted))
        .order_by(_E.at.desc(), _E.id.desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(_E.at, _E.id) < tuple_(literal(after.at, _E.at.type), after.id))
    return [PastEvent(**row._mapping) for row in await conn.execute(statement)]


def _conditions(wanted: WantedChanges) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.tenant_id is not None:
        found.append(_E.tenant_id == wanted.tenant_id)
    if wanted.permission is not None:
        found.append(or_(_E.permission_id == wanted.permission, _E.permission_label == wanted.permission))
    if wanted.kinds is not None:
        found.append(_E.kind.in_(sorted(wanted.kinds)))
    if wanted.since is not None:
        found.append(_E.at >= wanted.since)
    if wanted.until is not None:
        found.append(_E.at < wanted.until)
    return found
