"""The stored status of tenants, and the history of its changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Row, and_, bindparam, case, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents.status import Standing, TenantStatus, status_of
from monitor.store.tables import CREDENTIAL, STATUS_CHANGE, TENANT

_BATCH = 5000  # tenants in one statement: both databases allow some 32,000 parameters
_C, _S, _T = CREDENTIAL.c, STATUS_CHANGE.c, TENANT.c
_SEVERITY = case({status.value: status.severity for status in TenantStatus}, value=_S.status)
# Between its first full check and the next look at what that one saw missing, nobody knows how a tenant stands.
_UNSETTLED = or_(_C.last_full_at.is_(None), and_(_C.suspects > 0, _C.last_full_at == _C.baseline_at))
_STANDING: Mapping[str, Any] = {
    "removed": _T.removed_at.is_not(None),
    "paused": _T.paused.is_not(None),
    "problem": _T.problem.is_not(None),
    "credentials": func.count(_C.id),
    "failing": func.count().filter(_C.state != "ok"),
    "missing": func.coalesce(func.sum(_C.missing), 0),
    "undecided": func.coalesce(func.sum(_C.undecided + _C.carried), 0),
    "unsettled": func.count(_C.id).filter(_UNSETTLED),
}

COLUMNS = (_T.id, _T.status, *(_STANDING[field.name].label(f"standing_{field.name}") for field in fields(Standing)))
"""What `change_in` reads. To be selected from TENANTS, grouped by the tenant's id."""

TENANTS = TENANT.outerjoin(CREDENTIAL, (_C.tenant_id == _T.id) & _C.removed_at.is_(None))
"""Each tenant with its active credentials."""

_STANDINGS = select(*COLUMNS).select_from(TENANTS).group_by(_T.id)
_WRITE = (
    update(TENANT)
    .where(_T.id == bindparam("of_tenant"))
    .values(status=bindparam("is"), severity=bindparam("at_place"), status_since=bindparam("since"))
)


@dataclass(frozen=True, slots=True)
class ChangedStatus:
    """`previous` is None for a tenant that is new."""

    tenant_id: str
    previous: str | None
    status: TenantStatus


def change_in(row: Row[*tuple[Any, ...]]) -> ChangedStatus | None:
    """None if the stored status is what follows from the tenant's row and credentials."""
    status = status_of(_standing(row))
    return None if row.status == status else ChangedStatus(row.id, row.status, status)


async def settle(conn: AsyncConnection, tenant_ids: Collection[str], now: datetime) -> None:
    """Write the status of these tenants where it changed. The caller holds their rows."""
    ids = iter(tenant_ids)
    while batch := list(islice(ids, _BATCH)):
        found = await conn.execute(_STANDINGS.where(_T.id.in_(batch)))
        await write(conn, [change for row in found if (change := change_in(row))], now)


async def write(conn: AsyncConnection, changes: Sequence[ChangedStatus], now: datetime) -> None:
    if changes:
        rows = [
            {"of_tenant": one.tenant_id, "is": one.status, "at_place": one.status.severity, "since": now}
            for one in changes
        ]
        await conn.execute(_WRITE, rows)
        await note(conn, changes, now)


async def note(conn: AsyncConnection, changes: Sequence[ChangedStatus], now: datetime) -> None:
    """Add to the history only: the tenants' rows have these statuses already."""
    if changes:
        rows = [
            {"tenant_id": one.tenant_id, "at": now, "status": one.status, "previous": one.previous} for one in changes
        ]
        await conn.execute(insert(STATUS_CHANGE), rows)


async def mismatches(conn: AsyncConnection) -> list[ChangedStatus]:
    """There should be none: a status is written with what it follows from."""
    found = await conn.execute(_STANDINGS.order_by(_T.id))
    return [change for row in found if (change := change_in(row))]


async def unrecorded(conn: AsyncConnection) -> list[tuple[str, str, int, str | None]]:
    """Tenants whose status or severity is not that of their newest change: id, status, severity, the newest."""
    newest = select(func.max(_S.id).label("id")).group_by(_S.tenant_id).subquery()
    changes = STATUS_CHANGE.join(newest, newest.c.id == _S.id)
    differs = or_(_S.id.is_(None), _S.status != _T.status, _T.severity != _SEVERITY)
    statement = (
        select(_T.id, _T.status, _T.severity, _S.status)
        .outerjoin_from(TENANT, changes, _S.tenant_id == _T.id)
        .where(differs)
        .order_by(_T.id)
    )
    return [(id_, status, severity, last) for id_, status, severity, last in await conn.execute(statement)]


def _standing(row: Row[*tuple[Any, ...]]) -> Standing:
    return Standing(**{field.name: row._mapping[f"standing_{field.name}"] for field in fields(Standing)})
