"""Lets go of what is old, in portions so small that no check waits for one."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog

from monitor.config.retention import Keep, KeepRule
from monitor.store.database import Database
from monitor.upkeep import pruning_queries

log = structlog.get_logger()

PORTION = 250  # rows in one transaction: some 20 ms of the one writer's time
REST_SECONDS = 0.05  # for other processes, which SQLite gives no place in the line


class Pruner:
    """It may be cut short anywhere: a portion is done whole or not at all, and what is left is found again."""

    def __init__(self, db: Database, keep: Keep, portion: int = PORTION, rest_seconds: float = REST_SECONDS) -> None:
        self._db = db
        self._keep = keep
        self._portion = portion
        self._rest_seconds = rest_seconds
        self._stopping = False

    def stop(self) -> None:
        """No further portion is begun."""
        self._stopping = True

    async def stale(self, now: datetime) -> Mapping[KeepRule, int]:
        """How many rows are old by each rule."""
        async with self._db.reading() as conn:
            return {
                rule: await pruning_queries.stale(conn, rule, before) for rule, before in self._keep.before(now).items()
            }

    async def run_once(self, now: datetime) -> Mapping[KeepRule, int]:
        """Let everything go that is old; how many rows that were."""
        stale = await self.stale(now)
        before = self._keep.before(now)
        done = {rule: await self._apply(rule, before[rule]) if stale[rule] else 0 for rule in KeepRule}
        if any(done.values()):
            log.info("pruned", **done)
        return done

    async def _apply(self, rule: KeepRule, before: datetime) -> int:
        done = 0
        while not self._stopping:
            async with self._db.writing() as conn:
                portion = await pruning_queries.let_go(conn, rule, before, self._portion)
            done += portion
            if portion < self._portion:
                break
            await asyncio.sleep(self._rest_seconds)
        return done
