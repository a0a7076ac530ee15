"""The outbox: at least once, one Message-ID, patience with readers, and nobody in another's way."""

import asyncio
from email.message import EmailMessage

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from monitor.errors import DeliveryError, FailureScope
from monitor.notices import queries as store
from monitor.notices.delivery.backoff import AT_ONCE, BACK_OFF
from monitor.notices.delivery.outbox import CLAIM
from monitor.notices.notice import Status
from monitor.store.database import Database
from monitor.store.tables import NOTICE
from tests.notices import NOW
from tests.outbox import MINUTE, SECOND, Hand, Office, never
from tests.store import a_tenant, sync

DAY = 24 * 60 * MINUTE


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def office(database: Database, hand: Hand) -> Office:
    return Office(database, hand)


async def test_what_is_due_is_sent_once(office: Office, hand: Hand) -> None:
    """A due notice is sent and marked with the moment; a second call finds nothing."""
    await office.add()
    assert await office.deliver() == (1, [])
    assert await office.deliver(NOW + MINUTE) == (0, [])
    assert (hand.taken[0]["To"], hand.taken[0]["Message-ID"]) == ("reader1@vendor.example", "<1@vendor.example>")
    (notice,) = await office.notices()
    assert (notice.status, notice.attempts, notice.next_attempt_at, notice.last_error) == (Status.SENT, 1, None, None)
    assert notice.sent_at == NOW


async def test_only_pending_notices_that_are_due_are_sent(office: Office, hand: Hand) -> None:
    """Held, dropped, failed, sent and later ones stay where they are; those waiting longest go first."""
    for number, status in enumerate(Status):
        await office.add(number, status=status)
    await office.add(10, due=NOW + SECOND)
    await office.add(11, due=NOW - MINUTE)
    await office.deliver()
    assert hand.readers == ["reader11@vendor.example", "reader0@vendor.example"]


async def test_the_operator_is_told_first(office: Office, hand: Hand) -> None:
    """An alarm does not stand in line behind a wave of mail to CSMs."""
    for number in range(3):
        await office.add(number, due=NOW - MINUTE)
    await office.add(9, audience="operator")
    await office.deliver()
    assert hand.readers[0] == "reader9@vendor.example"


async def test_a_temporary_failure_waits_longer_each_time(office: Office, hand: Hand) -> None:
    """It is tried again after the waits of the schedule until it goes through; the reason is kept meanwhile."""
    await office.add()
    hand.refuses("mail.example:587: 450 Greylisted", FailureScope.ADDRESS)
    at, waits = NOW, []
    for _ in range(6):
        assert await office.deliver(at) == (0, [FailureScope.ADDRESS])
        (notice,) = await office.notices()
        assert notice.next_attempt_at is not None
        waits.append(round((notice.next_attempt_at - at) / MINUTE))
        assert await office.deliver(notice.next_attempt_at - MINUTE / 2) == (0, [])
        at = notice.next_attempt_at
    assert waits == [1, 5, 15, 60, 60, 60]
    kept = (notice.status, notice.attempts, notice.last_error)
    assert kept == (Status.PENDING, 6, "mail.example:587: 450 Greylisted")
    hand.instead = None
    assert await office.deliver(at) == (1, [])
    assert (await office.notices())[0].last_error is None


@pytest.mark.parametrize("blame", [FailureScope.ADDRESS, FailureScope.MAIL, FailureScope.UNCLEAR])
async def test_three_days_of_failures_end_a_notice(office: Office, hand: Hand, blame: FailureScope) -> None:
    """Whoever is refused for so long is given up, with the reason, the number of attempts and the moment."""
    await office.add(attempts=74)
    hand.refuses("mail.example:587: 450 Greylisted", blame)
    assert await office.deliver() == (0, [blame])
    (notice,) = await office.notices()
    assert (notice.status, notice.next_attempt_at) == (Status.FAILED, None)
    assert notice.last_error == "given up after 75 attempts: mail.example:587: 450 Greylisted"
    assert notice.failed_at == NOW


async def test_a_permanent_failure_ends_a_notice(office: Office, hand: Hand) -> None:
    """What will never be taken is not tried again, says why, and is an error in the log."""
    await office.add()
    hand.refuses("mail.example:587: 550 <reader1@vendor.example>: no such user", FailureScope.ADDRESS, permanent=True)
    with capture_logs() as lines:
        assert await office.deliver() == (0, [FailureScope.ADDRESS])
    assert await office.deliver(NOW + DAY) == (0, [])
    (notice,) = await office.notices()
    assert (notice.status, notice.last_error) == (Status.FAILED, "mail.example:587: 550 <<address>>: no such user")
    assert [(line["event"], line["log_level"]) for line in lines] == [("notice_failed", "error")]


