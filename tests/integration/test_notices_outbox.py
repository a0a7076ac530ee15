"""The outbox: at least once, one Message-ID, patience with servers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import select, update

from monitor.errors import DeliveryError
from monitor.notices.notice import Status
from monitor.notices.outbox import AT_MOST, Deliveries, Outbox
from monitor.store import notices as store
from monitor.store.database import Database
from monitor.store.notices import ListedNotice
from monitor.store.tables import NOTICE
from tests.notices import NOW

SENDER = "Harvest Monitor <monitor@vendor.example>"
MINUTE = timedelta(minutes=1)


class Sink:
    """A transport that takes mail, or does what it is told to instead."""

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

    def refuses(self, message: str, *, permanent: bool) -> None:
        async def refuse(_: EmailMessage) -> None:
            raise DeliveryError(message, permanent=permanent)

        self.instead = refuse


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def outbox(database: Database, sink: Sink) -> Outbox:
    return Outbox(database, sink, SENDER)


async def _add(database: Database, number: int = 1, due: datetime | None = NOW, status: Status = Status.PENDING) -> int:
    row = {
        "audience": "csm",
        "status": status,
        "why": "lost:x",
        "recipient": f"reader{number}@vendor.example",
        "subject": f"Notice {number}",
        "text": "Hello\n",
        "html": "<p>Hello</p>",
        "message_id": f"<{number}@vendor.example>",
        "created_at": NOW,
        "next_attempt_at": due,
        "attempts": 0,
    }
    async with database.writing() as conn:
        return (await store.add(conn, [row]))[0]


async def _all(database: Database) -> list[ListedNotice]:
    async with database.reading() as conn:
        return list(reversed(await store.list_notices(conn, tuple(Status), None, 1000)))


async def test_what_is_due_is_sent_once(database: Database, outbox: Outbox, sink: Sink) -> None:
    """A due notice is sent and marked with the moment; a second call finds nothing."""
    await _add(database)
    assert await outbox.deliver_once(NOW) == Deliveries(sent=1)
    assert await outbox.deliver_once(NOW + MINUTE) == Deliveries()
    assert (sink.taken[0]["To"], sink.taken[0]["Message-ID"]) == ("reader1@vendor.example", "<1@vendor.example>")
    (notice,) = await _all(database)
    assert (notice.status, notice.attempts, notice.next_attempt_at, notice.last_error) == (Status.SENT, 1, None, None)
    assert notice.sent_at is not None
    assert NOW <= notice.sent_at < NOW + MINUTE


async def test_only_pending_notices_that_are_due_are_sent(database: Database, outbox: Outbox, sink: Sink) -> None:
    """Held, dropped, failed, sent and later ones stay where they are; those waiting longest go first."""
    for number, status in enumerate(Status):
        await _add(database, number, due=NOW, status=status)
    await _add(database, 10, due=NOW + timedelta(seconds=1))
    await _add(database, 11, due=NOW - MINUTE)
    await outbox.deliver_once(NOW)
    assert sink.readers == ["reader11@vendor.example", "reader0@vendor.example"]


async def test_a_temporary_failure_waits_longer_each_time(database: Database, outbox: Outbox, sink: Sink) -> None:
    """After 1, 5, 15 and 60 minutes it is tried again, then every hour, until it goes through; the reason is kept."""
    await _add(database)
    sink.refuses("mail.example:587: 450 Greylisted", permanent=False)
    at, waits = NOW, []
    for _ in range(6):
        assert await outbox.deliver_once(at) == Deliveries(failed=1)
        (notice,) = await _all(database)
        assert notice.next_attempt_at is not None
        waits.append(round((notice.next_attempt_at - at) / MINUTE))
        assert await outbox.deliver_once(notice.next_attempt_at - MINUTE / 2) == Deliveries()
        at = notice.next_attempt_at
    assert waits == [1, 5, 15, 60, 60, 60]
    assert (notice.status, notice.attempts, notice.last_error) == (
        Status.PENDING,
        6,
        "mail.example:587: 450 Greylisted",
    )
    sink.instead = None
    assert await outbox.deliver_once(at) == Deliveries(sent=1)
    assert (await _all(database))[0].last_error is None


async def test_a_permanent_failure_ends_a_notice(database: Database, outbox: Outbox, sink: Sink) -> None:
    """What will never be taken is not tried again, and says why."""
    await _add(database)
    sink.refuses("mail.example:587: 550 No such user", permanent=True)
    assert await outbox.deliver_once(NOW) == Deliveries(failed=1)
    assert await outbox.deliver_once(NOW + timedelta(days=1)) == Deliveries()
    (notice,) = await _all(database)
    assert (notice.status, notice.last_error) == (Status.FAILED, "mail.example:587: 550 No such user")


async def test_a_notice_that_is_no_mail_spoils_only_itself(database: Database, outbox: Outbox, sink: Sink) -> None:
    """A recipient that can not stand in a header fails for good, and the next notice goes out."""
    bad = await _add(database, 1)
    async with database.writing() as conn:
        await conn.execute(update(NOTICE).where(NOTICE.c.id == bad).values(recipient="a@b.example\r\nBcc: c@d.example"))
    await _add(database, 2)
    assert await outbox.deliver_once(NOW) == Deliveries(sent=1, failed=1)
    assert [notice.status for notice in await _all(database)] == [Status.FAILED, Status.SENT]
    assert sink.readers == ["reader2@vendor.example"]


async def test_one_refusal_does_not_hold_up_the_others(database: Database, outbox: Outbox, sink: Sink) -> None:
    """A reader whose server is slow to accept waits alone."""
    for number in (1, 2):
        await _add(database, number)

    async def refuse_the_first(message: EmailMessage) -> None:
        if message["To"] == "reader1@vendor.example":
            raise DeliveryError("450 Greylisted")

    sink.instead = refuse_the_first
    assert await outbox.deliver_once(NOW) == Deliveries(sent=1, failed=1)


async def test_a_crash_after_acceptance_sends_the_same_message_again(
    database: Database, outbox: Outbox, sink: Sink
) -> None:
    """Killed between the yes of the server and our mark: when the claim has run out it goes again, with the same id."""
    await _add(database)
    taken: list[EmailMessage] = []

    async def accept_and_die(message: EmailMessage) -> None:
        taken.append(message)
        raise asyncio.CancelledError

    sink.instead = accept_and_die
    with pytest.raises(asyncio.CancelledError):
        await outbox.deliver_once(NOW)
    sink.instead = None
    assert await outbox.deliver_once(NOW + 5 * MINUTE) == Deliveries()
    assert await outbox.deliver_once(NOW + 11 * MINUTE) == Deliveries(sent=1)
    assert [message["Message-ID"] for message in (*taken, *sink.taken)] == ["<1@vendor.example>"] * 2


async def test_a_notice_in_flight_is_not_sent_by_another_outbox(database: Database, outbox: Outbox, sink: Sink) -> None:
    """While one process sends a notice, it is not due for any other; no transaction is open meanwhile."""
    await _add(database)
    other = Sink()

    async def meanwhile(_: EmailMessage) -> None:
        assert await Outbox(database, other, SENDER).deliver_once(NOW + MINUTE) == Deliveries()

    sink.instead = meanwhile
    assert await outbox.deliver_once(NOW) == Deliveries(sent=1)
    assert other.taken == []


async def test_many_outboxes_send_each_notice_once(database: Database) -> None:
    """Side by side, they share the work."""
    for number in range(12):
        await _add(database, number)
    sinks = [Sink() for _ in range(4)]
    rounds = await asyncio.gather(*(Outbox(database, sink, SENDER).deliver_once(NOW) for sink in sinks))
    assert sum(done.sent for done in rounds) == 12
    assert sorted(reader for sink in sinks for reader in sink.readers) == sorted(
        f"reader{number}@vendor.example" for number in range(12)
    )


async def test_a_call_ends_though_the_queue_is_long(database: Database, outbox: Outbox) -> None:
    """One call sends a limited number, so that a service told to stop can stop; the next call goes on."""
    for number in range(AT_MOST + 1):
        await _add(database, number)
    assert await outbox.deliver_once(NOW) == Deliveries(sent=AT_MOST)
    assert await outbox.deliver_once(NOW) == Deliveries(sent=1)


async def test_an_end_written_meanwhile_stands(database: Database, outbox: Outbox, sink: Sink) -> None:
    """Where another process ended a notice during our attempt, our failure does not bring it back."""
    notice = await _add(database)

    async def sent_elsewhere(_: EmailMessage) -> None:
        async with database.writing() as conn:
            await conn.execute(update(NOTICE).where(NOTICE.c.id == notice).values(status=Status.SENT))
        raise DeliveryError("450 Greylisted")

    sink.instead = sent_elsewhere
    await outbox.deliver_once(NOW)
    async with database.reading() as conn:
        status, error = (await conn.execute(select(NOTICE.c.status, NOTICE.c.last_error))).one()
    assert (status, error) == (Status.SENT, None)
