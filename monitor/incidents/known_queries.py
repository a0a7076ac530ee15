"""What is known about a credential, between rows and the values that drift compares."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, Table, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.report import Verdict
from monitor.drift import EventKind, Known, KnownCredential, KnownExcess, KnownPermission, difference
from monitor.store.statements import upsert
from monitor.store.tables import CREDENTIAL, EXCESS_STATE, PERMISSION_STATE

_P = PERMISSION_STATE.c
_CREDENTIAL_COLUMNS = [CREDENTIAL.c[field.name] for field in fields(KnownCredential)]
_FIELDS = [field.name for field in fields(KnownPermission)]
_PERMISSION_COLUMNS = [
    _P[{"group": "permission_group", "label": "permission_label"}.get(name, name)] for name in _FIELDS
]
_ENUMS = [
    (_FIELDS.index(name), kind)
    for name, kind in (("verdict", Verdict), ("origin", EventKind), ("undecided_as", Verdict))
]

# Of every check, so they are put together once.
_OF: BindParameter[int] = bindparam("of_credential")
_CREDENTIAL = select(*_CREDENTIAL_COLUMNS).where(CREDENTIAL.c.id == _OF)
_PERMISSIONS = select(_P.permission_id, *_PERMISSION_COLUMNS).where(_P.credential_id == _OF)
_EXCESS = select(EXCESS_STATE).where(EXCESS_STATE.c.credential_id == _OF)
_WRITE_CREDENTIAL = update(CREDENTIAL).where(CREDENTIAL.c.id == _OF)


_COUNTED: Mapping[str, Any] = {
    "granted": func.count().filter(_P.verdict == Verdict.GRANTED),
    "missing": func.count().filter(_P.verdict == Verdict.MISSING),
    "undecided": func.count().filter(_P.undecided_as == Verdict.UNDECIDED),
    "unchecked": func.count().filter(_P.undecided_as == Verdict.NOT_CHECKABLE),
    "suspects": func.count().filter(_P.suspect_since.is_not(None)),
    "carried": func.count().filter(_P.verdict.is_(None), _P.origin.in_([EventKind.LOST, EventKind.FOUND])),
}
"""drift.Counts as the database counts it, for all credentials at once; the excess is counted apart."""


async def load(conn: AsyncConnection, credential_id: int) -> Known:
    """Everything remembered about one credential; the caller holds whatever lock it needs."""
    ours = {"of_credential": credential_id}
    credential = (await conn.execute(_CREDENTIAL, ours)).one()
    permissions = await conn.execute(_PERMISSIONS, ours)
    excess = await conn.execute(_EXCESS, ours)
    return Known(
        credential=_credential(credential),
        permissions={id_: _permission(values) for id_, *values in permissions},
        excess={row.endpoint: KnownExcess(row.label, row.certain, row.since) for row in excess},
    )


async def permissions_of(conn: AsyncConnection, credentials: Collection[int]) -> dict[int, dict[str, KnownPermission]]:
    """What is known about the permissions of several credentials."""
    statement = select(_P.credential_id, _P.permission_id, *_PERMISSION_COLUMNS).where(
        _P.credential_id.in_(credentials)
    )
    found: dict[int, dict[str, KnownPermission]] = {}
    for credential_id, permission_id, *values in await conn.execute(statement) if credentials else ():
        found.setdefault(credential_id, {})[permission_id] = _permission(values)
    return found


async def excess_of(conn: AsyncConnection, credentials: Collection[int]) -> dict[int, dict[str, KnownExcess]]:
    statement = select(EXCESS_STATE).where(EXCESS_STATE.c.credential_id.in_(credentials))
    found: dict[int, dict[str, KnownExcess]] = {}
    for row in await conn.execute(statement) if credentials else ():
        found.setdefault(row.credential_id, {})[row.endpoint] = KnownExcess(row.label, row.certain, row.since)
    return found


async def save(
    conn: AsyncConnection, credential_id: int, before: Known, after: Known, next_due: datetime | None
) -> None:
    """Write the credential's row with its next due time, and what changed of permissions and excess."""
    credential = {
        **asdict(after.credential),
        **asdict(after.counts),
        "last_outcome": after.outcome,
        "next_due": next_due,
    }
    await conn.execute(_WRITE_CREDENTIAL, {**credential, "of_credential": credential_id})
    written, removed = difference(before.permissions, after.permissions)
    await upsert(conn, PERMISSION_STATE, [_permission_row(credential_id, key, was) for key, was in written.items()])
    await _remove(conn, PERMISSION_STATE, "permission_id", credential_id, removed)
    found, gone = difference(before.excess, after.excess)
    rows = [{"credential_id": credential_id, "endpoint": key, **asdict(known)} for key, known in found.items()]
    await upsert(conn, EXCESS_STATE, rows)
    await _remove(conn, EXCESS_STATE, "endpoint", credential_id, gone)


async def _remove(conn: AsyncConnection, table: Table, key: str, credential_id: int, gone: frozenset[str]) -> None:
    if gone:
        ours = table.c.credential_id == credential_id
        await conn.execute(delete(table).where(ours, table.c[key].in_(sorted(gone))))


def _credential(row: Row[Any]) -> KnownCredential:
    values = {**row._mapping, "state": CredentialState(row.state)}
    values["suspect_state"] = CredentialState(row.suspect_state) if row.suspect_state else None
    return KnownCredential(**values)


def _permission(values: list[Any]) -> KnownPermission:
    """From its columns, which are in the order of its fields: by name it would take a check twice as long to read."""
    for place, kind in _ENUMS:
        if values[place] is not None:
            values[place] = kind(values[place])
    return KnownPermission(*values)


def _permission_row(credential_id: int, permission_id: str, known: KnownPermission) -> dict[str, Any]:
    values = asdict(known)
    # `group` is a reserved word of SQL.
    values["permission_group"] = values.pop("group")
    values["permission_label"] = values.pop("label")
    return {"credential_id": credential_id, "permission_id": permission_id, **values}


@dataclass(frozen=True, slots=True)
class Miscount:
    """A count in a credential's row that is not what its permissions come to."""

    tenant_id: str
    label: str
    count: str
    stored: int
    counted: int


async def miscounts(conn: AsyncConnection) -> list[Miscount]:
    """There should be none: a credential is written with its permissions or not at all."""
    of_permissions = (
        select(_P.credential_id, *(count.label(name) for name, count in _COUNTED.items()))
        .group_by(_P.credential_id)
        .subquery()
    )
    excess = select(EXCESS_STATE.c.credential_id, func.count().label("excess"))
    of_excess = excess.group_by(EXCESS_STATE.c.credential_id).subquery()
    counted = {**{name: of_permissions.c[name] for name in _COUNTED}, "excess": of_excess.c.excess}
    c = CREDENTIAL.c
    statement = (
        select(c.tenant_id, c.label, *(c[name] for name in counted), *(func.coalesce(n, 0) for n in counted.values()))
        .outerjoin(of_permissions, of_permissions.c.credential_id == c.id)
        .outerjoin(of_excess, of_excess.c.credential_id == c.id)
        .where(or_(*(c[name] != func.coalesce(count, 0) for name, count in counted.items())))
        .order_by(c.tenant_id, c.label)
    )
    return [
        Miscount(tenant_id, label, name, stored, there)
        for tenant_id, label, *numbers in await conn.execute(statement)
        for name, stored, there in zip(counted, numbers[: len(counted)], numbers[len(counted) :], strict=True)
        if stored != there
    ]