async def test_a_notice_that_is_no_mail_spoils_only_itself(office: Office, hand: Hand) -> None:
    """A recipient that can not stand in a header fails for good, and the next notice goes out."""
    await office.add(1, recipient="a@b.example\r\nBcc: c@d.example")
    await office.add(2)
    assert await office.deliver() == (1, [FailureScope.MAIL])
    assert await office.statuses() == [Status.FAILED, Status.SENT]
    assert hand.readers == ["reader2@vendor.example"]


async def test_a_failure_that_nobody_thought_of_spoils_only_its_notice(office: Office, hand: Hand) -> None:
    """It waits like any other, and the rest goes out."""

    async def stumble(message: EmailMessage) -> None:
        if message["To"] == "reader1@vendor.example":
            raise ZeroDivisionError

    hand.instead = stumble
    for number in (1, 2):
        await office.add(number)
    with capture_logs() as lines:
        assert await office.deliver() == (1, [FailureScope.UNCLEAR])
    (notice, _) = await office.notices()
    assert (notice.status, notice.last_error, notice.next_attempt_at) == (
        Status.PENDING,
        "ZeroDivisionError",
        NOW + BACK_OFF[0],
    )
    assert "delivery_broke_off" in [line["event"] for line in lines]


async def test_one_refusal_does_not_hold_up_the_others(office: Office, hand: Hand) -> None:
    """A reader whose server is slow to accept waits alone."""
    for number in (1, 2):
        await office.add(number)

    async def refuse_the_first(message: EmailMessage) -> None:
        if message["To"] == "reader1@vendor.example":
            raise DeliveryError("450 Greylisted", FailureScope.ADDRESS)

    hand.instead = refuse_the_first
    assert await office.deliver() == (1, [FailureScope.ADDRESS])


async def test_what_is_for_a_refused_reader_waits_together(office: Office, hand: Hand) -> None:
    """One refusal is enough for all that is due to the same reader, and costs the others no attempt."""
    for number in range(AT_ONCE + 20):
        await office.add(number, recipient="ops@vendor.example")
    later = await office.add(99, due=NOW + DAY, recipient="ops@vendor.example")
    hand.refuses("450 Greylisted", FailureScope.ADDRESS)
    _, failed = await office.deliver()
    assert 1 <= len(failed) <= 2 * AT_ONCE
    notices = await office.notices()
    assert sum(notice.attempts for notice in notices) == len(failed)
    for notice in notices:
        due = NOW + DAY if notice.id == later else NOW + BACK_OFF[0]
        assert notice.next_attempt_at == due


