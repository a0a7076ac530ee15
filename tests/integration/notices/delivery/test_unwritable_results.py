"""What the database refuses of a result: the email is not sent again for it, and somebody hears of it."""

from datetime import timedelta

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from monitor.errors import FailureScope
from monitor.notices.delivery.backoff import MAX_WITHOUT_RESULT
from monitor.notices.delivery.outbox import LONGEST_CLAIM
from monitor.notices.notice import Status
from monitor.store.database import Database
from monitor.store.tables import NOTICE
from tests.mail import Sink, listening, plain
from tests.notices import NOW
from tests.outbox import MINUTE, FakeTransport, OutboxHarness, smtp

RULE = "unwritable"


async def _refuse(conn: AsyncConnection, condition: str) -> None:
    """From now on the database refuses every row of `notice` for which this is true: a rule that we know nothing of."""
    if conn.dialect.name == "sqlite":
        body = f"BEGIN SELECT RAISE(ABORT, 'refused') WHERE {condition.format(new='NEW.')}; END"
        await conn.execute(text(f"CREATE TRIGGER {RULE} BEFORE UPDATE ON notice {body}"))
    else:
        await conn.execute(text(f"ALTER TABLE notice ADD CONSTRAINT {RULE} CHECK (NOT ({condition.format(new='')}))"))


async def _accept(conn: AsyncConnection) -> None:
    dropped = f"DROP TRIGGER {RULE}" if conn.dialect.name == "sqlite" else f"ALTER TABLE notice DROP CONSTRAINT {RULE}"
    await conn.execute(text(dropped))


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def harness(database: Database, transport: FakeTransport) -> OutboxHarness:
    return OutboxHarness(database, transport)


async def _for_hours(harness: OutboxHarness) -> list[str]:
    """Deliver every nine minutes, after which any claim has expired; returns what failures were blamed on."""
    blamed = []
    for number in range(30):
        blamed += (await harness.deliver(NOW + number * (LONGEST_CLAIM + MINUTE)))[1]
    return blamed


@pytest.mark.parametrize(
    "reply",
    [
        b"550 5.1.1 No such user \xe4\xf6\xfc \xff",  # not UTF-8
        b"550 5.1.1 No such user \x00\x1b[31m",
        b"550 5.1.1 No such user \xed\xa0\x80",  # a lone surrogate
        b"550 5.1.1 No such user " + b"x" * 480,
        b"550-5.1.1 No such user\r\n550 5.1.1 \xf0\x9f\x98\x80",
    ],
)
async def test_whatever_a_refusal_holds_it_is_recorded(database: Database, reply: bytes) -> None:
    """Bytes that are no text, control characters, long lines: the notice has failed, with what can be read of it."""
    sink = Sink(raw={"reader1@vendor.example": reply})
    async with listening(plain(sink)) as port:
        harness = OutboxHarness(database, smtp(port))
        await harness.add()
        assert await harness.deliver() == (0, [FailureScope.ADDRESS])
        await harness.deliver(NOW + 2 * LONGEST_CLAIM)
    (notice,) = await harness.notices()
    assert (notice.status, sink.asked) == (Status.FAILED, ["reader1@vendor.example"])
    assert "550 5.1.1 No such user" in (notice.last_error or "")
    assert harness.counts.not_written == 0


