"""One notice with everything that is known about it."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift import EventKind
from monitor.notices import notice_queries
from monitor.reporting import notice_list_queries
from monitor.reporting.notice_detail import NoticeDetail, NoticeEvent
from monitor.reporting.notice_list import reader_name
from monitor.store.columns import UTCDateTime
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, TENANT

EVENTS_SHOWN = 50


async def detail(conn: AsyncConnection, number: int) -> NoticeDetail | None:
    """None if there is no such notice."""
    whole = await notice_queries.whole_notice(conn, number)
    if whole is None:
        return None
    listed = whole.listed
    of_tenant = select(TENANT.c.name, TENANT.c.csm_name, TENANT.c.csm_email).where(TENANT.c.id == listed.tenant_id)
    name, csm_name, csm_email = (await conn.execute(of_tenant)).one_or_none() or (None, None, None)
    news = await notice_list_queries.news(conn, [number])
    return NoticeDetail(
        whole=whole,
        tenant_name=name,
        csm_name=reader_name(listed.audience, listed.recipient, csm_name, csm_email),
        news=news.get(number, ()),
        events=await _events(conn, number),
    )


async def _events(conn: AsyncConnection, number: int) -> Sequence[NoticeEvent]:
    """The first of them, in the order in which they were recorded."""
    event = DRIFT_EVENT.c
    statement = (
        select(
            *(event.kind, func.coalesce(event.permission_label, event.permission_id), event.state, CREDENTIAL.c.label),
            *(event.tenant_id, TENANT.c.name, event.incident_id, event.burst_id, event.seen_before),
            func.coalesce(event.first_seen, event.at, type_=UTCDateTime()),
        )
        .join_from(CAUSE, DRIFT_EVENT, event.id == CAUSE.c.event_id)
        .join(TENANT, TENANT.c.id == event.tenant_id)
        .join(CREDENTIAL, CREDENTIAL.c.id == event.credential_id)
        .where(CAUSE.c.notice_id == number)
        .order_by(event.id)
        .limit(EVENTS_SHOWN)
    )
    return [NoticeEvent(EventKind(kind), *facts) for kind, *facts in await conn.execute(statement)]
