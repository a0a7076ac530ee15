"""Reports of all tenants, each kept for a minute, or for longer where making it takes long."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.clock import elapsed
from monitor.reporting import compliance_queries
from monitor.reporting.compliance import Report
from monitor.reporting.report_period import Period

KEPT_FOR = timedelta(minutes=1)
SHARE = 60  # so many times as long as making it took: somebody who reads on and on costs a sixtieth of a core
MOST = 4  # a report of 10,000 tenants takes some 10 MB


class KeptReports:
    """Ranking takes every tenant, and whoever reads page 1 soon wants page 2, or the CSV with the same figures."""

    def __init__(self, clock: Callable[[], float] = elapsed) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._kept: dict[str, tuple[Report, timedelta]] = {}
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Enter it before a connection is taken: those who wait for a report that is being made hold none."""
        async with self._one_at_a_time:
            yield

    async def report(self, conn: AsyncConnection, period: Period, since: datetime, now: datetime) -> Report:
        """Within `waiting`. PeriodError if nothing can be known of the period."""
        kept, until = self._kept.get(period.name, (None, KEPT_FOR))
        if kept is None or not kept.covered.as_of <= now < kept.covered.as_of + until:
            began = self._clock()
            kept = await compliance_queries.report(conn, period, since, now)
            took = timedelta(seconds=self._clock() - began)
            self._kept.pop(period.name, None)
            self._kept[period.name] = (kept, max(KEPT_FOR, took * SHARE))
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        return kept