async def test_a_reason_that_the_database_refuses_is_replaced(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """The notice has failed all the same; log and metric say that the reason is missing."""
    async with database.writing() as conn:
        await _refuse(conn, "{new}last_error LIKE '%No such user%'")
    await harness.add()
    transport.refuses("550 No such user", FailureScope.ADDRESS, permanent=True)
    with capture_logs() as lines:
        assert await _for_hours(harness) == [FailureScope.ADDRESS]
    (notice,) = await harness.notices()
    assert (notice.status, notice.failed_at) == (Status.FAILED, NOW)
    assert (notice.last_error or "").startswith("the reason could not be stored (")
    assert harness.counts.not_written == 1
    assert [line["log_level"] for line in lines if line["event"] == "delivery_not_written_down"] == ["error"]


@pytest.mark.parametrize("permanent", [True, False])
async def test_a_result_that_cannot_be_written_at_all_is_kept(
    harness: OutboxHarness, database: Database, transport: FakeTransport, permanent: bool
) -> None:
    """The email is tried once; the others go out, and the result is written as soon as the database takes it."""
    async with database.writing() as conn:
        await _refuse(conn, "{new}last_error IS NOT NULL")
    await harness.add(1)
    transport.refuses("Nobody", FailureScope.ADDRESS, permanent=permanent)
    with capture_logs():
        await harness.deliver()
        transport.instead = None
        await harness.add(2, due=NOW + MINUTE)
        assert await _for_hours(harness) == []
    assert transport.readers == ["reader2@vendor.example"]
    assert (await harness.statuses())[0] == Status.PENDING
    async with database.writing() as conn:
        await _accept(conn)
    await harness.deliver(NOW + timedelta(days=2))
    first = (await harness.notices())[0]
    assert first.last_error is not None or first.status == Status.SENT
    assert (first.status == Status.FAILED) is permanent
    assert harness.counts.not_written == 1


async def test_a_success_that_cannot_be_written_is_sent_once(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """As long as this process lives, and nobody else has to wait; it is marked once that is possible."""
    async with database.writing() as conn:
        await _refuse(conn, "{new}status = 'sent' AND {new}recipient = 'reader1@vendor.example'")
    await harness.add(1)
    await harness.add(2)
    with capture_logs() as lines:
        await _for_hours(harness)
    assert sorted(transport.readers) == ["reader1@vendor.example", "reader2@vendor.example"]
    assert await harness.statuses() == [Status.PENDING, Status.SENT]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["delivery_not_written_down"]
    async with database.writing() as conn:
        await _accept(conn)
    await harness.deliver(NOW + timedelta(days=2))
    assert await harness.statuses() == [Status.SENT] * 2


async def test_processes_that_cannot_write_a_result_end_in_the_end(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """Each new process sends it once more: a few times, then it has failed, for the operator to hear of."""
    async with database.writing() as conn:
        await _refuse(conn, "{new}status = 'sent'")
    await harness.add()
    with capture_logs():
        for number in range(2 * MAX_WITHOUT_RESULT):
            restarted = OutboxHarness(database, transport)
            await restarted.deliver(NOW + number * (LONGEST_CLAIM + MINUTE))
    (notice,) = await harness.notices()
    assert len(transport.accepted) == MAX_WITHOUT_RESULT
    assert notice.status == Status.FAILED
    assert "never recorded" in (notice.last_error or "")


async def test_a_refusal_that_cannot_be_judged_waits_for_an_hour(
    harness: OutboxHarness, transport: FakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of our own while the result is made does not leave the notice to be sent again at once."""
    await harness.add()
    transport.refuses("450 Greylisted", "a blame nobody knows")  # type: ignore[arg-type]
    monkeypatch.setattr("monitor.notices.delivery.outbox.back_off", None)
    await harness.deliver()
    (notice,) = await harness.notices()
    assert (notice.status, notice.next_attempt_at) == (Status.PENDING, NOW + timedelta(hours=1))
    assert "could not be judged (TypeError)" in (notice.last_error or "")


async def test_a_retry_by_an_operator_starts_the_count_anew(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """The attempts without a result are those since then."""
    await harness.add(attempts=MAX_WITHOUT_RESULT)
    assert await harness.deliver() == (0, [])
    async with database.writing() as conn:
        fresh = {"status": Status.PENDING, "next_attempt_at": NOW, "attempts": 0}
        await conn.execute(update(NOTICE).values(fresh))
    assert await harness.deliver() == (1, [])
