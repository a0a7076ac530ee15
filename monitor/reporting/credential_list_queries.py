"""Every credential of every tenant, in pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from monitor.store.tables import CREDENTIAL, TENANT

_C = CREDENTIAL.c


class CredentialPlace(NamedTuple):
    tenant_id: str
    label: str


@dataclass(frozen=True, slots=True)
class CredentialFilter:
    """None leaves an aspect open."""

    tenant_id: str | None = None
    kind: str | None = None
    state: CredentialState | None = None


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """Without its secret and without the reference to it."""

    tenant_id: str
    label: str
    kind: str
    state: CredentialState
    detail: str
    state_since: datetime | None
    fingerprint: str | None
    granted: int
    missing: int
    undecided: int
    unchecked: int
    suspects: int
    excess: int
    last_checked_at: datetime | None
    next_due: datetime | None


_COLUMNS = [_C[name] for name in CredentialRow.__slots__]


async def page(
    conn: AsyncConnection, wanted: CredentialFilter, limit: int, after: CredentialPlace | None = None
) -> Sequence[CredentialRow]:
    """By tenant and label."""
    statement = (
        select(*_COLUMNS)
        .join(TENANT, TENANT.c.id == _C.tenant_id)
        .where(_C.removed_at.is_(None), TENANT.c.removed_at.is_(None))
        .order_by(_C.tenant_id, _C.label)
        .limit(limit)
    )
    for column, value in ((_C.tenant_id, wanted.tenant_id), (_C.kind, wanted.kind), (_C.state, wanted.state)):
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(tuple_(_C.tenant_id, _C.label) > tuple_(*after))
    return [CredentialRow(*row) for row in await conn.execute(statement)]
