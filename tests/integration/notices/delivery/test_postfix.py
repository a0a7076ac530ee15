"""The outbox against a real Postfix with the rules that people give it, and a real postgrey."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from monitor.config.addresses import Encryption, MailServer
from monitor.errors import FailureScope
from monitor.notices.content.render import Renderer
from monitor.notices.delivery.backoff import BACK_OFF
from monitor.notices.delivery.transport import SmtpTransport
from monitor.notices.immediate.failed_deliveries import write_failure_notice
from monitor.notices.notice import Status
from monitor.store.database import Database
from monitor.store.tables import NOTICE
from tests.notices import NOW, a_policy
from tests.outbox import EHLO_NAME, MINUTE, OutboxHarness
from tests.postfix import GREYLISTED_SECONDS, Postfix
from tests.store import a_tenant, sync

DANA, LEE, OPS = "dana@vendor.example", "lee@vendor.example", "ops@vendor.example"
NOBODY, ELSEWHERE = "nobody@vendor.example", "csm@elsewhere.example"
HOURS = timedelta(hours=1)


def _outbox(database: Database, postfix: Postfix, rules: str, ehlo_name: str = EHLO_NAME) -> OutboxHarness:
    server = MailServer("127.0.0.1", postfix.ports[rules], Encryption.NONE)
    return OutboxHarness(database, SmtpTransport(server, timedelta(seconds=20), ehlo_name))


def _delivered(postfix: Postfix, reader: str, number: int = 1) -> list[str]:
    """The subjects in a mailbox, once there are so many: Postfix delivers after it has accepted."""
    end = time.monotonic() + 30
    while len(mails := postfix.mails(reader)) < number and time.monotonic() < end:
        time.sleep(0.05)
    return [mail["Subject"] for mail in mails]


@pytest.mark.parametrize(
    "rules", ["helo", "client", "sender", "unknown_sender", "block_list", "encrypted", "too_many", "policy"]
)
async def test_what_the_server_holds_against_us_ends_no_notice(sqlite: Database, postfix: Postfix, rules: str) -> None:
    """Greeted with `localhost`, or by rules on client, sender, encryption and pace: all wait, and arrive later."""
    ours = "localhost" if rules == "helo" else EHLO_NAME
    harness = _outbox(sqlite, postfix, rules, ours)
    for number, reader in enumerate((DANA, LEE, OPS, DANA), start=1):
        await harness.add(number, recipient=reader)
    sent, failed = await harness.deliver()
    assert sent <= (rules == "too_many")
    assert set(failed) == {FailureScope.UNCLEAR if rules == "policy" else FailureScope.SERVER}
    assert harness.counts.paused
    async with sqlite.writing() as conn:
        # As after three days, when a notice would be given up if its reader were to blame.
        await conn.execute(
            update(NOTICE).where(NOTICE.c.status == Status.PENDING).values(attempts=75, last_error="554 5.7.1 Refused")
        )
    for later in range(1, 5):
        await harness.deliver(NOW + later * HOURS)
    assert Status.FAILED not in await harness.statuses()
    corrected = _outbox(sqlite, postfix, "open")
    await corrected.deliver(NOW + 200 * HOURS)
    assert await corrected.statuses() == [Status.SENT] * 4
    assert sorted(_delivered(postfix, "dana", 2)) == ["Notice 1", "Notice 4"]


async def test_our_own_greeting_is_accepted_by_a_strict_server(sqlite: Database, postfix: Postfix) -> None:
    """The sender's domain is a full name."""
    harness = _outbox(sqlite, postfix, "helo")
    await harness.add(1, recipient=DANA)
    assert await harness.deliver() == (1, [])


async def test_a_reader_whom_the_server_does_not_know_fails_at_once(sqlite: Database, postfix: Postfix) -> None:
    """And nobody else waits for it."""
    harness = _outbox(sqlite, postfix, "open")
    for number, reader in enumerate((NOBODY, DANA, LEE), start=1):
        await harness.add(number, recipient=reader)
    assert await harness.deliver() == (2, [FailureScope.ADDRESS])
    assert await harness.statuses() == [Status.FAILED, Status.SENT, Status.SENT]
    assert "User unknown in virtual mailbox table" in ((await harness.notices())[0].last_error or "")


