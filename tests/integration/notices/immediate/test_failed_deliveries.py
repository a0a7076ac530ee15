"""Notices that did not reach their readers: reported once, retried, or dropped."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from monitor.config.settings import NoticesMode
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice
from monitor.notices.operator_actions import drop, retry
from monitor.store.database import Database
from monitor.store.tables import NOTICE, OPERATOR_ACTION, TENANT
from tests.composer import ComposerHarness
from tests.notices import NOW, OPERATOR, SETTLE, a_policy

LOST = EventKind.LOST
LATER = NOW + SETTLE


@pytest.fixture
def harness(database: Database) -> ComposerHarness:
    return ComposerHarness(database)


async def _fails(harness: ComposerHarness, *tenants: str, at: datetime = NOW, **facts: Any) -> None:
    """The notices to these tenants' CSMs are refused for good."""
    async with harness.database.writing() as conn:
        failed = {"status": Status.FAILED, "failed_at": at, "last_error": "550 No such user", "next_attempt_at": None}
        await conn.execute(update(NOTICE).where(NOTICE.c.tenant_id.in_(tenants)).values(failed | facts))


async def test_the_operator_gets_one_email_about_failed_notices(harness: ComposerHarness) -> None:
    """Everything that fails within a settle time is one email, which says who missed what; it is reported once."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.add_event(LOST, "GET: List offers", "globex")
    await harness.run()
    await _fails(harness, "acme")
    await harness.run(LATER - timedelta(seconds=1))
    assert len(await harness.notices(Status.PENDING)) == 1
    await _fails(harness, "globex", at=LATER)
    for now in (LATER, LATER + SETTLE):
        await harness.run(now)
    (report,) = await harness.notices(Status.PENDING)
    assert (report.recipient, report.subject) == (OPERATOR, "Action: 2 notices did not reach their readers")
    async with harness.database.reading() as conn:
        text = (await conn.execute(select(NOTICE.c.text).where(NOTICE.c.id == report.id))).scalar_one()
    for said in ("dana+acme@vendor.example", "Greenhouse permission missing (List offers)", "550 No such user"):
        assert said in text


async def test_what_is_refused_again_and_again_is_reported_once_and_again_when_it_is_given_up(
    harness: ComposerHarness,
) -> None:
    """Together with what failed; an outage of the mail server, which leaves no attempts, is not reported by email."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.add_event(LOST, "GET: List offers", "globex")
    await harness.run()
    refused = {"status": Status.PENDING, "failed_at": None, "next_attempt_at": LATER + 9 * SETTLE}
    await _fails(harness, "acme", **refused, attempts=0)
    await harness.run(LATER)
    assert _reports(await harness.notices(Status.PENDING)) == []
    await _fails(harness, "acme", **refused, attempts=4)
    await _fails(harness, "globex")
    for now in (LATER, LATER + SETTLE):
        await harness.run(now)
    (report,) = _reports(await harness.notices(Status.PENDING))
    assert report.subject.endswith("2 notices did not reach their readers")
    async with harness.database.reading() as conn:
        text = (await conn.execute(select(NOTICE.c.text).where(NOTICE.c.id == report.id))).scalar_one()
    assert text.index("dana+globex@") < text.index("refused at every attempt") < text.index("dana+acme@")
    await _fails(harness, "acme", at=LATER + SETTLE, reported_at=None)
    await harness.run(LATER + 3 * SETTLE)
    *_, last = _reports(await harness.notices(Status.PENDING))
    assert last.subject.endswith("a notice did not reach dana+acme@vendor.example")


def _reports(notices: list[ListedNotice]) -> list[ListedNotice]:
    return [notice for notice in notices if notice.recipient == OPERATOR]


