"""An outbox under test with a fake or a real transport, and counts of what it did."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from monitor.config.addresses import Encryption, MailServer
from monitor.errors import DeliveryError, FailureScope
from monitor.notices import notice_queries
from monitor.notices.delivery.outbox import Outbox
from monitor.notices.delivery.sender import MailSender
from monitor.notices.delivery.transport import LONGEST_SEND, SmtpTransport, Transport
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice
from monitor.store.database import Database
from tests.notices import NOW

EHLO_NAME = "vendor.example"
SENDER = "Harvest Monitor <monitor@vendor.example>"
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class FakeTransport:
    """Accepts every email, unless `instead` says otherwise."""

    longest = LONGEST_SEND

    def __init__(self) -> None:
        self.accepted: list[EmailMessage] = []
        self.instead: Callable[[EmailMessage], Awaitable[None]] | None = None

    async def send(self, email: EmailMessage) -> None:
        if self.instead is not None:
            await self.instead(email)
        self.accepted.append(email)

    @property
    def readers(self) -> list[str]:
        return [email["To"] for email in self.accepted]

    def refuses(self, message: str, blame: FailureScope, *, permanent: bool = False) -> None:
        async def refuse(_: EmailMessage) -> None:
            raise DeliveryError(message, blame, permanent=permanent)

        self.instead = refuse


@dataclass
class DeliveryCounts:
    """What the outbox reported since the counts were last reset."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)
    paused: bool = False
    not_written: int = 0

    def notice_sent(self) -> None:
        self.sent += 1

    def notice_failed(self, blame: str) -> None:
        self.failed.append(blame)

    def mail_server_paused(self, paused: bool) -> None:
        self.paused = paused

    def result_not_written(self) -> None:
        self.not_written += 1


class OutboxHarness:
    """An outbox and its database, with a clock that the test sets and without jitter in pauses."""

    def __init__(self, database: Database, transport: Transport) -> None:
        self.database = database
        self.counts = DeliveryCounts()
        self.now = NOW
        self.sender = MailSender(transport, SENDER, self.counts, jitter=lambda: 0, now=lambda: self.now)
        self.outbox = Outbox(database, self.sender, lambda: self.now)

    async def deliver(self, now: datetime = NOW) -> tuple[int, list[str]]:
        """Deliver what is due and wait for the end; returns how many were sent, and what each failure is blamed on."""
        self.now = now
        await self.outbox.deliver()
        await self.outbox.settled()
        sent, failed = self.counts.sent, self.counts.failed
        self.counts.sent, self.counts.failed = 0, []
        return sent, failed

    async def add(self, number: int = 1, due: datetime | None = NOW, **facts: Any) -> int:
        row = {
            "audience": "csm",
            "status": Status.PENDING,
            "why": "lost:x",
            "recipient": f"reader{number}@vendor.example",
            "subject": f"Notice {number}",
            "text": "Hello\n",
            "html": "<p>Hello</p>",
            "message_id": f"<{number}@vendor.example>",
            "created_at": NOW,
            "next_attempt_at": due,
            "pending_since": due,
            "attempts": 0,
        }
        async with self.database.writing() as conn:
            return (await notice_queries.add(conn, [row | facts]))[0]

    async def notices(self) -> list[ListedNotice]:
        """Oldest first."""
        async with self.database.reading() as conn:
            return list(reversed(await notice_queries.list_notices(conn, tuple(Status), None, 1000)))

    async def statuses(self) -> list[str]:
        return [notice.status for notice in await self.notices()]


def smtp(port: int, seconds: float = 5) -> SmtpTransport:
    """A transport to a server that the test runs, with this timeout."""
    return SmtpTransport(MailServer("127.0.0.1", port, Encryption.NONE), timedelta(seconds=seconds), EHLO_NAME)


async def never() -> None:
    await asyncio.Event().wait()
