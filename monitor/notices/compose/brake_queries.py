"""What the brake judges by: who changed and who was checked within the last interval, samples, and earlier reports."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents.rules import Audience
from monitor.notices.causes import PendingCause
from monitor.notices.compose.brake import ALWAYS_PASS, Recent, Reported, SampleState, TenantChange
from monitor.notices.notice import Status
from monitor.notices.notice_queries import batches
from monitor.store.columns import UTCDateTime
from monitor.store.statements import insert_if_new
from monitor.store.tables import BRAKE_REPORT, CAUSE, CREDENTIAL, NOTICE, SAMPLE, TENANT


async def recent(
    conn: AsyncConnection, interval: timedelta, now: datetime, pending: Collection[PendingCause] = ()
) -> Recent:
    """Of the last interval. What lies in the future was dated by a wrong clock, and does not count.

    As long as few tenants changed, nobody counts those who were checked.
    """
    since = now - interval
    changes = await _changes(conn, since, now)
    changed = {change.tenant_id for change in changes}.union(cause.tenant_id for cause in pending)
    oldest = min((cause.created_at for cause in pending if cause.held_in is None), default=since)
    return Recent(
        changes=changes,
        last_checked=await _last_checked(conn, min(since, oldest)) if len(changed) > ALWAYS_PASS else (),
        samples=await _samples(conn, since, now),
        reported={key: Reported(at, tenants) for key, at, tenants in await conn.execute(select(BRAKE_REPORT))},
    )


async def save_reports(conn: AsyncConnection, reported: Mapping[str, Reported], before: Mapping[str, Reported]) -> int:
    """Returns how many were saved: fewer if another composer reported one since `before` was read."""
    saved = 0
    for key, report in reported.items():
        values = {"reported_at": report.at, "tenants": report.tenants}
        if key in before:
            same = (BRAKE_REPORT.c.brake_key == key) & (BRAKE_REPORT.c.reported_at == before[key].at)
            saved += (await conn.execute(update(BRAKE_REPORT).where(same).values(values))).rowcount
        else:
            saved += await insert_if_new(conn, BRAKE_REPORT, {"brake_key": key, **values})
    return saved


async def _changes(conn: AsyncConnection, since: datetime, now: datetime) -> tuple[TenantChange, ...]:
    """Settled or not; the last of each tenant in each way. What went to the operator instead is no email to a CSM."""
    is_told = case((NOTICE.c.status.in_([Status.PENDING, Status.SENT]), 1), else_=0)
    statement = (
        select(
            CAUSE.c.brake_key,
            CAUSE.c.tenant_id,
            func.max(CAUSE.c.created_at, type_=UTCDateTime()),
            func.max(is_told),
        )
        .join_from(CAUSE, TENANT, TENANT.c.id == CAUSE.c.tenant_id)
        .outerjoin(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
        .where(
            CAUSE.c.audience == Audience.CSM,
            CAUSE.c.created_at.between(since, now),
            CAUSE.c.settled_at.is_not(None),
            TENANT.c.removed_at.is_(None),
            or_(NOTICE.c.id.is_(None), NOTICE.c.audience == Audience.CSM),
        )
        .group_by(CAUSE.c.brake_key, CAUSE.c.tenant_id)
    )
    rows = await conn.execute(statement)
    return tuple(TenantChange(key, tenant, at, bool(told)) for key, tenant, at, told in rows)


async def _last_checked(conn: AsyncConnection, since: datetime) -> list[datetime]:
    """Of each tenant checked since then, the last time; in the order of time."""
    last = func.max(CREDENTIAL.c.last_checked_at, type_=UTCDateTime())
    statement = (
        select(last)
        .where(CREDENTIAL.c.removed_at.is_(None), CREDENTIAL.c.last_checked_at >= since)
        .group_by(CREDENTIAL.c.tenant_id)
    )
    return sorted((await conn.execute(statement)).scalars())


async def _samples(conn: AsyncConnection, since: datetime, now: datetime) -> tuple[SampleState, ...]:
    asked = SAMPLE.c
    statement = select(asked.brake_keys, asked.tenants, asked.asked_at).where(SAMPLE.c.asked_at.between(since, now))
    samples = (await conn.execute(statement)).all()
    checked = await _settled_checks(conn, {tenant for sample in samples for tenant in sample.tenants})
    return tuple(
        SampleState(
            frozenset(keys),
            frozenset(tenants),
            asked_at,
            frozenset(tenant for tenant in tenants if tenant in checked and checked[tenant] >= asked_at),
        )
        for keys, tenants, asked_at in samples
    )


async def _settled_checks(conn: AsyncConnection, tenants: Collection[str]) -> dict[str, datetime]:
    """When these tenants were last checked, unless something that a check saw is not confirmed yet."""
    c = CREDENTIAL.c
    found: dict[str, datetime] = {}
    for batch in batches(tenants):
        statement = (
            select(c.tenant_id, func.max(c.last_checked_at, type_=UTCDateTime()))
            .where(c.tenant_id.in_(batch), c.removed_at.is_(None), c.last_checked_at.is_not(None))
            .group_by(c.tenant_id)
            .having(func.sum(c.suspects) == 0, func.count(c.suspect_state) == 0)
        )
        found.update((tenant, at) for tenant, at in await conn.execute(statement))
    return found
