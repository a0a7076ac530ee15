"""What came of each attempt, kept until it is written down: meanwhile this process sends no such notice again.

What the database refuses of a result must not undo it: an email that counts as untried is sent again and again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import StoreError
from monitor.notices.delivery import outbox_queries
from monitor.store.database import Database

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SentResult:
    """The mail server has it."""

    at: datetime

    async def write(self, conn: AsyncConnection, notice_id: int) -> None:
        await outbox_queries.mark_sent(conn, notice_id, self.at)


@dataclass(frozen=True, slots=True)
class UnsentResult:
    """What changes of the notice, if the claim that ends at `claimed_until` is still the last one."""

    claimed_until: datetime
    columns: Mapping[str, object]

    async def write(self, conn: AsyncConnection, notice_id: int) -> None:
        await outbox_queries.end_claim(conn, notice_id, self.claimed_until, **self.columns)

    def without_reason(self, problem: Exception) -> "UnsentResult":
        """The reason comes from the mail server: of all columns it alone can hold what a database refuses."""
        reason = f"the reason could not be stored ({type(problem).__name__}): the log has it"
        return replace(self, columns={**self.columns, "last_error": reason})


class DeliveryResults:
    """`could_not_write` is called once for each result that the database refuses."""

    def __init__(self, db: Database, could_not_write: Callable[[], None]) -> None:
        self._db = db
        self._could_not_write = could_not_write
        self._waiting: dict[int, SentResult | UnsentResult] = {}
        self._refused: set[int] = set()

    async def add(self, notice_id: int, result: SentResult | UnsentResult) -> None:
        """Keep it, and write it now. StoreError if the database is out of order: it is written later."""
        self._waiting[notice_id] = result
        self._refused.discard(notice_id)
        await self._write(notice_id, result)

    async def write(self) -> None:
        """Write what waits; StoreError if the database is out of order. A result that it refuses stops no other."""
        for notice_id, result in list(self._waiting.items()):
            await self._write(notice_id, result)

    def settles(self, notice_id: int, claimed_until: datetime) -> bool:
        """Whether a notice that was just claimed again has its result already, which then waits under this claim."""
        result = self._waiting.get(notice_id)
        if isinstance(result, UnsentResult):
            self._waiting[notice_id] = replace(result, claimed_until=claimed_until)
        return result is not None

    async def _write(self, notice_id: int, result: SentResult | UnsentResult) -> None:
        try:
            await self._write_once(notice_id, result)
        except StoreError:
            raise
        except Exception as problem:
            self._tell(notice_id, problem)
            if isinstance(result, UnsentResult):
                await self._write_without_reason(notice_id, result.without_reason(problem))

    async def _write_without_reason(self, notice_id: int, result: UnsentResult) -> None:
        self._waiting[notice_id] = result
        try:
            await self._write_once(notice_id, result)
        except StoreError:
            raise
        except Exception as problem:
            _log.debug("delivery_not_written_down", notice=notice_id, error=type(problem).__name__)

    async def _write_once(self, notice_id: int, result: SentResult | UnsentResult) -> None:
        async with self._db.writing() as conn:
            await result.write(conn, notice_id)
        # Unless another result came while this one was written.
        if self._waiting.get(notice_id) is result:
            del self._waiting[notice_id]
            self._refused.discard(notice_id)

    def _tell(self, notice_id: int, problem: Exception) -> None:
        """Once, not at every attempt to write it."""
        if notice_id not in self._refused:
            self._refused.add(notice_id)
            self._could_not_write()
            _log.error("delivery_not_written_down", notice=notice_id, exc_info=problem)
