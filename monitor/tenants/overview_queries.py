"""The current state of tenants: the list of all, and one in full."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from monitor.drift import KnownExcess, KnownPermission
from monitor.incidents import known_queries
from monitor.incidents.status import TenantStatus
from monitor.store.tables import CREDENTIAL, INCIDENT, TENANT


@dataclass(frozen=True, slots=True)
class CredentialLine:
    """A credential's current state; the counts are those of drift.Counts."""

    id: int
    label: str
    kind: str
    state: CredentialState
    detail: str
    state_since: datetime | None
    suspect_state: str | None
    fingerprint: str | None
    baseline_at: datetime | None
    last_checked_at: datetime | None
    last_outcome: str | None
    next_due: datetime | None
    granted: int
    missing: int
    undecided: int
    unchecked: int
    suspects: int
    excess: int


@dataclass(frozen=True, slots=True)
class TenantLine:
    """A tenant's current state. `problem` is what is wrong with its row in the tenants file.

    `paused` has the fields of Paused, `since` as a text; None if the tenant is not paused.
    """

    id: str
    name: str
    csm_name: str | None
    csm_email: str | None
    problem: str | None
    status: TenantStatus
    status_since: datetime | None
    paused: dict[str, str | None] | None
    incident_since: datetime | None
    credentials: tuple[CredentialLine, ...]

    @property
    def state(self) -> CredentialState:
        """The worst state of its credentials; a row without a usable credential is misconfigured."""
        states = [credential.state for credential in self.credentials]
        if not states and self.problem is not None:
            return CredentialState.MISCONFIGURED
        return max(states, key=lambda state: state.severity, default=CredentialState.OK)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its credentials, each once; only `harvest-key` means it has yet to move to Harvest v3."""
        return tuple(sorted({credential.kind for credential in self.credentials}))

    @property
    def last_checked_at(self) -> datetime | None:
        """When all of its credentials had been checked last; None while one has never been checked."""
        moments = [credential.last_checked_at for credential in self.credentials]
        return min((moment for moment in moments if moment is not None), default=None) if all(moments) else None

    def total(self, count: str) -> int:
        """The sum of one count, such as `missing`, over its credentials."""
        return sum(getattr(credential, count) for credential in self.credentials)


@dataclass(frozen=True, slots=True)
class CredentialDetail:
    """What is known about one credential's permissions, by id, and excess, by endpoint."""

    line: CredentialLine
    permissions: dict[str, KnownPermission]
    excess: dict[str, KnownExcess]


_CREDENTIAL_COLUMNS = [CREDENTIAL.c[field.name].label(f"credential_{field.name}") for field in fields(CredentialLine)]
_ALL = (
    select(
        TENANT.c.id,
        TENANT.c.name,
        TENANT.c.csm_name,
        TENANT.c.csm_email,
        *TENANT.c["problem", "status", "status_since", "paused"],
        *_CREDENTIAL_COLUMNS,
        INCIDENT.c.opened_at.label("incident_since"),
    )
    .outerjoin(CREDENTIAL, (CREDENTIAL.c.tenant_id == TENANT.c.id) & CREDENTIAL.c.removed_at.is_(None))
    # At most one row for each tenant: the index `one_open_incident` sees to that.
    .outerjoin(INCIDENT, (INCIDENT.c.tenant_id == TENANT.c.id) & INCIDENT.c.resolved_at.is_(None))
    .where(TENANT.c.removed_at.is_(None))
    # `_lines` groups neighbours: a tenant's rows must stand together.
    .order_by(TENANT.c.id, CREDENTIAL.c.label)
)


async def tenants(conn: AsyncConnection) -> Sequence[TenantLine]:
    """Every tenant that was not removed, ordered by id."""
    return _lines(await conn.execute(_ALL))


async def tenant(conn: AsyncConnection, tenant_id: str) -> tuple[TenantLine, Sequence[CredentialDetail]] | None:
    """One tenant with everything known about its credentials; None if there is no such tenant or it was removed."""
    lines = _lines(await conn.execute(_ALL.where(TENANT.c.id == tenant_id)))
    if not lines:
        return None
    details = []
    for line in lines[0].credentials:
        found = await known_queries.load(conn, line.id)
        details.append(CredentialDetail(line, dict(found.permissions), dict(found.excess)))
    return lines[0], details


def _lines(rows: Iterable[Row[Any]]) -> list[TenantLine]:
    return [_line(list(of_one)) for _, of_one in groupby(rows, key=attrgetter("id"))]


def _line(rows: Sequence[Row[Any]]) -> TenantLine:
    first = rows[0]
    return TenantLine(
        id=first.id,
        name=first.name,
        csm_name=first.csm_name,
        csm_email=first.csm_email,
        problem=first.problem,
        status=TenantStatus(first.status),
        status_since=first.status_since,
        paused=first.paused,
        incident_since=first.incident_since,
        credentials=tuple(_credential(row) for row in rows if row.credential_id is not None),
    )


def _credential(row: Row[Any]) -> CredentialLine:
    values = {field.name: row._mapping[f"credential_{field.name}"] for field in fields(CredentialLine)}
    return CredentialLine(**{**values, "state": CredentialState(values["state"])})
