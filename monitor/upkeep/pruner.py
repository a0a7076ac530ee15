"""Deletes expired data, in batches so small that no check waits for one."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog

from monitor.config.retention import Keep, KeepRule
from monitor.store.database import Database
from monitor.upkeep import pruning_queries
from monitor.upkeep.audit.chain import HistoryKind
from monitor.upkeep.audit.history_pruner import HistoryPruner

log = structlog.get_logger()

BATCH = 250  # rows in one transaction, which takes about 20 ms; SQLite has one writer at a time
REST_SECONDS = 0.05  # between batches, for other processes: SQLite does not queue writers


class Pruner:
    """It may be interrupted anywhere: each batch is one transaction, and the next run finds what is left.

    Without a `history_pruner`, which needs the installation's key, history stays.
    """

    def __init__(
        self,
        db: Database,
        keep: Keep,
        batch: int = BATCH,
        rest_seconds: float = REST_SECONDS,
        history_pruner: HistoryPruner | None = None,
    ) -> None:
        self._db = db
        self._keep = keep
        self._batch = batch
        self._rest_seconds = rest_seconds
        self._history_pruner = history_pruner
        self._stopping = False

    def stop(self) -> None:
        """Begin no further batch."""
        self._stopping = True

    async def stale(self, now: datetime) -> Mapping[KeepRule, int]:
        """How many rows are old, by rule."""
        async with self._db.reading() as conn:
            return {
                rule: await pruning_queries.stale(conn, rule, before) for rule, before in self._keep.before(now).items()
            }

    async def run_once(self, now: datetime) -> Mapping[KeepRule, int]:
        """Prune everything that is old; returns how many rows, by rule."""
        stale = await self.stale(now)
        before = self._keep.before(now)
        # Most runs find nothing, and need no write lock.
        done = {rule: await self._apply(rule, before[rule], now) if stale[rule] else 0 for rule in before}
        if any(done.values()):
            log.info("pruned", **done)
        return done

    async def _apply(self, rule: KeepRule, before: datetime, now: datetime) -> int:
        if rule is KeepRule.HISTORY:
            return sum([await self._prune_history(kind, before, now) for kind in HistoryKind])
        return await self._prune(rule, before)

    async def _prune(self, rule: KeepRule, before: datetime) -> int:
        done = 0
        while not self._stopping:
            async with self._db.writing() as conn:
                rows = await pruning_queries.prune(conn, rule, before, self._batch)
            done += rows
            if rows < self._batch:
                break
            await asyncio.sleep(self._rest_seconds)
        return done

    async def _prune_history(self, kind: HistoryKind, before: datetime, now: datetime) -> int:
        done = 0
        while self._history_pruner is not None and not self._stopping:
            rows = await self._history_pruner.prune_next(kind, before, now)
            if not rows:
                break
            done += rows
            await asyncio.sleep(self._rest_seconds)
        return done
