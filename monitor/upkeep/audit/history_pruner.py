"""Deletes old history, batch by batch, and leaves a signed checkpoint of each."""

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.database import Database
from monitor.store.statements import AUDIT_LOCK, one_at_a_time
from monitor.upkeep.audit import batch_queries, history_pruning_queries
from monitor.upkeep.audit.chain import AuditKey, HistoryKind, SignedBatch

log = structlog.get_logger()


class HistoryPruner:
    """Each batch is one transaction.

    The newest batch of each table stays: SQLite would give the ids of an emptied table to new rows. Neither does it
    delete what is not as it was signed, or the proof would go as well.
    """

    def __init__(self, db: Database, key: AuditKey) -> None:
        self._db = db
        self._key = key

    async def prune_next(self, kind: HistoryKind, before: datetime, now: datetime) -> int:
        """Prune the oldest batch if all its rows are old and no longer needed; returns how many rows."""
        async with self._db.writing() as conn:
            await one_at_a_time(conn, AUDIT_LOCK)
            batch = await self._oldest(conn, kind, before)
            if batch is None:
                return 0
            if not await self._is_as_signed(conn, kind, batch):
                log.error("history_pruning_stopped", batch=batch.id, next_step="harvest-monitor history verify")
                return 0
            await history_pruning_queries.delete_rows(conn, batch)
            await batch_queries.mark_pruned(conn, self._key.pruned(batch, now))
        return batch.row_count

    async def _oldest(self, conn: AsyncConnection, kind: HistoryKind, before: datetime) -> SignedBatch | None:
        found = await batch_queries.unpruned(conn, kind, self._key.id, 1)
        if not found or found[0].id >= await history_pruning_queries.newest_of(conn, kind):
            return None
        return found[0] if await history_pruning_queries.is_prunable(conn, found[0], before) else None

    async def _is_as_signed(self, conn: AsyncConnection, kind: HistoryKind, batch: SignedBatch) -> bool:
        if not self._key.made(batch):
            return False
        content = await batch_queries.content(conn, self._key, kind, batch.first_id - 1, batch.last_id)
        return (content.rows, content.signature()) == (batch.row_count, batch.content)
