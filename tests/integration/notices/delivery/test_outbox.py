"""The outbox: at least once, one Message-ID, retries for each reader, and no notice in another's way."""

import asyncio
from email.message import EmailMessage

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from monitor.errors import DeliveryError, FailureScope
from monitor.notices.delivery import outbox_queries
from monitor.notices.delivery.backoff import BACK_OFF, CONCURRENCY
from monitor.notices.delivery.outbox import LONGEST_CLAIM
from monitor.notices.notice import Status
from monitor.store.database import Database
from monitor.store.tables import NOTICE
from tests.notices import NOW
from tests.outbox import MINUTE, SECOND, FakeTransport, OutboxHarness, never
from tests.store import a_tenant, sync

DAY = 24 * 60 * MINUTE


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def harness(database: Database, transport: FakeTransport) -> OutboxHarness:
    return OutboxHarness(database, transport)


async def test_what_is_due_is_sent_once(harness: OutboxHarness, transport: FakeTransport) -> None:
    """A due notice is sent and marked with the time; a second call finds nothing."""
    await harness.add()
    assert await harness.deliver() == (1, [])
    assert await harness.deliver(NOW + MINUTE) == (0, [])
    assert (transport.accepted[0]["To"], transport.accepted[0]["Message-ID"]) == (
        "reader1@vendor.example",
        "<1@vendor.example>",
    )
    (notice,) = await harness.notices()
    assert (notice.status, notice.attempts, notice.next_attempt_at, notice.last_error) == (Status.SENT, 1, None, None)
    assert notice.sent_at == NOW


async def test_only_pending_notices_that_are_due_are_sent(harness: OutboxHarness, transport: FakeTransport) -> None:
    """Held, dropped, failed, sent and later ones stay as they are; the longest due go first."""
    for number, status in enumerate(Status):
        await harness.add(number, status=status)
    await harness.add(10, due=NOW + SECOND)
    await harness.add(11, due=NOW - MINUTE)
    await harness.deliver()
    assert transport.readers == ["reader11@vendor.example", "reader0@vendor.example"]


async def test_the_operators_notices_go_first(harness: OutboxHarness, transport: FakeTransport) -> None:
    """An alarm does not wait behind a burst of emails to CSMs."""
    for number in range(3):
        await harness.add(number, due=NOW - MINUTE)
    await harness.add(9, audience="operator")
    await harness.deliver()
    assert transport.readers[0] == "reader9@vendor.example"


async def test_a_temporary_failure_waits_longer_each_time(harness: OutboxHarness, transport: FakeTransport) -> None:
    """It is tried again by the schedule until it succeeds; the reason is kept meanwhile."""
    await harness.add()
    transport.refuses("mail.example:587: 450 Greylisted", FailureScope.ADDRESS)
    at, waits = NOW, []
    for _ in range(6):
        assert await harness.deliver(at) == (0, [FailureScope.ADDRESS])
        (notice,) = await harness.notices()
        assert notice.next_attempt_at is not None
        waits.append(round((notice.next_attempt_at - at) / MINUTE))
        assert await harness.deliver(notice.next_attempt_at - MINUTE / 2) == (0, [])
        at = notice.next_attempt_at
    assert waits == [1, 5, 15, 60, 60, 60]
    kept = (notice.status, notice.attempts, notice.last_error)
    assert kept == (Status.PENDING, 6, "mail.example:587: 450 Greylisted")
    transport.instead = None
    assert await harness.deliver(at) == (1, [])
    assert (await harness.notices())[0].last_error is None


@pytest.mark.parametrize("blame", [FailureScope.ADDRESS, FailureScope.MAIL, FailureScope.UNCLEAR])
async def test_three_days_of_failures_end_a_notice(
    harness: OutboxHarness, transport: FakeTransport, blame: FailureScope
) -> None:
    """Then it is given up, with the reason, the number of attempts and the time."""
    await harness.add(attempts=74, last_error="mail.example:587: 450 Greylisted")
    transport.refuses("mail.example:587: 450 Greylisted", blame)
    assert await harness.deliver() == (0, [blame])
    (notice,) = await harness.notices()
    assert (notice.status, notice.next_attempt_at) == (Status.FAILED, None)
    assert notice.last_error == "given up after 75 attempts: mail.example:587: 450 Greylisted"
    assert notice.failed_at == NOW


