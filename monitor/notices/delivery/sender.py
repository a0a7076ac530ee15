"""The sender: hands one email to the transport, and keeps track of the state of the mail server."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Protocol

import structlog

from monitor.errors import DeliveryError, FailureScope
from monitor.notices.delivery.backoff import MailServerState
from monitor.notices.delivery.transport import Transport
from monitor.notices.notice import ClaimedNotice, as_email
from monitor.notices.wording import clean

_ADDRESS = re.compile(r"[^\s<>()\"',;]+@[^\s<>()\"',;]+")  # servers quote the recipient they refuse
_LONGEST_REASON = 400
_log = structlog.get_logger()


class DeliveryObserver(Protocol):
    """Counts results. `blame` is that of a DeliveryError; `paused` says whether the mail server is left alone now."""

    def notice_sent(self) -> None: ...

    def notice_failed(self, blame: str) -> None: ...

    def mail_server_paused(self, paused: bool) -> None: ...

    def result_not_written(self) -> None: ...


class MailSender:
    """`jitter` returns numbers from 0 to 1, which make the pauses of several processes differ."""

    def __init__(
        self,
        transport: Transport,
        mail_from: str,
        observer: DeliveryObserver,
        *,
        jitter: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._mail_from = mail_from
        self.observer = observer
        self._jitter = jitter
        self._now = now
        self.server = MailServerState()

    @property
    def longest(self) -> timedelta:
        """No `send` takes longer."""
        return self._transport.longest

    async def send(self, notice: ClaimedNotice) -> DeliveryError | None:
        """Send it as an email; returns why it was not accepted, or None if it was."""
        try:
            await self._hand_over(as_email(notice, self._mail_from, self._now()))
        except DeliveryError as problem:
            return self._not_sent(problem)
        except Exception as problem:  # an unforeseen error must not stop the outbox
            _log.exception("delivery_broke_off", notice=notice.id)
            return self._not_sent(DeliveryError(type(problem).__name__, FailureScope.UNCLEAR))
        self.observer.notice_sent()
        _log.info("notice_sent", notice=notice.id, attempts=notice.attempts)
        return None

    def _not_sent(self, problem: DeliveryError) -> DeliveryError:
        self.observer.notice_failed(problem.blame)
        return problem

    async def _hand_over(self, email: EmailMessage) -> None:
        """Send it, and update the state of the server by the result."""
        try:
            await self._transport.send(email)
        except DeliveryError as problem:
            # It answered: what it refused concerns one reader or one email only.
            if problem.blame in (FailureScope.ADDRESS, FailureScope.MAIL):
                self._works()
            else:
                self._fails(problem, email["Message-ID"], self._now())
            raise
        self._works()

    def _works(self) -> None:
        if self.server.paused:
            self.observer.mail_server_paused(False)
            _log.info("mail_server_works_again", failures=self.server.failures)
        self.server = MailServerState()

    def _fails(self, problem: DeliveryError, message_id: str, now: datetime) -> None:
        before = self.server
        if problem.blame is FailureScope.SERVER:
            self.server = before.failed(now, self._jitter())
        else:
            self.server = before.doubted(now, self._jitter(), message_id)
        if self.server.until is not None and self.server.failures > before.failures:
            self.observer.mail_server_paused(True)
            seconds = round((self.server.until - now).total_seconds(), 1)
            _log.warning(
                "mail_server_paused", failures=self.server.failures, seconds=seconds, reason=reason_of(problem)
            )


def reason_of(problem: DeliveryError) -> str:
    """The text to store and log: one line without addresses, which every database takes."""
    return clean(_ADDRESS.sub("<address>", str(problem)))[:_LONGEST_REASON]
