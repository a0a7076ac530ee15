"""The outbox: claims what is due, sends it outside any transaction, several at once, and writes down how it went.

A notice is claimed before and marked after the sending. What dies in between is claimed again once its claim has run
out, under the same Message-ID: a mail may come twice, and is never lost.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from monitor.errors import DeliveryError, FailureScope
from monitor.notices import queries as store
from monitor.notices.delivery.backoff import FIRST_PAUSE, back_off
from monitor.notices.delivery.sender import MailSender, reason_of
from monitor.notices.delivery.transport import LONGEST
from monitor.notices.notice import ClaimedNotice, Status
from monitor.store.database import Database

_SPARE = timedelta(minutes=1)  # a mail that hangs is never sent by two at once
CLAIM = LONGEST + _SPARE
"""No notice is claimed for longer; for how long, the transport's own time tells."""

_LATE_SECONDS = 2.0
_log = structlog.get_logger()


class Outbox:
    def __init__(self, db: Database, courier: MailSender, now: Callable[[], datetime]) -> None:
        self._db = db
        self._courier = courier
        self._now = now
        self._claim = courier.longest + min(courier.longest, _SPARE)
        self._under_way: dict[asyncio.Task[None], ClaimedNotice] = {}
        self._unmarked: dict[int, datetime] = {}
        self._stopping = False

    async def deliver(self) -> None:
        """Begin what is due, one call at a time. Slow mails may outlast it."""
        await self._mark_sent()
        while not self._stopping:
            room = self._courier.standing.room(self._now())
            if room and len(self._under_way) >= room:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            elif not (room and await self._begin()):
                return

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def stop(self, seconds: float) -> None:
        """No further notice is begun; those under way may end within so many seconds, and are broken off then."""
        self._stopping = True
        if not self._under_way:
            return
        late_seconds = min(_LATE_SECONDS, seconds / 4)
        _, late = await asyncio.wait(self._under_way, timeout=seconds - late_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=late_seconds)

    async def _begin(self) -> bool:
        """Take up the notice that is next; whether there was one to begin."""
        now = self._now()
        until = now + self._claim
        async with self._db.writing() as conn:
            notice = await store.claim(conn, now, until, last={_domain(other) for other in self._under_way.values()})
        if notice is None:
            return False
        if self._stopping:
            await self._write_down(notice, until, next_attempt_at=now, attempts=notice.attempts - 1)
            return False
        if notice.id in {other.id for other in self._under_way.values()}:
            return True  # the clock was set forward, and its claim seemed to have run out
        task = asyncio.create_task(self._deliver(notice, until), name=f"notice-{notice.id}")
        self._under_way[task] = notice
        task.add_done_callback(self._under_way.pop)
        return True

    async def _deliver(self, notice: ClaimedNotice, until: datetime) -> None:
        """From the claim to the mark. What the database does not take now is written later, or the claim runs out."""
        try:
            problem = await self._courier.send(notice)
            if problem is None:
                self._unmarked[notice.id] = self._now()
                await self._mark_sent()
            else:
                await self._not_sent(notice, problem, until)
        except Exception:
            _log.exception("delivery_not_written_down", notice=notice.id)

    async def _mark_sent(self) -> None:
        """Before anything else is begun, or what was taken already might be claimed and sent again."""
        if not self._unmarked:
            return
        sent = dict(self._unmarked)
        async with self._db.writing() as conn:
            for notice_id, at in sent.items():
                await store.mark_sent(conn, notice_id, at)
        for notice_id in sent:
            self._unmarked.pop(notice_id, None)

    async def _not_sent(self, notice: ClaimedNotice, problem: DeliveryError, until: datetime) -> None:
        now, reason = self._now(), reason_of(problem)
        if problem.blame is FailureScope.SERVER:
            again = self._courier.standing.until or now + FIRST_PAUSE
            attempts = notice.attempts - 1  # an outage of the server is none of the notice's own failures
            await self._write_down(notice, until, next_attempt_at=again, attempts=attempts, last_error=reason)
            return
        wait = back_off(notice.attempts)
        if problem.permanent or wait is None:
            said = reason if problem.permanent else f"given up after {notice.attempts} attempts: {reason}"
            await self._give_up(notice, until, now, said)
            return
        _log.warning("notice_delayed", notice=notice.id, attempts=notice.attempts, blame=problem.blame, reason=reason)
        await self._write_down(notice, until, next_attempt_at=now + wait, last_error=reason)
        if problem.blame is FailureScope.ADDRESS:
            async with self._db.writing() as conn:
                await store.wait_too(conn, notice.recipient, now, now + wait)

    async def _give_up(self, notice: ClaimedNotice, until: datetime, now: datetime, reason: str) -> None:
        _log.error("notice_failed", notice=notice.id, attempts=notice.attempts, reason=reason)
        await self._write_down(
            notice, until, status=Status.FAILED, next_attempt_at=None, last_error=reason, failed_at=now
        )

    async def _write_down(self, notice: ClaimedNotice, until: datetime, **columns: object) -> None:
        async with self._db.writing() as conn:
            await store.write_down(conn, notice.id, until, **columns)


def _domain(notice: ClaimedNotice) -> str:
    return notice.recipient.rpartition("@")[2].lower()