async def test_a_permanent_failure_ends_a_notice(harness: OutboxHarness, transport: FakeTransport) -> None:
    """What will never be accepted is not tried again, says why, and is an error in the log."""
    await harness.add()
    transport.refuses(
        "mail.example:587: 550 <reader1@vendor.example>: no such user", FailureScope.ADDRESS, permanent=True
    )
    with capture_logs() as lines:
        assert await harness.deliver() == (0, [FailureScope.ADDRESS])
    assert await harness.deliver(NOW + DAY) == (0, [])
    (notice,) = await harness.notices()
    assert (notice.status, notice.last_error) == (Status.FAILED, "mail.example:587: 550 <<address>>: no such user")
    assert [(line["event"], line["log_level"]) for line in lines] == [("notice_failed", "error")]


async def test_a_notice_that_cannot_be_an_email_spoils_only_itself(
    harness: OutboxHarness, transport: FakeTransport
) -> None:
    """A recipient that is not valid in a header fails for good, and the next notice goes out."""
    await harness.add(1, recipient="a@b.example\r\nBcc: c@d.example")
    await harness.add(2)
    assert await harness.deliver() == (1, [FailureScope.MAIL])
    assert await harness.statuses() == [Status.FAILED, Status.SENT]
    assert transport.readers == ["reader2@vendor.example"]


async def test_an_unforeseen_error_spoils_only_its_notice(harness: OutboxHarness, transport: FakeTransport) -> None:
    """It is tried again like any other, and the rest goes out."""

    async def stumble(message: EmailMessage) -> None:
        if message["To"] == "reader1@vendor.example":
            raise ZeroDivisionError

    transport.instead = stumble
    for number in (1, 2):
        await harness.add(number)
    with capture_logs() as lines:
        assert await harness.deliver() == (1, [FailureScope.UNCLEAR])
    (notice, _) = await harness.notices()
    assert (notice.status, notice.last_error, notice.next_attempt_at) == (
        Status.PENDING,
        "ZeroDivisionError",
        NOW + BACK_OFF[0],
    )
    assert "delivery_broke_off" in [line["event"] for line in lines]


async def test_one_refusal_does_not_hold_up_the_others(harness: OutboxHarness, transport: FakeTransport) -> None:
    """Only the refused reader waits."""
    for number in (1, 2):
        await harness.add(number)

    async def refuse_the_first(message: EmailMessage) -> None:
        if message["To"] == "reader1@vendor.example":
            raise DeliveryError("450 Greylisted", FailureScope.ADDRESS)

    transport.instead = refuse_the_first
    assert await harness.deliver() == (1, [FailureScope.ADDRESS])


async def test_all_notices_to_a_refused_reader_wait_together(harness: OutboxHarness, transport: FakeTransport) -> None:
    """One refusal delays everything due to the same reader, and costs the others no attempt."""
    for number in range(CONCURRENCY + 20):
        await harness.add(number, recipient="ops@vendor.example")
    later = await harness.add(99, due=NOW + DAY, recipient="ops@vendor.example")
    transport.refuses("450 Greylisted", FailureScope.ADDRESS)
    _, failed = await harness.deliver()
    assert 1 <= len(failed) <= 2 * CONCURRENCY
    notices = await harness.notices()
    assert sum(notice.attempts for notice in notices) == len(failed)
    for notice in notices:
        due = NOW + DAY if notice.id == later else NOW + BACK_OFF[0]
        assert notice.next_attempt_at == due


