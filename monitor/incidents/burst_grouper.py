"""Groups drift events into bursts, in transactions so short that no check waits for one."""

import asyncio

from monitor.incidents import grouping_queries
from monitor.store.database import Database

BATCH = 250  # events in one transaction, which takes about 50 ms
BATCHES = 16  # in one run
REST_SECONDS = 0.05  # between batches, for other processes: SQLite does not queue writers


class BurstGrouper:
    """It may be interrupted anywhere: each batch is one transaction, and the next run finds what is left."""

    def __init__(
        self, db: Database, batch: int = BATCH, batches: int = BATCHES, rest_seconds: float = REST_SECONDS
    ) -> None:
        self._db = db
        self._batch = batch
        self._batches = batches
        self._rest_seconds = rest_seconds

    async def run_once(self) -> int:
        """Group what there is, up to a limit; returns how many events."""
        grouped = 0
        for _ in range(self._batches):
            # Most runs find nothing, and need no write lock.
            async with self._db.reading_once() as conn:
                if not await grouping_queries.any_ungrouped(conn):
                    break
            async with self._db.writing() as conn:
                grouped += await grouping_queries.group_some(conn, self._batch)
            await asyncio.sleep(self._rest_seconds)
        return grouped
