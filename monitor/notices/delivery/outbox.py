"""The outbox: claims due notices, sends several at once outside any transaction, and records the results.

A notice is claimed before it is sent and marked afterwards. If the process dies in between, the notice is claimed again
once its claim has expired, under the same Message-ID: an email may arrive twice, and is never lost.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from monitor.errors import DeliveryError, FailureScope
from monitor.notices.delivery import outbox_queries
from monitor.notices.delivery.backoff import FIRST_PAUSE, back_off
from monitor.notices.delivery.sender import MailSender, reason_of
from monitor.notices.delivery.transport import LONGEST_SEND
from monitor.notices.notice import ClaimedNotice, Status
from monitor.store.database import Database

_MARGIN = timedelta(minutes=1)  # a send that hangs must end before another process may claim its notice
LONGEST_CLAIM = LONGEST_SEND + _MARGIN
"""No notice is claimed for longer; the actual time depends on the transport."""

_CANCEL_SECONDS = 2.0
_log = structlog.get_logger()


class Outbox:
    def __init__(self, db: Database, sender: MailSender, now: Callable[[], datetime]) -> None:
        self._db = db
        self._sender = sender
        self._now = now
        # In proportion to the transport: the emails of a killed process go out as soon as no send can still be running.
        self._claim_time = sender.longest + min(sender.longest, _MARGIN)
        self._under_way: dict[asyncio.Task[None], ClaimedNotice] = {}
        self._unmarked: dict[int, datetime] = {}  # accepted by the mail server, but not marked in the database yet
        self._stopping = False

    async def deliver(self) -> None:
        """Start sending what is due; one call at a time. Slow sends may outlast it."""
        await self._mark_sent()
        while not self._stopping:
            capacity = self._sender.server.capacity(self._now())
            if capacity and len(self._under_way) >= capacity:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            elif not (capacity and await self._start_next()):
                return

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def stop(self, seconds: float) -> None:
        """Start no further notice; cancel those under way that have not finished within so many seconds."""
        self._stopping = True
        if not self._under_way:
            return
        cancel_seconds = min(_CANCEL_SECONDS, seconds / 4)
        _, late = await asyncio.wait(self._under_way, timeout=seconds - cancel_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=cancel_seconds)

    async def _start_next(self) -> bool:
        """Claim the next notice and start to send it; False if there was none."""
        now = self._now()
        until = now + self._claim_time
        busy_domains = {_domain(other) for other in self._under_way.values()}
        async with self._db.writing() as conn:
            notice = await outbox_queries.claim(conn, now, until, busy_domains)
        if notice is None:
            return False
        if self._stopping:
            # `stop` came while the claim was being written. Given back, the notice is due at once for the next process.
            await self._end_claim(notice, until, next_attempt_at=now, attempts=notice.attempts - 1)
            return False
        if notice.id in {other.id for other in self._under_way.values()}:
            return True  # the clock was set forward, so that its claim seemed to have expired
        task = asyncio.create_task(self._deliver(notice, until), name=f"notice-{notice.id}")
        self._under_way[task] = notice
        task.add_done_callback(self._under_way.pop)
        return True

    async def _deliver(self, notice: ClaimedNotice, until: datetime) -> None:
        """Send it and record the result. If the database fails now, that happens later, or the claim expires."""
        try:
            problem = await self._sender.send(notice)
            if problem is None:
                self._unmarked[notice.id] = self._now()
                await self._mark_sent()
            else:
                await self._not_sent(notice, problem, until)
        except Exception:
            _log.exception("delivery_not_written_down", notice=notice.id)

    async def _mark_sent(self) -> None:
        """Must come before any other claim: an unmarked notice that was sent could be claimed and sent again."""
        if not self._unmarked:
            return
        sent = dict(self._unmarked)
        async with self._db.writing() as conn:
            for notice_id, at in sent.items():
                await outbox_queries.mark_sent(conn, notice_id, at)
        # Only those of this transaction: another send may have ended while it was written.
        for notice_id in sent:
            self._unmarked.pop(notice_id, None)

    async def _not_sent(self, notice: ClaimedNotice, problem: DeliveryError, until: datetime) -> None:
        now, reason = self._now(), reason_of(problem)
        if problem.blame is FailureScope.SERVER:
            again = self._sender.server.until or now + FIRST_PAUSE
            attempts = notice.attempts - 1  # an outage of the server does not count against the notice
            await self._end_claim(notice, until, next_attempt_at=again, attempts=attempts, last_error=reason)
            return
        wait = back_off(notice.attempts)
        if problem.permanent or wait is None:
            said = reason if problem.permanent else f"given up after {notice.attempts} attempts: {reason}"
            await self._give_up(notice, until, now, said)
            return
        _log.warning("notice_delayed", notice=notice.id, attempts=notice.attempts, blame=problem.blame, reason=reason)
        await self._end_claim(notice, until, next_attempt_at=now + wait, last_error=reason)
        if problem.blame is FailureScope.ADDRESS:
            async with self._db.writing() as conn:
                await outbox_queries.delay_reader(conn, notice.recipient, now, now + wait)

    async def _give_up(self, notice: ClaimedNotice, until: datetime, now: datetime, reason: str) -> None:
        _log.error("notice_failed", notice=notice.id, attempts=notice.attempts, reason=reason)
        await self._end_claim(
            notice, until, status=Status.FAILED, next_attempt_at=None, last_error=reason, failed_at=now
        )

    async def _end_claim(self, notice: ClaimedNotice, until: datetime, **columns: object) -> None:
        async with self._db.writing() as conn:
            await outbox_queries.end_claim(conn, notice.id, until, **columns)


def _domain(notice: ClaimedNotice) -> str:
    return notice.recipient.rpartition("@")[2].lower()
