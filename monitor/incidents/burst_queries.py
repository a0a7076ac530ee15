"""One burst: how its tenants stand now, and who was told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    and_,
    case,
    distinct,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.report import Verdict
from monitor.drift import EventKind
from monitor.incidents.change_queries import COLUMNS
from monitor.incidents.changes import ListedBurst, ToldStatus
from monitor.incidents.told_queries import RANK, RECIPIENT, status_of
from monitor.store.burst_tables import BURST
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, EXCESS_STATE, NOTICE, PERMISSION_STATE, TENANT

_E, _C, _P = DRIFT_EVENT.c, CREDENTIAL.c, PERMISSION_STATE.c


class ChangeState(StrEnum):
    """What has become of the change in a tenant, as its credentials are known now.

    `unknown`: nothing was decided since, or it is not asked for any more. `gone`: the credential was removed. `past`:
    the change was an end, or nothing that could end. In the order in which they need attention.
    """

    LASTS = "lasts"
    UNKNOWN = "unknown"
    RESTORED = "restored"
    GONE = "gone"
    PAST = "past"


_ORDER = list(ChangeState)
_LACKS = [EventKind.LOST, EventKind.FOUND, EventKind.NEWLY_REQUIRED]
_FAILS = [EventKind.CREDENTIAL_FAILED, EventKind.FOUND]


@dataclass(frozen=True, slots=True)
class TenantInBurst:
    """`restored_at` is None unless restored. `seen_before` and `first_seen` are those of its first event.

    `status` is whether somebody was told; the notice, if any, is the one that the status comes from.
    """

    tenant_id: str
    name: str
    csm_name: str | None
    csm_email: str | None
    at: datetime
    seen_before: datetime | None
    first_seen: datetime | None
    standing: ChangeState
    restored_at: datetime | None
    status: ToldStatus
    notice_id: int | None
    audience: str | None
    recipient: str | None
    sent_at: datetime | None


async def burst(conn: AsyncConnection, burst_id: int) -> ListedBurst | None:
    found = (await conn.execute(select(*COLUMNS).where(BURST.c.id == burst_id))).first()
    return None if found is None else ListedBurst(*found)


async def latest_burst(conn: AsyncConnection, brake_key: str) -> int | None:
    """Where to read more about what many tenants have in common; None before its events are grouped."""
    kind, _, subject = brake_key.partition(":")
    of_key = select(BURST.c.id).where(BURST.c.kind == kind, BURST.c.subject == subject)
    latest = of_key.order_by(BURST.c.last_at.desc(), BURST.c.id.desc()).limit(1)
    found: int | None = (await conn.execute(latest)).scalar()
    return found


async def largest_held(conn: AsyncConnection) -> tuple[ListedBurst | None, int]:
    """The burst with the most tenants whose notices are held, and how many bursts have some."""
    found = (await conn.execute(_LARGEST_HELD)).first()
    return (None, 0) if found is None else (ListedBurst(*found[:-1]), found[-1])


def _largest_held() -> Select[Any]:
    tenants = func.count(distinct(_E.tenant_id)).label("tenants")
    held = (
        select(_E.burst_id, tenants)
        .join(CAUSE, CAUSE.c.event_id == _E.id)
        .join(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
        .where(NOTICE.c.status == ToldStatus.HELD, _E.burst_id.is_not(None))
        .group_by(_E.burst_id)
        .subquery()
    )
    bursts = select(*COLUMNS, func.count().over()).join(held, held.c.burst_id == BURST.c.id)
    return bursts.order_by(held.c.tenants.desc(), BURST.c.id.desc()).limit(1)


_LARGEST_HELD = _largest_held()


async def standings(conn: AsyncConnection, burst_id: int) -> dict[ChangeState, int]:
    """How many of its tenants stand how; together they are all of them. A tenant counts once, by the first it has."""
    of_tenant = (
        select(func.min(_STANDING).label("standing"))
        .select_from(_WITH_STATE)
        .where(_E.burst_id == burst_id)
        .group_by(_E.tenant_id)
        .subquery()
    )
    counted = select(of_tenant.c.standing, func.count()).group_by(of_tenant.c.standing)
    counts = {_ORDER[standing]: count for standing, count in await conn.execute(counted)}
    return {standing: counts.get(standing, 0) for standing in ChangeState}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else was seen since a burst began. `spared` are other tenants that were checked since and are well in this
    respect, `troubled` others that were not served; `detail` is the documented code of its newest event, if any.
    """

    spared: int
    troubled: int
    detail: str


async def surroundings(conn: AsyncConnection, burst: ListedBurst) -> Surroundings:
    """Only credentials of the same kind count as spared: what Greenhouse does to keys of Harvest v1, it need not do to
    clients of v3.
    """
    outside = ~select(_E.id).where(_E.burst_id == burst.id, _E.tenant_id == _C.tenant_id).exists()
    not_served = or_(_C.state != CredentialState.OK, _C.suspect_state.is_not(None))
    troubled = select(func.count(distinct(_C.tenant_id))).where(
        _C.removed_at.is_(None), _C.last_checked_at >= burst.first_at, not_served, outside
    )
    detail = select(_E.detail).where(_E.burst_id == burst.id).order_by(_E.id.desc()).limit(1)
    parts = (_spared(burst, outside).scalar_subquery(), troubled.scalar_subquery(), detail.scalar_subquery())
    spared, in_trouble, code = (await conn.execute(select(*parts))).one()
    return Surroundings(spared, in_trouble, code or "")