async def test_the_operators_own_failed_notices_are_not_reported_by_email(harness: ComposerHarness) -> None:
    """An operator who cannot be reached gets no email about that, nor about a failed report of other failures."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.run(mode=NoticesMode.OPERATOR)
    await _fails(harness, "acme", recipient=OPERATOR.upper())
    await harness.run(LATER)
    assert await harness.notices(Status.PENDING) == []
    await harness.add_event(LOST, "GET: List jobs", "globex")
    await harness.run(LATER)
    await _fails(harness, "globex")
    await harness.run(LATER + SETTLE)
    async with harness.database.writing() as conn:
        failed = {"status": Status.FAILED, "failed_at": LATER + SETTLE, "next_attempt_at": None}
        await conn.execute(update(NOTICE).where(NOTICE.c.status == Status.PENDING).values(failed))
    await harness.run(LATER + 10 * SETTLE)
    assert await harness.notices(Status.PENDING) == []


async def test_failed_notices_are_not_reported_with_notices_off(harness: ComposerHarness) -> None:
    """The gauge and the list remain."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.run()
    await _fails(harness, "acme")
    await harness.run(LATER, mode=NoticesMode.OFF)
    assert await harness.notices(Status.PENDING) == []


async def test_a_retry_has_a_fresh_schedule_and_the_current_csm(harness: ComposerHarness) -> None:
    """It goes to the CSM in the tenants file now, at once, and is reported again if it fails again."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.add_event(LOST, "GET: List offers", "globex")
    await harness.run()
    await _fails(harness, "acme", "globex", attempts=75)
    await harness.run(LATER)
    async with harness.database.writing() as conn:
        await conn.execute(update(TENANT).where(TENANT.c.id == "acme").values(csm_email="lee@vendor.example"))
        await conn.execute(update(TENANT).where(TENANT.c.id == "globex").values(csm_email=None))
    first, second = [notice.id for notice in await harness.notices(Status.FAILED)]
    assert await retry(harness.database, LATER, "ops", a_policy(), "address corrected", [first, 999]) == [first]
    assert await retry(harness.database, LATER, "ops", a_policy(NoticesMode.OPERATOR)) == [second]
    assert await retry(harness.database, LATER, "ops", a_policy()) == []
    retried = [notice for notice in await harness.notices(Status.PENDING) if notice.audience == Audience.CSM]
    readers = ["lee@vendor.example", "dana+globex@vendor.example"]
    assert [(n.recipient, n.attempts, n.next_attempt_at, n.failed_at) for n in retried] == [
        (reader, 0, LATER, None) for reader in readers
    ]
    async with harness.database.reading() as conn:
        actions = [dict(row) for row in (await conn.execute(select(OPERATOR_ACTION))).mappings()]
    assert [(action["action"], action["subject"], action["reason"]) for action in actions] == [
        ("notices retry", f"notice {first}", "address corrected"),
        ("notices retry", f"notice {second}", ""),
    ]
    await _fails(harness, "acme", at=LATER)
    await harness.run(LATER + SETTLE)
    subjects = [notice.subject for notice in await harness.notices(Status.PENDING)]
    assert subjects.count("Action: a notice did not reach lee@vendor.example") == 1


async def test_an_email_that_went_to_the_operator_is_retried_there(harness: ComposerHarness) -> None:
    """A redirected email says so in its text, and a retry does not send it to the CSM."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.run(mode=NoticesMode.OPERATOR)
    await _fails(harness, "acme")
    await retry(harness.database, LATER, "ops", a_policy())
    assert [notice.recipient for notice in await harness.notices(Status.PENDING)] == [OPERATOR]


async def test_a_failed_notice_is_dropped_by_name_only(harness: ComposerHarness) -> None:
    """Dropping held notices leaves failed ones; a named failed one is dropped."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.run()
    await _fails(harness, "acme")
    (failed,) = await harness.notices(Status.FAILED)
    assert await drop(harness.database, NOW, "ops") == []
    assert await drop(harness.database, NOW, "ops", ids=[failed.id]) == [failed.id]
    assert (await harness.notices())[0].status == Status.DROPPED
