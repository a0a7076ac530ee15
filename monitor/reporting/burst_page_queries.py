"""One burst for its page."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents import burst_queries, told_queries
from monitor.incidents.changes import ListedBurst
from monitor.reporting.burst_page import BurstPage, evidence_of
from monitor.reporting.change_cause import ChangeEvidence
from monitor.store.tables import TENANT


async def burst_page(conn: AsyncConnection, burst: ListedBurst, expected_share: float) -> BurstPage:
    named = select(TENANT.c.id, TENANT.c.name).where(TENANT.c.id.in_(burst.examples))
    names = {row.id: row.name for row in await conn.execute(named)}
    return BurstPage(
        burst=burst,
        names={tenant: names.get(tenant, tenant) for tenant in burst.examples},
        standings=await burst_queries.standings(conn, burst.id),
        told=(await told_queries.told(conn, [burst.id])).get(burst.id, ()),
        evidence=await evidence(conn, burst, expected_share),
    )


async def evidence(conn: AsyncConnection, burst: ListedBurst, expected_share: float) -> ChangeEvidence:
    """What its cause is decided by; `expected_share` is the share of checks that find such a change by chance."""
    around = await burst_queries.surroundings(conn, burst)
    return evidence_of(burst, around.detail, around.spared, around.troubled, expected_share)
