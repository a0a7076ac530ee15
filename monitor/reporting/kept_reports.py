"""Reports of all tenants, each kept for a minute."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.reporting import compliance_queries
from monitor.reporting.compliance import Report
from monitor.reporting.report_period import Period

KEPT_FOR = timedelta(minutes=1)
MOST = 4  # a report of 10,000 tenants takes some 10 MB


class KeptReports:
    """Ranking takes every tenant, and whoever reads page 1 soon wants page 2, or the CSV with the same figures."""

    def __init__(self) -> None:
        self._kept: dict[str, Report] = {}
        self._one_at_a_time = asyncio.Lock()

    async def report(self, conn: AsyncConnection, period: Period, since: datetime, now: datetime) -> Report:
        """PeriodError if nothing can be known of the period."""
        async with self._one_at_a_time:
            kept = self._kept.get(period.name)
            if kept is None or not kept.covered.as_of <= now < kept.covered.as_of + KEPT_FOR:
                kept = await compliance_queries.report(conn, period, since, now)
                self._kept.pop(period.name, None)
                self._kept[period.name] = kept
                while len(self._kept) > MOST:
                    del self._kept[next(iter(self._kept))]
            return kept