async def test_the_last_word_on_a_tenant_is_the_latest(office: Office, hand: Hand, database: Database) -> None:
    """A later notice does not overtake one that has to be tried again; other tenants and other readers do not wait."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    dana = "dana@vendor.example"
    hand.refuses("greylisted", FailureScope.MAIL)
    await office.add(1, recipient=dana, tenant_id="acme")
    assert await office.deliver() == (0, [FailureScope.MAIL])
    hand.instead = None
    await office.add(2, recipient=dana, tenant_id="acme")
    await office.add(3, recipient=dana, tenant_id="globex")
    await office.add(4, recipient="lee@vendor.example", tenant_id="acme")
    assert await office.deliver() == (2, [])
    await office.deliver(NOW + 60 * MINUTE)
    await office.deliver(NOW + 60 * MINUTE)
    assert [message["Subject"] for message in hand.taken] == ["Notice 3", "Notice 4", "Notice 1", "Notice 2"]


async def test_a_slow_mail_holds_up_nobody(office: Office, hand: Hand) -> None:
    """While one is under way the others go out, those that come later too, and it is not begun again."""
    slow = asyncio.Event()

    async def dawdle(message: EmailMessage) -> None:
        if message["To"] == "slow@elsewhere.example":
            await slow.wait()

    hand.instead = dawdle
    await office.add(0, due=NOW - MINUTE, recipient="slow@elsewhere.example")
    for number in range(1, 8):
        await office.add(number)
    await office.outbox.deliver()
    await office.add(8)
    office.now += SECOND
    await office.outbox.deliver()
    await asyncio.sleep(0.05)
    slow.set()
    await office.outbox.settled()
    assert sorted(hand.readers[:-1]) == [f"reader{number}@vendor.example" for number in range(1, 9)]
    assert hand.readers[-1] == "slow@elsewhere.example"


async def test_so_many_are_under_way_and_no_more(office: Office, hand: Hand) -> None:
    """However many are due, the mail server sees a few of us at once."""
    under_way: set[str] = set()
    at_once: list[int] = []
    full = asyncio.Event()

    async def look(message: EmailMessage) -> None:
        under_way.add(message["To"])
        at_once.append(len(under_way))
        if len(under_way) == AT_ONCE:
            full.set()
        await full.wait()
        await asyncio.sleep(0.01)
        under_way.remove(message["To"])

    hand.instead = look
    for number in range(2 * AT_ONCE):
        await office.add(number)
    async with asyncio.timeout(60):
        assert await office.deliver() == (2 * AT_ONCE, [])
    assert max(at_once) == AT_ONCE


async def test_a_slow_domain_leaves_room_for_the_others(office: Office, hand: Hand) -> None:
    """Whose server is not being spoken to comes first, however long the others have been waiting."""
    go_on = asyncio.Event()

    async def dawdle(message: EmailMessage) -> None:
        if message["To"].addresses[0].domain == "slow.example":
            await go_on.wait()

    hand.instead = dawdle
    for number in range(20):
        await office.add(number, due=NOW - MINUTE, recipient=f"reader{number}@slow.example")
    for number in range(20, 25):
        await office.add(number, recipient=f"reader{number}@Quick.example")
    delivering = asyncio.create_task(office.outbox.deliver())
    async with asyncio.timeout(60):
        while len(hand.taken) < 5:
            await asyncio.sleep(0.01)
    go_on.set()
    await delivering
    await office.outbox.settled()
    assert {reader.partition("@")[2] for reader in hand.readers[:5]} == {"Quick.example"}
    assert len(hand.taken) == 25


async def test_a_crash_after_acceptance_sends_the_same_message_again(
    office: Office, database: Database, hand: Hand
) -> None:
    """Killed between the yes of the server and our mark: when the claim has run out it goes again, with the same id."""
    await office.add()
    taken = asyncio.Event()

    async def accept_and_die(message: EmailMessage) -> None:
        hand.taken.append(message)
        taken.set()
        await never()

    hand.instead = accept_and_die
    await office.outbox.deliver()
    await taken.wait()
    await office.outbox.stop(0)
    hand.instead = None
    after = Office(database, hand)
    assert await after.deliver(NOW + CLAIM / 2) == (0, [])
    assert await after.deliver(NOW + CLAIM + MINUTE) == (1, [])
    assert [message["Message-ID"] for message in hand.taken] == ["<1@vendor.example>"] * 2


async def test_a_notice_in_flight_is_not_sent_by_another_outbox(office: Office, database: Database, hand: Hand) -> None:
    """While one process sends a notice, it is not due for any other; no transaction is open meanwhile."""
    await office.add()
    other = Hand()

    async def meanwhile(_: EmailMessage) -> None:
        assert await Office(database, other).deliver(NOW + MINUTE) == (0, [])

    hand.instead = meanwhile
    assert await office.deliver() == (1, [])
    assert other.taken == []


async def test_a_clock_set_forward_sends_nothing_twice(office: Office, hand: Hand) -> None:
    """A claim that seems to have run out under a mail's sending is ours all the same."""
    await office.add()
    go_on = asyncio.Event()

    async def hang(_: EmailMessage) -> None:
        await go_on.wait()

    hand.instead = hang
    await office.outbox.deliver()
    office.now += DAY
    await office.outbox.deliver()
    go_on.set()
    await office.outbox.settled()
    assert (len(hand.taken), await office.statuses()) == (1, [Status.SENT])


async def test_many_outboxes_send_each_notice_once(office: Office, database: Database) -> None:
    """Side by side, they share the work."""
    for number in range(12):
        await office.add(number)
    hands = [Hand() for _ in range(4)]
    rounds = await asyncio.gather(*(Office(database, hand).deliver() for hand in hands))
    assert sum(sent for sent, _ in rounds) == 12
    readers = sorted(reader for hand in hands for reader in hand.readers)
    assert readers == sorted(f"reader{number}@vendor.example" for number in range(12))


