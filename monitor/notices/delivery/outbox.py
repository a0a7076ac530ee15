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
from monitor.notices.delivery.backoff import BACK_OFF, FIRST_PAUSE, NO_RESULTS, attempts_without_result, back_off
from monitor.notices.delivery.delivery_results import DeliveryResults, SentResult, UnsentResult
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
        self._results = DeliveryResults(db, sender.observer.result_not_written)
        self._stopping = False

    async def deliver(self) -> None:
        """Start sending what is due; one call at a time. Slow sends may outlast it."""
        # Before any claim: a notice whose result is not written yet could be claimed and sent again.
        await self._results.write()
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
            given_back = {"next_attempt_at": now, "attempts": notice.attempts - 1}
            await self._results.add(notice.id, UnsentResult(until, given_back))
            return False
        if notice.id in {other.id for other in self._under_way.values()}:
            return True  # the clock was set forward, so that its claim seemed to have expired
        if self._results.settles(notice.id, until):
            return True  # the database refuses its result, which is tried again before the next claim
        if attempts_without_result(notice.attempts, notice.last_error):
            await self._results.add(notice.id, self._given_up(notice, until, NO_RESULTS))
            return True
        task = asyncio.create_task(self._deliver(notice, until), name=f"notice-{notice.id}")
        self._under_way[task] = notice
        task.add_done_callback(self._under_way.pop)
        return True

    async def _deliver(self, notice: ClaimedNotice, until: datetime) -> None:
        """Send it and record the result; while the database is out of order, the result waits."""
        problem = await self._sender.send(notice)
        try:
            await self._results.add(notice.id, self._result(notice, problem, until))
            if problem is not None and _concerns_reader(problem):
                await self._delay_reader(notice)
        except Exception:
            _log.exception("delivery_not_written_down", notice=notice.id)

    def _result(
        self, notice: ClaimedNotice, problem: DeliveryError | None, until: datetime
    ) -> SentResult | UnsentResult:
        if problem is None:
            return SentResult(self._now())
        try:
            return self._not_sent(notice, problem, until)
        except Exception as error:  # without a result, the notice would be sent again as soon as its claim expires
            _log.exception("delivery_not_judged", notice=notice.id)
            reason = f"what came of it could not be judged ({type(error).__name__}): the log has it"
            return UnsentResult(until, {"next_attempt_at": self._now() + BACK_OFF[-1], "last_error": reason})

    def _not_sent(self, notice: ClaimedNotice, problem: DeliveryError, until: datetime) -> UnsentResult:
        now, reason, server = self._now(), reason_of(problem), self._sender.server
        if problem.blame is FailureScope.SERVER and not problem.reader_named:
            # An outage of the server does not count against the notice.
            again = {"next_attempt_at": server.until or now + FIRST_PAUSE, "attempts": notice.attempts - 1}
            return UnsentResult(until, {**again, "last_error": reason})
        if problem.permanent:
            return self._given_up(notice, until, reason)
        wait = back_off(notice.attempts)
        attempts = notice.attempts
        if wait is None:
            if not server.paused:
                return self._given_up(notice, until, f"given up after {attempts} attempts: {reason}")
            # As long as the server takes nobody's mail, this may be due to it after all.
            wait, attempts = BACK_OFF[-1], attempts - 1
        _log.warning("notice_delayed", notice=notice.id, attempts=attempts, blame=problem.blame, reason=reason)
        return UnsentResult(until, {"next_attempt_at": now + wait, "attempts": attempts, "last_error": reason})

    def _given_up(self, notice: ClaimedNotice, until: datetime, reason: str) -> UnsentResult:
        _log.error("notice_failed", notice=notice.id, attempts=notice.attempts, reason=reason)
        failed = {"status": Status.FAILED, "next_attempt_at": None, "failed_at": self._now(), "reported_at": None}
        return UnsentResult(until, {**failed, "last_error": reason})

    async def _delay_reader(self, notice: ClaimedNotice) -> None:
        wait, now = back_off(notice.attempts) or BACK_OFF[-1], self._now()
        async with self._db.writing() as conn:
            await outbox_queries.delay_reader(conn, notice.recipient, now, now + wait)


def _concerns_reader(problem: DeliveryError) -> bool:
    """It was refused for now, perhaps for this reader only: what else is due to the same reader would be, too."""
    refused = problem.blame is FailureScope.ADDRESS or (problem.blame is FailureScope.SERVER and problem.reader_named)
    return refused and not problem.permanent


def _domain(notice: ClaimedNotice) -> str:
    return notice.recipient.rpartition("@")[2].lower()
