"""Pages of large bursts, each kept for some seconds: how thousands of tenants stand takes as many rows to read."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents import burst_queries
from monitor.incidents.changes import ListedBurst
from monitor.reporting import burst_page_queries
from monitor.reporting.burst_page import BurstPage
from monitor.reporting.change_cause import ChangeEvidence

LARGE = 1000  # tenants
KEPT_FOR = timedelta(seconds=15)
MOST = 8


class KeptBursts:
    """When something happens to all tenants, everybody looks at the same burst, or at a tenant in it.

    All figures of a page that was kept are of one moment.
    """

    def __init__(self, large: int = LARGE) -> None:
        """Those of so many tenants are kept."""
        self._large = large
        self._kept: dict[int, tuple[datetime, BurstPage]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def page(self, conn: AsyncConnection, burst_id: int, share: float, now: datetime) -> BurstPage | None:
        """None if there is no such burst; `share` is as in `evidence`."""
        burst = await burst_queries.burst(conn, burst_id)
        if burst is None:
            return None
        if burst.tenants < self._large:
            return await burst_page_queries.burst_page(conn, burst, share)
        return await self.recent(conn, burst, share, now)

    async def evidence(self, conn: AsyncConnection, burst: ListedBurst, share: float, now: datetime) -> ChangeEvidence:
        """What its cause is decided by; `share` is the share of checks that find such a change by chance."""
        if burst.tenants < self._large:
            return await burst_page_queries.evidence(conn, burst, share)
        return (await self.recent(conn, burst, share, now)).evidence

    async def recent(self, conn: AsyncConnection, burst: ListedBurst, share: float, now: datetime) -> BurstPage:
        """At most some seconds old, however small the burst: for the page that everybody keeps open."""
        async with self._one_at_a_time:
            at, kept = self._kept.get(burst.id, (now, None))
            if kept is None or not at <= now < at + KEPT_FOR:
                kept = await burst_page_queries.burst_page(conn, burst, share)
                self._kept.pop(burst.id, None)
                self._kept[burst.id] = (now, kept)
                while len(self._kept) > MOST:
                    del self._kept[next(iter(self._kept))]
            return kept
