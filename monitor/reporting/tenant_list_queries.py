"""The list of tenants, worst first, in pages: each page reads its own rows only."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    String,
    and_,
    cast,
    exists,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.connection_failure import OURS
from checks.credential import CredentialState
from checks.report import Verdict
from monitor.incidents.status import TenantStatus
from monitor.reporting import told_queries
from monitor.reporting.tenant_list import CredentialStanding, Shown, TenantFilter, TenantPlace, TenantRow
from monitor.store.burst_tables import BURST
from monitor.store.tables import CREDENTIAL, DRIFT_EVENT, PERMISSION_STATE, TENANT

OURS_DETAILS = ("token_stale", "secret_source", "secret_refused", *sorted(OURS))
_C, _P, _T = CREDENTIAL.c, PERMISSION_STATE.c, TENANT.c
_LABELS_OF_A_ROW = 3
# Not all of them: a page would read a hundred columns of JSON and show none.
_TENANT_COLUMNS = _T[
    "id", "name", "csm_name", "csm_email", "status", "status_since", "created_at", "problem", "paused"
]  # fmt: skip
_CREDENTIAL_COLUMNS = _C[
    "id", "tenant_id", "label", "kind", "state", "detail", "missing", "undecided", "unchecked", "suspects",
    "suspect_state", "last_checked_at", "next_due", "carried",
]  # fmt: skip
_PAGE = 1000


async def page(
    conn: AsyncConnection, wanted: TenantFilter, limit: int, after: TenantPlace | None = None
) -> Sequence[TenantRow]:
    """Up to `limit` tenants that follow `after`."""
    statement = (
        select(*_TENANT_COLUMNS)
        .where(*_conditions(wanted), *([] if after is None else [_follows(after)]))
        .order_by(_T.severity, _T.status_since.desc(), _T.id)
        .limit(limit)
    )
    return await _rows(conn, statement)


async def every(conn: AsyncConnection, wanted: TenantFilter) -> Sequence[TenantRow]:
    """All of them, read in pages: no statement can name any number of tenants."""
    found: list[TenantRow] = []
    while rows := await page(conn, wanted, _PAGE, found[-1].place if found else None):
        found += rows
    return found


async def one(conn: AsyncConnection, tenant_id: str) -> TenantRow | None:
    """None if there is no such tenant, or it was removed."""
    rows = await _rows(conn, select(*_TENANT_COLUMNS).where(_T.id == tenant_id, _T.removed_at.is_(None)))
    return rows[0] if rows else None


async def _rows(conn: AsyncConnection, statement: Select[Any]) -> Sequence[TenantRow]:
    rows = (await conn.execute(statement)).all()
    credentials = await _credentials(conn, [row.id for row in rows])
    told = await told_queries.of_open_incidents(conn, [row.id for row in rows])
    return [_row(row, credentials.get(row.id, ()), told) for row in rows]


async def count(conn: AsyncConnection, wanted: TenantFilter) -> int:
    """How many there are in all."""
    counted = select(func.count()).select_from(TENANT).where(*_conditions(wanted))
    return int((await conn.execute(counted)).scalar_one())


def _conditions(wanted: TenantFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_T.removed_at.is_(None)]
    if wanted.status == Shown.ATTENTION:
        found.append(_T.severity < TenantStatus.HEALTHY.severity)
    elif wanted.status != Shown.ANY:
        found.append(_T.severity == TenantStatus(wanted.status).severity)
    if wanted.text:
        found.append(or_(*(column.icontains(wanted.text, autoescape=True) for column in _SEARCHED)))
    if wanted.csm:
        found.append(func.lower(_T.csm_email) == wanted.csm.lower())
    if wanted.feature:
        # As JSON text: the features of a tenant are a short list of plain words.
        found.append(cast(_T.features, String).contains(f'"{wanted.feature}"', autoescape=True))
    if wanted.kind:
        found.append(_with_credential(_C.kind == wanted.kind))
    if wanted.missing:
        found.append(_T.id.in_(_lacking(wanted.missing)))
    if wanted.ours:
        found.append(ours())
    if wanted.folded is not None:
        found.append(not_(_is_all_of(wanted.folded)))
    return found


def _is_all_of(burst: int) -> ColumnElement[bool]:
    """The tenant is in this burst, stands so since then, and lacks no more than one permission."""
    event = DRIFT_EVENT.c
    in_burst = exists().where(event.burst_id == burst, event.tenant_id == _T.id)
    began = select(BURST.c.first_at).where(BURST.c.id == burst).scalar_subquery()
    lacks_more = _with_credential(_C.missing > 1)
    return and_(in_burst, _T.status_since >= began, not_(lacks_more))


def _lacking(permission: str) -> Select[tuple[str]]:
    """Not asked for each tenant of the list: few lack it, and an index has those that lack any."""
    is_it = or_(_P.permission_id == permission, _P.permission_label == permission)
    # The word not as a parameter: this is the condition of the index `missing_permission`.
    lacks = and_(_P.verdict == literal_column(f"'{Verdict.MISSING}'"), is_it)
    return select(_C.tenant_id).join(PERMISSION_STATE, _P.credential_id == _C.id).where(_C.removed_at.is_(None), lacks)


_SEARCHED = (_T.id, _T.name, _T.csm_name, _T.csm_email)


def ours() -> ColumnElement[bool]:
    """The tenant fails through something of ours: its row, or what supplies its secret."""
    without = not_(exists().where(_C.tenant_id == _T.id, _C.removed_at.is_(None)))
    fault = or_(_C.state == CredentialState.MISCONFIGURED, and_(_C.state != "ok", _C.detail.in_(OURS_DETAILS)))
    return and_(_T.severity == TenantStatus.FAILING.severity, or_(_with_credential(fault), without))


def _with_credential(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(_C.tenant_id == _T.id, _C.removed_at.is_(None), condition)


def _follows(place: TenantPlace) -> ColumnElement[bool]:
    # The first condition is implied by the second; it lets the index begin there.
    later = or_(_T.status_since < place.since, and_(_T.status_since == place.since, _T.id > place.id))
    return and_(
        _T.severity >= place.severity,
        or_(_T.severity > place.severity, and_(_T.severity == place.severity, later)),
    )


async def _credentials(conn: AsyncConnection, tenants: Collection[str]) -> Mapping[str, tuple[CredentialStanding, ...]]:
    found = (
        await conn.execute(
            select(*_CREDENTIAL_COLUMNS)
            .where(_C.tenant_id.in_(tenants), _C.removed_at.is_(None))
            .order_by(_C.tenant_id, _C.label)
        )
    ).all()
    labels, reasons = await _why(conn, [row.id for row in found if row.missing or row.undecided])
    standing: dict[str, list[CredentialStanding]] = {}
    for row in found:
        one = _standing(row, tuple(labels.get(row.id, ())), reasons.get(row.id))
        standing.setdefault(row.tenant_id, []).append(one)
    return {tenant: tuple(theirs) for tenant, theirs in standing.items()}


async def _why(
    conn: AsyncConnection, credentials: Collection[int]
) -> tuple[Mapping[int, list[str]], Mapping[int, str]]:
    """Of each the first few labels of what is missing (its row has the number of all), and the most frequent reason
    of what is undecided.
    """
    labels: dict[int, list[str]] = {}
    reasons: dict[int, str] = {}
    if credentials:
        parts = union_all(_missing_labels(credentials), _undecided_reasons(credentials)).subquery()
        for row in await conn.execute(select(parts).order_by(parts.c.place, parts.c.reason)):
            if row.label is None:
                reasons.setdefault(row.credential_id, row.reason)
            else:
                labels.setdefault(row.credential_id, []).append(row.label)
    return labels, reasons


def _missing_labels(credentials: Collection[int]) -> Select[Any]:
    place = func.row_number().over(partition_by=_P.credential_id, order_by=(_P.since.desc(), _P.permission_label))
    missing = _P.verdict == Verdict.MISSING
    ranked = (
        select(_P.credential_id, _P.permission_label.label("label"), place.label("place"))
        .where(_P.credential_id.in_(credentials), missing)
        .subquery()
    )
    r = ranked.c
    reason = cast(null(), String).label("reason")
    return select(r.credential_id, r.label, reason, r.place).where(r.place <= _LABELS_OF_A_ROW)


def _undecided_reasons(credentials: Collection[int]) -> Select[Any]:
    return (
        select(_P.credential_id, null(), _P.undecided_reason, -func.count())
        .where(_P.credential_id.in_(credentials), _P.undecided_as == Verdict.UNDECIDED)
        .group_by(_P.credential_id, _P.undecided_reason)
    )


def _standing(row: Row[Any], labels: tuple[str, ...], reason: str | None) -> CredentialStanding:
    return CredentialStanding(
        label=row.label,
        kind=row.kind,
        state=CredentialState(row.state),
        detail=row.detail,
        missing=row.missing,
        undecided=row.undecided,
        unchecked=row.unchecked,
        suspects=row.suspects,
        suspect_state=row.suspect_state,
        last_checked_at=row.last_checked_at,
        next_due=row.next_due,
        missing_labels=labels,
        undecided_reason=reason,
        carried=row.carried,
    )


def _row(row: Row[Any], credentials: tuple[CredentialStanding, ...], told: Mapping[str, Any]) -> TenantRow:
    since: datetime = row.status_since or row.created_at
    return TenantRow(
        id=row.id,
        name=row.name,
        csm_name=row.csm_name,
        csm_email=row.csm_email,
        status=TenantStatus(row.status),
        since=since,
        problem=row.problem,
        paused=row.paused["reference"] if row.paused else None,
        credentials=credentials,
        told=told.get(row.id),
    )