def _spared(burst: ListedBurst, outside: ColumnElement[bool]) -> Select[int]:
    """For a failed credential: whose credential works. Nobody for kinds that take nothing away."""
    well: ColumnElement[bool] = false()
    if burst.kind in _LACKS and burst.permission_id is not None:
        has_it = and_(
            _P.credential_id == _C.id,
            _P.permission_id == burst.permission_id,
            _P.verdict == Verdict.GRANTED,
            _P.undecided_since.is_(None),
            _P.suspect_since.is_(None),
        )
        well = select(_P.credential_id).where(has_it).exists()
    elif burst.kind in _FAILS:
        well = _C.suspect_state.is_(None)
    of_burst = CREDENTIAL.alias("of_burst")
    kinds = select(of_burst.c.kind).join(DRIFT_EVENT, _E.credential_id == of_burst.c.id).where(_E.burst_id == burst.id)
    return select(func.count(distinct(_C.tenant_id))).where(
        _C.removed_at.is_(None),
        _C.state == CredentialState.OK,
        _C.last_full_at >= burst.first_at,
        _C.kind.in_(kinds),
        outside,
        well,
    )


async def burst_tenants(
    conn: AsyncConnection, burst_id: int, limit: int, after: str | None = None
) -> Sequence[TenantInBurst]:
    """In the order of their ids; `after` is the last id of the page before."""
    in_burst = select(_E.tenant_id).where(_E.burst_id == burst_id)
    if after is not None:
        in_burst = in_burst.where(_E.tenant_id > after)
    page = select(in_burst.distinct().order_by(_E.tenant_id).limit(limit).subquery())
    statement = (
        select(
            _E.tenant_id,
            TENANT.c.name,
            TENANT.c.csm_name,
            TENANT.c.csm_email,
            _E.at,
            _E.seen_before,
            _E.first_seen,
            _STANDING.label("standing"),
            _SINCE.label("since"),
            RANK.label("rank"),
            NOTICE.c.id.label("notice_id"),
            CAUSE.c.audience,
            RECIPIENT.label("recipient"),
            NOTICE.c.sent_at,
        )
        .select_from(
            _WITH_STATE.join(TENANT, TENANT.c.id == _E.tenant_id)
            .outerjoin(CAUSE, CAUSE.c.event_id == _E.id)
            .outerjoin(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
        )
        # Not a join: SQLite would look through all of the burst.
        .where(_E.burst_id == burst_id, _E.tenant_id.in_(page))
        .order_by(_E.tenant_id, _E.id, CAUSE.c.id)
    )
    of_tenant: dict[str, list[Row[Any]]] = {}
    for row in await conn.execute(statement):
        of_tenant.setdefault(row.tenant_id, []).append(row)
    return [_tenant(rows) for rows in of_tenant.values()]


def _tenant(rows: Sequence[Row[Any]]) -> TenantInBurst:
    """From a row for each of its events and their causes."""
    first, told = rows[0], min(rows, key=lambda row: row.rank)
    standing = _ORDER[min(row.standing for row in rows)]
    restored = max((row.since for row in rows if row.since is not None), default=None)
    return TenantInBurst(
        **{name: first._mapping[name] for name in ("tenant_id", "name", "csm_name", "csm_email")},
        at=first.at,
        seen_before=first.seen_before,
        first_seen=first.first_seen,
        standing=standing,
        restored_at=restored if standing is ChangeState.RESTORED else None,
        status=status_of(told.rank),
        notice_id=told.notice_id,
        audience=told.audience,
        recipient=told.recipient,
        sent_at=told.sent_at,
    )


# The events of a burst, each with the present state of what it is about.
_WITH_STATE: FromClause = (
    DRIFT_EVENT.join(CREDENTIAL, _C.id == _E.credential_id)
    .outerjoin(
        PERMISSION_STATE,
        (_P.credential_id == _E.credential_id) & (_P.permission_id == _E.permission_id),
    )
    .outerjoin(
        EXCESS_STATE,
        (EXCESS_STATE.c.credential_id == _E.credential_id) & (EXCESS_STATE.c.endpoint == _E.permission_id),
    )
)
_ABOUT_PERMISSION = _E.permission_id.is_not(None)
_LACKED = _ABOUT_PERMISSION & _E.kind.in_(_LACKS)
_FAILED = not_(_ABOUT_PERMISSION) & _E.kind.in_(_FAILS)
_EXCESS = _E.kind == EventKind.EXCESS_FOUND
_STANDING: ColumnElement[int] = case(
    (not_(or_(_LACKED, _FAILED, _EXCESS)), literal(_ORDER.index(ChangeState.PAST))),
    (_C.removed_at.is_not(None), literal(_ORDER.index(ChangeState.GONE))),
    (_LACKED & (_P.verdict == Verdict.MISSING), literal(_ORDER.index(ChangeState.LASTS))),
    (_LACKED & (_P.verdict == Verdict.GRANTED), literal(_ORDER.index(ChangeState.RESTORED))),
    (_LACKED, literal(_ORDER.index(ChangeState.UNKNOWN))),
    (_FAILED & (_C.state != CredentialState.OK), literal(_ORDER.index(ChangeState.LASTS))),
    (_EXCESS & EXCESS_STATE.c.endpoint.is_not(None), literal(_ORDER.index(ChangeState.LASTS))),
    else_=literal(_ORDER.index(ChangeState.RESTORED)),
)
# When what lasted ended; for excess that is not stored.
_SINCE = case((_LACKED, _P.since), (_FAILED, _C.state_since), else_=None)
