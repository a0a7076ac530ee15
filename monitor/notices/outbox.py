"""The outbox: claims what is due, sends it outside any transaction, and writes down how it went.

A notice is claimed before and marked after the sending. What dies in between is claimed again once its claim has run
out, under the same Message-ID: a mail may come twice, and is never lost.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from monitor.errors import DeliveryError
from monitor.notices.notice import Outgoing, Status, as_message
from monitor.notices.transport import Transport
from monitor.store import notices as store
from monitor.store.database import Database

BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
AT_MOST = 50  # notices in one call, so that a long queue does not keep a stopping service waiting
_CLAIM = timedelta(minutes=10)
_SENDING = timedelta(minutes=5)  # well within the claim: a mail that hangs is never sent by two at once

_ADDRESS = re.compile(r"[^\s<>()\"',;]+@[^\s<>()\"',;]+")  # servers quote whom they refuse
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What one call came to: notices sent, and attempts that failed."""

    sent: int = 0
    failed: int = 0


class Outbox:
    def __init__(self, db: Database, transport: Transport, mail_from: str) -> None:
        self._db = db
        self._transport = transport
        self._mail_from = mail_from
        self._stopping = False

    def stop(self) -> None:
        """No further notice is begun; one under way may end."""
        self._stopping = True

    async def deliver_once(self, now: datetime) -> Deliveries:
        """Try what is due by now, each notice once."""
        loop = asyncio.get_running_loop()
        started, ended = loop.time(), []
        for _ in range(AT_MOST):
            if self._stopping:
                break
            present = now + timedelta(seconds=loop.time() - started)
            async with self._db.writing() as conn:
                notice = await store.claim(conn, due=now, until=present + _CLAIM)
            if notice is None:
                break
            ended.append(await self._deliver(notice, present))
        return Deliveries(sent=ended.count(True), failed=ended.count(False))

    async def _deliver(self, notice: Outgoing, now: datetime) -> bool:
        try:
            async with asyncio.timeout(_SENDING.total_seconds()):
                await self._transport.send(as_message(notice, self._mail_from, now))
        except (DeliveryError, TimeoutError) as problem:
            await self._write_down(notice, problem, now)
            return False
        async with self._db.writing() as conn:
            await store.mark(conn, notice.id, status=Status.SENT, sent_at=now, next_attempt_at=None, last_error=None)
        _log.info("notice_sent", notice=notice.id, attempts=notice.attempts)
        return True

    async def _write_down(self, notice: Outgoing, problem: Exception, now: datetime) -> None:
        reason = _ADDRESS.sub("<address>", str(problem)) or "sending took too long"
        if isinstance(problem, DeliveryError) and problem.permanent:
            columns: dict[str, object] = {"status": Status.FAILED, "next_attempt_at": None, "last_error": reason}
            _log.error("notice_failed", notice=notice.id, attempts=notice.attempts, reason=reason)
        else:
            columns = {"next_attempt_at": now + back_off(notice.attempts), "last_error": reason}
            _log.warning("notice_delayed", notice=notice.id, attempts=notice.attempts, reason=reason)
        async with self._db.writing() as conn:
            await store.mark(conn, notice.id, **columns)


def back_off(attempts: int) -> timedelta:
    """The wait after so many attempts in vain; the last one repeats for as long as it takes."""
    return BACK_OFF[min(attempts, len(BACK_OFF)) - 1]