async def test_greylisting_ends_within_a_minute(sqlite: Database, postfix: Postfix) -> None:
    """postgrey refuses each reader once; the server counts as healthy meanwhile."""
    harness = _outbox(sqlite, postfix, "greylisted")
    for number, reader in enumerate((DANA, LEE, OPS), start=1):
        await harness.add(number, recipient=reader)
    assert await harness.deliver() == (0, [FailureScope.ADDRESS] * 3)
    assert not harness.counts.paused
    time.sleep(GREYLISTED_SECONDS + 1)  # postgrey's clock counts in whole seconds
    assert await harness.deliver(NOW + BACK_OFF[0]) == (3, [])


async def test_readers_at_a_refused_domain_keep_no_mail_from_the_others(sqlite: Database, postfix: Postfix) -> None:
    """A relay that takes mail for one domain only: all others arrive, the operator's first, and nothing is given up."""
    harness = _outbox(sqlite, postfix, "open")
    for number in range(6):
        await harness.add(number, recipient=f"csm{number}@elsewhere.example", due=NOW - MINUTE)
    for number, reader in enumerate((DANA, LEE), start=6):
        await harness.add(number, recipient=reader)
    await harness.add(8, recipient=OPS, audience="operator")
    now = NOW
    for _ in range(8):
        await harness.deliver(now)
        now += 5 * MINUTE
    assert await harness.statuses() == [Status.PENDING] * 6 + [Status.SENT] * 3
    refused = (await harness.notices())[0].last_error or ""
    assert "554 5.7.1 <<address>>: Relay access denied" in refused


async def test_one_reader_whom_a_relay_refuses_is_no_failure_of_the_server(sqlite: Database, postfix: Postfix) -> None:
    """However often it is tried: the server counts as healthy, and the notice is given up after three days."""
    harness = _outbox(sqlite, postfix, "open")
    await harness.add(1, recipient=ELSEWHERE, attempts=70, last_error="554 5.7.1 Relay access denied")
    for hour in range(8):
        await harness.deliver(NOW + hour * HOURS)
        assert not harness.counts.paused
    (notice,) = await harness.notices()
    assert notice.status == Status.FAILED
    assert (notice.last_error or "").startswith("given up after 75 attempts: ")


async def test_the_operator_hears_of_readers_who_are_refused_before_they_are_given_up(
    sqlite: Database, postfix: Postfix
) -> None:
    """By an email that the same server takes: whom it refuses, in its own words, once; greylisting is no news."""
    harness = _outbox(sqlite, postfix, "open")
    await harness.add(1, recipient=ELSEWHERE)
    policy = replace(a_policy(), operator_mail=OPS)
    for minutes in (0, 1, 6, 21, 22, 81, 82):
        now = NOW + minutes * MINUTE
        await harness.deliver(now)
        await write_failure_notice(sqlite, policy, Renderer(), now)
        assert len(await harness.notices()) == (1 if minutes < 21 else 2)
    assert await harness.statuses() == [Status.PENDING, Status.SENT]
    (subject,) = _delivered(postfix, "ops")
    assert subject.endswith(f"a notice did not reach {ELSEWHERE}")
    told = " ".join(postfix.mails("ops")[0].get_body(("plain",)).get_content().split())  # type: ignore[union-attr]
    assert "554 5.7.1 <<address>>: Relay access denied" in told
    assert "tried again every hour" in told


async def test_a_refused_operators_mail_is_not_in_the_way(sqlite: Database, postfix: Postfix) -> None:
    """Although the operator's go first, one that is refused whenever it is tried leaves room for the others."""
    harness = _outbox(sqlite, postfix, "open")
    await harness.add(0, recipient=ELSEWHERE, audience="operator")
    await harness.deliver()
    await harness.add(1, recipient=DANA)
    for minutes in range(1, 11):
        await harness.deliver(NOW + minutes * MINUTE)
    assert await harness.statuses() == [Status.PENDING, Status.SENT]


async def test_a_readers_name_and_an_internationalized_domain_pass_a_real_server(
    sqlite: Database, postfix: Postfix
) -> None:
    """The envelope is in ASCII, and the name arrives as it was written."""
    await sync(sqlite, replace(a_tenant("acme"), csm_name="Reyes, Žofie", csm_email=DANA))
    harness = _outbox(sqlite, postfix, "open")
    await harness.add(1, recipient=DANA, tenant_id="acme")
    await harness.add(2, recipient="dana@bücher.example")
    await harness.deliver()
    assert _delivered(postfix, "dana") == ["Notice 1"]
    assert str(postfix.mails("dana")[0]["To"]) == f'"Reyes, Žofie" <{DANA}>'
    assert "<dana@xn--bcher-kva.example>" in (postfix.home / "log").read_text()