async def test_notices_about_a_tenant_arrive_in_order(
    harness: OutboxHarness, transport: FakeTransport, database: Database
) -> None:
    """A later notice does not overtake one that must be retried; other tenants and other readers do not wait."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    dana = "dana@vendor.example"
    transport.refuses("greylisted", FailureScope.MAIL)
    await harness.add(1, recipient=dana, tenant_id="acme")
    assert await harness.deliver() == (0, [FailureScope.MAIL])
    transport.instead = None
    await harness.add(2, recipient=dana, tenant_id="acme")
    await harness.add(3, recipient=dana, tenant_id="globex")
    await harness.add(4, recipient="lee@vendor.example", tenant_id="acme")
    assert await harness.deliver() == (2, [])
    await harness.deliver(NOW + 60 * MINUTE)
    await harness.deliver(NOW + 60 * MINUTE)
    assert [message["Subject"] for message in transport.accepted] == ["Notice 3", "Notice 4", "Notice 1", "Notice 2"]


async def test_a_slow_send_delays_no_other(harness: OutboxHarness, transport: FakeTransport) -> None:
    """While one is under way the others go out, later ones too, and it is not started again."""
    slow = asyncio.Event()

    async def stall(message: EmailMessage) -> None:
        if message["To"] == "slow@elsewhere.example":
            await slow.wait()

    transport.instead = stall
    await harness.add(0, due=NOW - MINUTE, recipient="slow@elsewhere.example")
    for number in range(1, 8):
        await harness.add(number)
    await harness.outbox.deliver()
    await harness.add(8)
    harness.now += SECOND
    await harness.outbox.deliver()
    await asyncio.sleep(0.05)
    slow.set()
    await harness.outbox.settled()
    assert sorted(transport.readers[:-1]) == [f"reader{number}@vendor.example" for number in range(1, 9)]
    assert transport.readers[-1] == "slow@elsewhere.example"


async def test_only_so_many_are_under_way_at_once(harness: OutboxHarness, transport: FakeTransport) -> None:
    """However many are due, the mail server gets a few connections at once."""
    under_way: set[str] = set()
    at_once: list[int] = []
    full = asyncio.Event()

    async def count(message: EmailMessage) -> None:
        under_way.add(message["To"])
        at_once.append(len(under_way))
        if len(under_way) == CONCURRENCY:
            full.set()
        await full.wait()
        await asyncio.sleep(0.01)
        under_way.remove(message["To"])

    transport.instead = count
    for number in range(2 * CONCURRENCY):
        await harness.add(number)
    async with asyncio.timeout(60):
        assert await harness.deliver() == (2 * CONCURRENCY, [])
    assert max(at_once) == CONCURRENCY


async def test_a_slow_domain_leaves_room_for_the_others(harness: OutboxHarness, transport: FakeTransport) -> None:
    """Readers at a domain with nothing under way come first, however long the others have waited."""
    go_on = asyncio.Event()

    async def stall(message: EmailMessage) -> None:
        if message["To"].addresses[0].domain == "slow.example":
            await go_on.wait()

    transport.instead = stall
    for number in range(20):
        await harness.add(number, due=NOW - MINUTE, recipient=f"reader{number}@slow.example")
    for number in range(20, 25):
        await harness.add(number, recipient=f"reader{number}@Quick.example")
    delivering = asyncio.create_task(harness.outbox.deliver())
    async with asyncio.timeout(60):
        while len(transport.accepted) < 5:
            await asyncio.sleep(0.01)
    go_on.set()
    await delivering
    await harness.outbox.settled()
    assert {reader.partition("@")[2] for reader in transport.readers[:5]} == {"Quick.example"}
    assert len(transport.accepted) == 25


async def test_a_crash_after_acceptance_sends_the_same_message_again(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """Killed between acceptance and our mark: once the claim has expired it is sent again, with the same id."""
    await harness.add()
    taken = asyncio.Event()

    async def accept_and_die(message: EmailMessage) -> None:
        transport.accepted.append(message)
        taken.set()
        await never()

    transport.instead = accept_and_die
    await harness.outbox.deliver()
    await taken.wait()
    await harness.outbox.stop(0)
    transport.instead = None
    after = OutboxHarness(database, transport)
    assert await after.deliver(NOW + LONGEST_CLAIM / 2) == (0, [])
    assert await after.deliver(NOW + LONGEST_CLAIM + MINUTE) == (1, [])
    assert [message["Message-ID"] for message in transport.accepted] == ["<1@vendor.example>"] * 2


async def test_a_notice_in_flight_is_not_sent_by_another_outbox(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """While one process sends a notice, it is not due for any other; no transaction is open meanwhile."""
    await harness.add()
    other = FakeTransport()

    async def meanwhile(_: EmailMessage) -> None:
        assert await OutboxHarness(database, other).deliver(NOW + MINUTE) == (0, [])

    transport.instead = meanwhile
    assert await harness.deliver() == (1, [])
    assert other.accepted == []


async def test_a_clock_set_forward_sends_nothing_twice(harness: OutboxHarness, transport: FakeTransport) -> None:
    """A claim that seems to have expired while its notice is being sent is still ours."""
    await harness.add()
    go_on = asyncio.Event()

    async def hang(_: EmailMessage) -> None:
        await go_on.wait()

    transport.instead = hang
    await harness.outbox.deliver()
    harness.now += DAY
    await harness.outbox.deliver()
    go_on.set()
    await harness.outbox.settled()
    assert (len(transport.accepted), await harness.statuses()) == (1, [Status.SENT])


async def test_many_outboxes_send_each_notice_once(harness: OutboxHarness, database: Database) -> None:
    """In parallel, they share the work."""
    for number in range(12):
        await harness.add(number)
    transports = [FakeTransport() for _ in range(4)]
    rounds = await asyncio.gather(*(OutboxHarness(database, each).deliver() for each in transports))
    assert sum(sent for sent, _ in rounds) == 12
    readers = sorted(reader for each in transports for reader in each.readers)
    assert readers == sorted(f"reader{number}@vendor.example" for number in range(12))


async def test_a_stop_is_prompt_and_starts_nothing(harness: OutboxHarness, transport: FakeTransport) -> None:
    """What is under way gets its time and is then cancelled; the rest is untouched."""
    for number in range(CONCURRENCY + 1):
        await harness.add(number)

    full = asyncio.Barrier(CONCURRENCY + 1)

    async def hang(_: EmailMessage) -> None:
        await full.wait()
        await never()

    transport.instead = hang
    delivering = asyncio.create_task(harness.outbox.deliver())
    await full.wait()
    await harness.outbox.stop(0.1)
    await delivering
    transport.instead = None
    assert await harness.deliver(NOW + MINUTE) == (0, [])
    attempts = [notice.attempts for notice in await harness.notices()]
    assert (sorted(attempts), transport.accepted) == ([0] + [1] * CONCURRENCY, [])


async def test_a_claim_made_while_stopping_is_given_back(harness: OutboxHarness, transport: FakeTransport) -> None:
    """A notice claimed just as the service stops is due at once for the next process."""
    await harness.add()
    delivering = asyncio.create_task(harness.outbox.deliver())
    await asyncio.sleep(0)
    await harness.outbox.stop(1)
    await delivering
    (notice,) = await harness.notices()
    assert (notice.attempts, transport.accepted) == (0, [])
    assert notice.next_attempt_at == NOW


async def test_a_result_of_another_process_is_kept(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """If another process sent a notice during our attempt, our failure does not change that."""
    notice = await harness.add()

    async def sent_elsewhere(_: EmailMessage) -> None:
        async with database.writing() as conn:
            await conn.execute(update(NOTICE).where(NOTICE.c.id == notice).values(status=Status.SENT))
        raise DeliveryError("450 Greylisted", FailureScope.ADDRESS)

    transport.instead = sent_elsewhere
    await harness.deliver()
    (found,) = await harness.notices()
    assert (found.status, found.last_error) == (Status.SENT, None)


async def test_who_lost_the_claim_writes_no_failure(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """A process that was frozen beyond its claim leaves the notice to the process that claimed it since."""
    await harness.add()

    async def frozen(_: EmailMessage) -> None:
        async with database.writing() as conn:
            assert await outbox_queries.claim(conn, NOW + LONGEST_CLAIM + MINUTE, NOW + 2 * LONGEST_CLAIM + MINUTE)
        raise DeliveryError("550 No such user", FailureScope.ADDRESS, permanent=True)

    transport.instead = frozen
    await harness.deliver()
    (notice,) = await harness.notices()
    assert (notice.status, notice.attempts) == (Status.PENDING, 2)
    assert notice.next_attempt_at == NOW + 2 * LONGEST_CLAIM + MINUTE


async def test_a_missed_mark_is_made_up_before_anything_else_is_sent(
    harness: OutboxHarness, database: Database, transport: FakeTransport
) -> None:
    """The database fails between acceptance and our mark: no email is doubled while the process lives."""
    many = CONCURRENCY + 1  # the last one is claimed only once another was accepted
    for number in range(many):
        await harness.add(number)
    broken = asyncio.Event()

    async def wait_until_broken(_: EmailMessage) -> None:
        await broken.wait()

    async def break_database(_: EmailMessage) -> None:
        transport.instead = wait_until_broken
        async with database.writing() as conn:
            await conn.execute(text("ALTER TABLE notice RENAME TO notice_away"))
        broken.set()

    transport.instead = break_database
    with capture_logs() as lines:
        with pytest.raises(Exception, match="notice"):
            await harness.deliver()
        await harness.outbox.settled()
        with pytest.raises(Exception, match="notice"):
            await harness.deliver(NOW + MINUTE)
    assert "delivery_not_written_down" in [line["event"] for line in lines]
    accepted = len(transport.accepted)
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE notice_away RENAME TO notice"))
    await harness.deliver(NOW + 2 * LONGEST_CLAIM)
    assert accepted >= 1
    assert sorted(transport.readers) == [f"reader{number}@vendor.example" for number in range(many)]
    assert await harness.statuses() == [Status.SENT] * many


async def test_a_wrong_clock_strands_no_notice(harness: OutboxHarness, database: Database) -> None:
    """A notice due later than the longest wait was scheduled under another clock: it is due after one claim time."""
    far, near = await harness.add(1, due=NOW + DAY), await harness.add(2, due=NOW + BACK_OFF[-1])
    await harness.add(3, due=NOW + DAY, status=Status.HELD)
    async with database.writing() as conn:
        assert await outbox_queries.repair_schedule(conn, NOW, BACK_OFF[-1], LONGEST_CLAIM) == 1
    due = {notice.id: notice.next_attempt_at for notice in await harness.notices()}
    assert (due[far], due[near]) == (NOW + LONGEST_CLAIM, NOW + BACK_OFF[-1])
