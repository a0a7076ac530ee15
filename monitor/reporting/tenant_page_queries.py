"""One tenant in full, read in few statements."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.errors import ManifestError
from checks.manifest import Manifest
from monitor.drift import KnownExcess, KnownPermission
from monitor.incidents import history_queries, known_queries
from monitor.incidents.history_queries import PastEvent, Wanted
from monitor.incidents.status import TenantStatus
from monitor.notices import notice_queries
from monitor.notices.notice import Status as NoticeStatus
from monitor.reporting import told_queries
from monitor.reporting.tenant_page import CredentialPage, DeclinedPermission, TenantPage
from monitor.reporting.timeline import CheckedDay, IncidentSpan
from monitor.store.tables import CHECK, CHECK_DAY, CREDENTIAL, INCIDENT, TENANT

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
    told = await told_queries.of_open_incidents(conn, [tenant_id])
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
        events=await _events(conn, tenant_id, begin),
        incidents=await _incidents(conn, tenant_id),
        notices=tuple(await notice_queries.list_notices(conn, tuple(NoticeStatus), tenant_id, MOST_NOTICES)),
        days=days,
        checks=checks,
        told=told.get(tenant_id),
    )


async def _events(conn: AsyncConnection, tenant_id: str, begin: datetime) -> Sequence[PastEvent]:
    return await history_queries.events(conn, Wanted(tenant_id=tenant_id, since=begin, limit=MOST_EVENTS))


async def _incidents(conn: AsyncConnection, tenant_id: str) -> tuple[IncidentSpan, ...]:
    newest = select(INCIDENT).where(INCIDENT.c.tenant_id == tenant_id).order_by(INCIDENT.c.id.desc()).limit(50)
    return tuple(IncidentSpan(row.id, row.opened_at, row.resolved_at) for row in await conn.execute(newest))


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
    by_day: dict[date, list[int]] = {}
    rolled_up = CHECK_DAY.c.day.in_(dates) & CHECK_DAY.c.credential_id.in_(credentials)
    for day, checks, failed in await conn.execute(
        select(CHECK_DAY.c.day, CHECK_DAY.c.checks, CHECK_DAY.c.failed).where(rolled_up)
    ):
        _add(by_day, day, checks, checks - failed)
    kept = select(CHECK.c.started_at, CHECK.c.outcome).where(
        CHECK.c.credential_id.in_(credentials), CHECK.c.started_at >= begin
    )
    moments = []
    for at, outcome in await conn.execute(kept):
        _add(by_day, at.date(), 1, int(outcome != "failed"))
        if at >= now - _RECENT:
            moments.append(at)
    days = tuple(CheckedDay(day, checks, answered) for day, (checks, answered) in sorted(by_day.items()))
    return days, tuple(sorted(moments))


def _add(by_day: dict[date, list[int]], day: date, checks: int, answered: int) -> None:
    counts = by_day.setdefault(day, [0, 0])
    counts[0] += checks
    counts[1] += answered