async def test_a_stop_is_prompt_and_begins_nothing(office: Office, hand: Hand) -> None:
    """What is under way gets its time and is broken off then; the rest is not touched."""
    for number in range(AT_ONCE + 1):
        await office.add(number)

    full = asyncio.Barrier(AT_ONCE + 1)

    async def hang(_: EmailMessage) -> None:
        await full.wait()
        await never()

    hand.instead = hang
    delivering = asyncio.create_task(office.outbox.deliver())
    await full.wait()
    await office.outbox.stop(0.1)
    await delivering
    hand.instead = None
    assert await office.deliver(NOW + MINUTE) == (0, [])
    attempts = [notice.attempts for notice in await office.notices()]
    assert (sorted(attempts), hand.taken) == ([0] + [1] * AT_ONCE, [])


async def test_a_claim_that_comes_while_stopping_is_given_back(office: Office, hand: Hand) -> None:
    """What was just taken up when the service is told to stop is due at once for the next one."""
    await office.add()
    delivering = asyncio.create_task(office.outbox.deliver())
    await asyncio.sleep(0)
    await office.outbox.stop(1)
    await delivering
    (notice,) = await office.notices()
    assert (notice.attempts, hand.taken) == (0, [])
    assert notice.next_attempt_at == NOW


async def test_an_end_written_meanwhile_stands(office: Office, database: Database, hand: Hand) -> None:
    """Where another process ended a notice during our attempt, our failure does not bring it back."""
    notice = await office.add()

    async def sent_elsewhere(_: EmailMessage) -> None:
        async with database.writing() as conn:
            await conn.execute(update(NOTICE).where(NOTICE.c.id == notice).values(status=Status.SENT))
        raise DeliveryError("450 Greylisted", FailureScope.ADDRESS)

    hand.instead = sent_elsewhere
    await office.deliver()
    (found,) = await office.notices()
    assert (found.status, found.last_error) == (Status.SENT, None)


async def test_who_lost_the_claim_writes_no_failure(office: Office, database: Database, hand: Hand) -> None:
    """A process that was frozen beyond its claim leaves the notice to whoever has taken it up since."""
    await office.add()

    async def frozen(_: EmailMessage) -> None:
        async with database.writing() as conn:
            assert await store.claim(conn, NOW + CLAIM + MINUTE, NOW + 2 * CLAIM + MINUTE)
        raise DeliveryError("550 No such user", FailureScope.ADDRESS, permanent=True)

    hand.instead = frozen
    await office.deliver()
    (notice,) = await office.notices()
    assert (notice.status, notice.attempts) == (Status.PENDING, 2)
    assert notice.next_attempt_at == NOW + 2 * CLAIM + MINUTE


async def test_what_could_not_be_marked_is_marked_before_anything_else_goes_out(
    office: Office, database: Database, hand: Hand
) -> None:
    """The database fails between the server's yes and our mark: no mail is doubled as long as the process lives."""
    for number in range(3):
        await office.add(number)

    async def database_fails(_: EmailMessage) -> None:
        hand.instead = None
        async with database.writing() as conn:
            await conn.execute(text("ALTER TABLE notice RENAME TO notice_away"))

    hand.instead = database_fails
    with capture_logs() as lines:
        with pytest.raises(Exception, match="notice"):
            await office.deliver()
        await office.outbox.settled()
        with pytest.raises(Exception, match="notice"):
            await office.deliver(NOW + MINUTE)
    assert "delivery_not_written_down" in [line["event"] for line in lines]
    taken = len(hand.taken)
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE notice_away RENAME TO notice"))
    await office.deliver(NOW + 2 * CLAIM)
    assert taken >= 1
    assert sorted(hand.readers) == [f"reader{number}@vendor.example" for number in range(3)]
    assert await office.statuses() == [Status.SENT] * 3


async def test_a_wrong_clock_strands_no_notice(office: Office, database: Database) -> None:
    """What would wait longer than the longest wait was planned by another clock: it is tried when a claim would end."""
    far, near = await office.add(1, due=NOW + DAY), await office.add(2, due=NOW + BACK_OFF[-1])
    await office.add(3, due=NOW + DAY, status=Status.HELD)
    async with database.writing() as conn:
        assert await store.bring_back(conn, NOW, BACK_OFF[-1], CLAIM) == 1
    due = {notice.id: notice.next_attempt_at for notice in await office.notices()}
    assert (due[far], due[near]) == (NOW + CLAIM, NOW + BACK_OFF[-1])
