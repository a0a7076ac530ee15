"""Signs drift events and operators' actions, some time after they were recorded; rows of earlier releases, too."""

from datetime import datetime

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.database import Database
from monitor.store.statements import AUDIT_LOCK, one_at_a_time
from monitor.upkeep.audit import batch_queries
from monitor.upkeep.audit.chain import BEFORE_ALL, BEGINNING, AuditKey, ChainHead, HistoryKind, SignedBatch

log = structlog.get_logger()

BATCH = 250  # rows: how exactly `verify` can say where something was changed, and a transaction of some 20 ms
BATCHES_A_RUN = 40
_NEWER = 2**31  # than any batch
_LOCK_NOT_AVAILABLE = "55P03"


class HistorySigner:
    """Each batch is one transaction, of one process at a time; a run that is interrupted is completed by the next.

    It remembers the last batch it signed: a chain that is shorter the next time was cut, and goes on after the gap.
    """

    def __init__(self, db: Database, key: AuditKey, batch: int = BATCH, batches_a_run: int = BATCHES_A_RUN) -> None:
        self._db = db
        self._key = key
        self._batch = batch
        self._batches_a_run = batches_a_run
        self._newest: ChainHead | None = None

    async def run_once(self, now: datetime) -> int:
        """Sign what is there, up to so many batches of each kind; returns how many rows."""
        signed = 0
        for kind in HistoryKind:
            upto = await self._settled(kind)
            if upto is not None:
                signed += await self._sign(kind, upto, now)
        if signed and self._newest is not None:
            # Whoever keeps the log elsewhere can later show which batches there were.
            newest = self._newest
            log.info("history_signed", rows=signed, batch=newest.batch_id, signature=newest.batch_signature)
        return signed

    async def _settled(self, kind: HistoryKind) -> int | None:
        """Up to which id rows can be signed; None if there is nothing to sign, or it cannot be told yet."""
        async with self._db.reading() as conn:
            newest = await batch_queries.newest_id(conn, kind)
            if newest is None or newest <= await self._covered(conn, kind):
                return None
        try:
            async with self._db.writing() as conn:
                return await batch_queries.settled_id(conn, kind)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            log.warning("history_signing_waits", table=kind, reason="a transaction or a vacuum takes long")
            return None

    async def _sign(self, kind: HistoryKind, upto: int, now: datetime) -> int:
        signed = 0
        for _ in range(self._batches_a_run):
            async with self._db.writing() as conn:
                await one_at_a_time(conn, AUDIT_LOCK)
                batch = await self._next(conn, kind, upto, now)
                if batch is None:
                    break
                await batch_queries.add(conn, batch)
                newest = ChainHead(batch.id, batch.signature)
                await batch_queries.set_head(conn, self._key, newest)
            self._newest = newest
            signed += batch.row_count
        return signed

    async def _next(self, conn: AsyncConnection, kind: HistoryKind, upto: int, now: datetime) -> SignedBatch | None:
        covered = await self._covered(conn, kind)
        ids = await batch_queries.ids(conn, kind, covered, upto, self._batch)
        if not ids:
            return None
        content = await batch_queries.content(conn, self._key, kind, covered, ids[-1])
        number, previous = await self._link(conn)
        batch = SignedBatch(
            id=number,
            kind=kind,
            first_id=ids[0],
            last_id=ids[-1],
            row_count=len(ids),
            content=content.signature(),
            previous=previous,
            signature="",
            key_id="",
            created_at=now,
        )
        return self._key.signed(batch)

    async def _covered(self, conn: AsyncConnection, kind: HistoryKind) -> int:
        """Up to which id this key has signed rows; a batch that somebody changed does not count."""
        before = _NEWER
        while some := await batch_queries.batches_before(conn, kind, self._key.id, before):
            for batch in some:
                if self._key.made(batch):
                    return batch.last_id
            before = some[-1].id
        return BEFORE_ALL

    async def _link(self, conn: AsyncConnection) -> tuple[int, str]:
        """The number of the next batch, and the signature it follows.

        Where the head does not tell, the chain begins anew: `verify` shows that for ever, since it may have been cut.
        """
        newest = await batch_queries.newest_batch(conn)
        last = 0 if newest is None else newest.id
        head = await self._head(conn)
        if head is None or head.batch_id < last:
            return last + 1, BEGINNING
        return head.batch_id + 1, head.batch_signature

    async def _head(self, conn: AsyncConnection) -> ChainHead | None:
        found = await batch_queries.head(conn)
        stored = found[0] if found is not None and self._key.made_head(found[0], found[2]) else None
        mine = self._newest
        if mine is None or (stored is not None and stored.batch_id >= mine.batch_id):
            return stored
        log.error("history_chain_cut", batch=mine.batch_id, signature=mine.batch_signature)
        return mine
