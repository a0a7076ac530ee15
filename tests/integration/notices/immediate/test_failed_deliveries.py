"""Notices that did not reach their readers: reported once, retried, or dropped."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from monitor.config.settings import NoticesMode
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.notice import Status
from monitor.notices.operator_actions import drop, retry
from monitor.store.database import Database
from monitor.store.tables import NOTICE, OPERATOR_ACTION, TENANT
from tests.notices import NOW, OPERATOR, SETTLE, a_policy
from tests.world import World

LOST = EventKind.LOST
LATER = NOW + SETTLE


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def _fails(world: World, *tenants: str, at: datetime = NOW, **facts: Any) -> None:
    """The notices to these tenants' CSMs are refused for good."""
    async with world.database.writing() as conn:
        failed = {"status": Status.FAILED, "failed_at": at, "last_error": "550 No such user", "next_attempt_at": None}
        await conn.execute(update(NOTICE).where(NOTICE.c.tenant_id.in_(tenants)).values(failed | facts))


async def test_the_operator_gets_one_email_about_failed_notices(world: World) -> None:
    """Everything that fails within a settle time is one email, which says who missed what; it is reported once."""
    await world.happens(LOST, "GET: List offers")
    await world.happens(LOST, "GET: List offers", "globex")
    await world.run()
    await _fails(world, "acme")
    await world.run(LATER - timedelta(seconds=1))
    assert len(await world.notices(Status.PENDING)) == 1
    await _fails(world, "globex", at=LATER)
    for now in (LATER, LATER + SETTLE):
        await world.run(now)
    (report,) = await world.notices(Status.PENDING)
    assert (report.recipient, report.subject) == (OPERATOR, "Harvest Monitor: 2 notices did not reach their readers")
    async with world.database.reading() as conn:
        text = (await conn.execute(select(NOTICE.c.text).where(NOTICE.c.id == report.id))).scalar_one()
    for said in ("dana+acme@vendor.example", "Greenhouse permission missing: GET: List offers", "550 No such user"):
        assert said in text


async def test_the_operators_own_failed_notices_are_not_reported_by_email(world: World) -> None:
    """An operator who cannot be reached gets no email about that, nor about a failed report of other failures."""
    await world.happens(LOST, "GET: List offers")
    await world.run(mode=NoticesMode.OPERATOR)
    await _fails(world, "acme", recipient=OPERATOR.upper())
    await world.run(LATER)
    assert await world.notices(Status.PENDING) == []
    await world.happens(LOST, "GET: List jobs", "globex")
    await world.run(LATER)
    await _fails(world, "globex")
    await world.run(LATER + SETTLE)
    async with world.database.writing() as conn:
        failed = {"status": Status.FAILED, "failed_at": LATER + SETTLE, "next_attempt_at": None}
        await conn.execute(update(NOTICE).where(NOTICE.c.status == Status.PENDING).values(failed))
    await world.run(LATER + 10 * SETTLE)
    assert await world.notices(Status.PENDING) == []


async def test_failed_notices_are_not_reported_with_notices_off(world: World) -> None:
    """The gauge and the list remain."""
    await world.happens(LOST, "GET: List offers")
    await world.run()
    await _fails(world, "acme")
    await world.run(LATER, mode=NoticesMode.OFF)
    assert await world.notices(Status.PENDING) == []


async def test_a_retry_has_a_fresh_schedule_and_the_current_csm(world: World) -> None:
    """It goes to the CSM in the tenants file now, at once, and is reported again if it fails again."""
    await world.happens(LOST, "GET: List offers")
    await world.happens(LOST, "GET: List offers", "globex")
    await world.run()
    await _fails(world, "acme", "globex", attempts=75)
    await world.run(LATER)
    async with world.database.writing() as conn:
        await conn.execute(update(TENANT).where(TENANT.c.id == "acme").values(csm_email="lee@vendor.example"))
        await conn.execute(update(TENANT).where(TENANT.c.id == "globex").values(csm_email=None))
    first, second = [notice.id for notice in await world.notices(Status.FAILED)]
    assert await retry(world.database, LATER, "ops", a_policy(), "address corrected", [first, 999]) == [first]
    assert await retry(world.database, LATER, "ops", a_policy(NoticesMode.OPERATOR)) == [second]
    assert await retry(world.database, LATER, "ops", a_policy()) == []
    retried = [notice for notice in await world.notices(Status.PENDING) if notice.audience == Audience.CSM]
    readers = ["lee@vendor.example", "dana+globex@vendor.example"]
    assert [(n.recipient, n.attempts, n.next_attempt_at, n.failed_at) for n in retried] == [
        (reader, 0, LATER, None) for reader in readers
    ]
    async with world.database.reading() as conn:
        actions = [dict(row) for row in (await conn.execute(select(OPERATOR_ACTION))).mappings()]
    assert [(action["action"], action["subject"], action["reason"]) for action in actions] == [
        ("notices retry", f"notice {first}", "address corrected"),
        ("notices retry", f"notice {second}", ""),
    ]
    await _fails(world, "acme", at=LATER)
    await world.run(LATER + SETTLE)
    subjects = [notice.subject for notice in await world.notices(Status.PENDING)]
    assert subjects.count("Harvest Monitor: a notice did not reach lee@vendor.example") == 1


async def test_an_email_that_went_to_the_operator_is_retried_there(world: World) -> None:
    """A redirected email says so in its text, and a retry does not send it to the CSM."""
    await world.happens(LOST, "GET: List offers")
    await world.run(mode=NoticesMode.OPERATOR)
    await _fails(world, "acme")
    await retry(world.database, LATER, "ops", a_policy())
    assert [notice.recipient for notice in await world.notices(Status.PENDING)] == [OPERATOR]


async def test_a_failed_notice_is_dropped_by_name_only(world: World) -> None:
    """Dropping held notices leaves failed ones; a named failed one is dropped."""
    await world.happens(LOST, "GET: List offers")
    await world.run()
    await _fails(world, "acme")
    (failed,) = await world.notices(Status.FAILED)
    assert await drop(world.database, NOW, "ops") == []
    assert await drop(world.database, NOW, "ops", ids=[failed.id]) == [failed.id]
    assert (await world.notices())[0].status == Status.DROPPED
