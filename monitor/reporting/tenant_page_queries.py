"""One tenant in full, read in few statements."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, literal, null, select, type_coerce, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.errors import ManifestError
from checks.manifest import Manifest
from checks.report import Outcome
from monitor.drift import KnownExcess, KnownPermission
from monitor.incidents import known_queries
from monitor.incidents.history_queries import COLUMNS, PastEvent
from monitor.incidents.status import TenantStatus
from monitor.notices import notice_queries
from monitor.notices.notice import Status as NoticeStatus
from monitor.reporting import told_queries
from monitor.reporting.tenant_page import CredentialPage, DeclinedPermission, TenantPage
from monitor.reporting.timeline import CheckedDay, IncidentSpan
from monitor.store.columns import UTCDateTime
from monitor.store.tables import CHECK, CHECK_DAY, CREDENTIAL, DRIFT_EVENT, INCIDENT, TENANT

MOST_EVENTS = 1000
MOST_NOTICES = 50
_RECENT = timedelta(hours=48)
_C, _T = CREDENTIAL.c, TENANT.c

FindManifest = Callable[[str | None], Manifest]
"""By name; ManifestError if it cannot be read."""


async def tenant_page(
    conn: AsyncConnection, tenant_id: str, begin: datetime, now: datetime, find_manifest: FindManifest
) -> TenantPage | None:
    """None if there is no such tenant; one that was removed is shown as it was."""
    row = (await conn.execute(select(TENANT).where(_T.id == tenant_id))).one_or_none()
    if row is None:
        return None
    credentials = await _credentials(conn, row, find_manifest)
    days, checks = await _checks(conn, [credential.id for credential in credentials], begin, now)
    past = await _past(conn, tenant_id, begin)
    told = await told_queries.of_open_incidents(conn, [tenant_id]) if past.incidents else {}
    return TenantPage(
        id=row.id,
        name=row.name,
        csm_name=row.csm_name,
        csm_email=row.csm_email,
        status=TenantStatus(row.status),
        since=row.status_since or row.created_at,
        problem=row.problem,
        paused=row.paused,
        features=frozenset(row.features),
        write_probes=row.write_probes,
        declined={one["permission"]: DeclinedPermission.stored(one) for one in row.declined},
        credentials=tuple(credentials),
        events=past.events,
        bursts=past.bursts,
        incidents=past.incidents,
        notices=tuple(await notice_queries.list_notices(conn, tuple(NoticeStatus), tenant_id, MOST_NOTICES)),
        days=days,
        checks=checks,
        told=told.get(tenant_id),
    )


@dataclass(frozen=True, slots=True)
class _Past:
    """Its newest events, in the order of time; the incidents that they belong to, and the burst of the newest change
    that is still in force.
    """

    events: Sequence[PastEvent]
    incidents: tuple[IncidentSpan, ...]
    bursts: Mapping[int, int]


async def _past(conn: AsyncConnection, tenant_id: str, begin: datetime) -> _Past:
    """In one statement: what happened, as part of which incident, in which burst."""
    incident = INCIDENT.c["opened_at", "resolved_at"]
    statement = (
        select(*COLUMNS, DRIFT_EVENT.c.burst_id, *incident)
        .join(TENANT, _T.id == DRIFT_EVENT.c.tenant_id)
        .join(CREDENTIAL, _C.id == DRIFT_EVENT.c.credential_id)
        .outerjoin(INCIDENT, INCIDENT.c.id == DRIFT_EVENT.c.incident_id)
        .where(DRIFT_EVENT.c.tenant_id == tenant_id, DRIFT_EVENT.c.at >= begin)
        .order_by(DRIFT_EVENT.c.at.desc(), DRIFT_EVENT.c.id.desc())
        .limit(MOST_EVENTS)
    )
    rows = (await conn.execute(statement)).all()
    names = [field.name for field in fields(PastEvent)]
    spans = {
        row.incident_id: IncidentSpan(row.incident_id, row.opened_at, row.resolved_at)
        for row in rows
        if row.opened_at is not None
    }
    return _Past(
        [PastEvent(**{name: row._mapping[name] for name in names}) for row in reversed(rows)],
        tuple(sorted(spans.values(), key=lambda span: span.number, reverse=True)),
        {row.id: row.burst_id for row in rows if row.burst_id is not None},
    )


async def _credentials(conn: AsyncConnection, tenant: Row[Any], find_manifest: FindManifest) -> list[CredentialPage]:
    ours = select(CREDENTIAL).where(_C.tenant_id == tenant.id).order_by(_C.label)
    if tenant.removed_at is None:
        ours = ours.where(_C.removed_at.is_(None))
    rows = (await conn.execute(ours)).all()
    permissions = await known_queries.permissions_of(conn, [row.id for row in rows])
    excess = await known_queries.excess_of(conn, [row.id for row in rows if row.excess])
    return [
        _credential(row, permissions.get(row.id, {}), excess.get(row.id, {}), _readable(find_manifest, row.manifest))
        for row in rows
    ]


def _readable(find_manifest: FindManifest, name: str | None) -> Manifest | None:
    try:
        return find_manifest(name)
    except ManifestError:
        return None


def _credential(
    row: Row[Any],
    permissions: Mapping[str, KnownPermission],
    excess: Mapping[str, KnownExcess],
    manifest: Manifest | None,
) -> CredentialPage:
    return CredentialPage(
        id=row.id,
        label=row.label,
        kind=row.kind,
        grant=row.oauth["grant"] if row.oauth else None,
        state=CredentialState(row.state),
        detail=row.detail,
        state_since=row.state_since,
        suspect_state=row.suspect_state,
        fingerprint=row.fingerprint,
        last_checked_at=row.last_checked_at,
        next_due=row.next_due,
        granted=row.granted,
        missing=row.missing,
        undecided=row.undecided,
        unchecked=row.unchecked,
        permissions=permissions,
        excess=excess,
        manifest=manifest,
    )


async def _checks(
    conn: AsyncConnection, credentials: Collection[int], begin: datetime, now: datetime
) -> tuple[tuple[CheckedDay, ...], tuple[datetime, ...]]:
    """The days of all its credentials together, rolled up or not, and the moments of the checks of the last hours."""
    if not credentials:
        return (), ()
    # Day by day: the primary key begins with the day, so a range of days would read those of every tenant.
    dates = [begin.date() + timedelta(days=number) for number in range((now.date() - begin.date()).days + 1)]
    rolled_up = select(CHECK_DAY.c.day, CHECK_DAY.c.checks, CHECK_DAY.c.failed, null().label("at")).where(
        CHECK_DAY.c.day.in_(dates), CHECK_DAY.c.credential_id.in_(credentials)
    )
    failed = case((CHECK.c.outcome == Outcome.FAILED, 1), else_=0)
    kept = select(null(), literal(1), failed, CHECK.c.started_at).where(
        CHECK.c.credential_id.in_(credentials), CHECK.c.started_at >= begin
    )
    # Not typed by the union: its columns take their types from the first part.
    both = union_all(rolled_up, kept).subquery()
    columns = (type_coerce(both.c.day, CHECK_DAY.c.day.type), both.c.checks, both.c.failed)
    by_day: dict[date, list[int]] = {}
    moments: list[datetime] = []
    for day, checks, failures, at in await conn.execute(select(*columns, type_coerce(both.c.at, UTCDateTime()))):
        _add(by_day, day or at.date(), checks, checks - failures)
        if at is not None and at >= now - _RECENT:
            moments.append(at)
    days = tuple(CheckedDay(day, checks, answered) for day, (checks, answered) in sorted(by_day.items()))
    return days, tuple(sorted(moments))


def _add(by_day: dict[date, list[int]], day: date, checks: int, answered: int) -> None:
    counts = by_day.setdefault(day, [0, 0])
    counts[0] += checks
    counts[1] += answered
