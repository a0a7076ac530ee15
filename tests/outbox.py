"""An outbox under test: with a transport that does as it is told, or a real one, and a count of what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from monitor.config.addresses import Encryption, MailServer
from monitor.errors import DeliveryError, FailureScope
from monitor.notices import queries as store
from monitor.notices.delivery.outbox import Outbox
from monitor.notices.delivery.sender import MailSender
from monitor.notices.delivery.transport import LONGEST, SmtpTransport, Transport
from monitor.notices.notice import Status
from monitor.notices.queries import ListedNotice
from monitor.store.database import Database
from tests.notices import NOW

SENDER = "Harvest Monitor <monitor@vendor.example>"
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class Hand:
    """A transport that takes mail, or does what it is told to instead."""

    longest = LONGEST

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.instead: Callable[[EmailMessage], Awaitable[None]] | None = None

    async def send(self, message: EmailMessage) -> None:
        if self.instead is not None:
            await self.instead(message)
        self.taken.append(message)

    @property
    def readers(self) -> list[str]:
        return [message["To"] for message in self.taken]

    def refuses(self, message: str, blame: FailureScope, *, permanent: bool = False) -> None:
        async def refuse(_: EmailMessage) -> None:
            raise DeliveryError(message, blame, permanent=permanent)

        self.instead = refuse


@dataclass
class Tally:
    """What the outbox told of itself since it was last asked."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)
    paused: bool = False

    def notice_sent(self) -> None:
        self.sent += 1

    def notice_failed(self, blame: str) -> None:
        self.failed.append(blame)

    def mail_server_paused(self, paused: bool) -> None:
        self.paused = paused


class Office:
    """An outbox and its database. Its clock is moved by hand, and pauses are the full ones, without chance."""

    def __init__(self, database: Database, transport: Transport) -> None:
        self.database = database
        self.tally = Tally()
        self.now = NOW
        self.courier = MailSender(transport, SENDER, self.tally, jitter=lambda: 0, now=lambda: self.now)
        self.outbox = Outbox(database, self.courier, lambda: self.now)

    async def deliver(self, now: datetime = NOW) -> tuple[int, list[str]]:
        """Deliver what is due and wait for the end of it: how many were sent, and the blame for each failure."""
        self.now = now
        await self.outbox.deliver()
        await self.outbox.settled()
        sent, failed = self.tally.sent, self.tally.failed
        self.tally.sent, self.tally.failed = 0, []
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
            return (await store.add(conn, [row | facts]))[0]

    async def notices(self) -> list[ListedNotice]:
        """Oldest first."""
        async with self.database.reading() as conn:
            return list(reversed(await store.list_notices(conn, tuple(Status), None, 1000)))

    async def statuses(self) -> list[str]:
        return [notice.status for notice in await self.notices()]


def smtp(port: int, seconds: float = 5) -> SmtpTransport:
    """A transport to a server of this test, that waits so long for an answer."""
    return SmtpTransport(MailServer("127.0.0.1", port, Encryption.NONE), timedelta(seconds=seconds))


async def never() -> None:
    await asyncio.Event().wait()
