"""Causes in a database become notices in one transaction, on SQLite and on Postgres."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from monitor.config.settings import NoticesMode
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.cause_queries import still_missing
from monitor.notices.content.messages import Message
from monitor.notices.content.render import RenderedMessage, Renderer
from monitor.notices.notice import Status
from monitor.notices.operator_actions import drop, listing, release
from monitor.store.database import Database
from monitor.store.tables import CAUSE, DRIFT_EVENT, NOTICE, OPERATOR_ACTION
from tests.notices import NOW, OPERATOR, SETTLE
from tests.store import rows
from tests.world import World

LOST, REGAINED = EventKind.LOST, EventKind.REGAINED
LATER = NOW + SETTLE


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_ripe_causes_become_a_notice(world: World) -> None:
    """One run writes the tenant's notice, ready to be sent, and settles exactly the causes it reports."""
    ripe = [await world.happens(LOST, "GET: List offers"), await world.happens(LOST, "GET: List jobs", at=NOW)]
    young = await world.happens(LOST, "GET: List jobs", "globex", at=NOW)
    assert await world.run() == 1
    (notice,) = await world.notices()
    assert (notice.tenant_id, notice.recipient, notice.status) == ("acme", "dana+acme@vendor.example", Status.PENDING)
    assert (notice.subject, notice.next_attempt_at) == ("Acme: 2 Greenhouse permissions missing", NOW)
    assert await world.causes() == {ripe[0]: (True, notice.id), ripe[1]: (True, notice.id), young: (False, None)}


async def test_a_second_run_finds_nothing(world: World) -> None:
    """A cause is reported once."""
    await world.happens(LOST, "GET: List offers")
    assert (await world.run(), await world.run()) == (1, 0)


async def test_what_cancelled_out_is_settled_without_a_notice(world: World) -> None:
    """Lost and regained within the settle time leaves two settled causes and no notice."""
    causes = [await world.happens(LOST, "GET: List offers"), await world.happens(REGAINED, "GET: List offers", at=NOW)]
    assert await world.run() == 0
    assert await world.causes() == dict.fromkeys(causes, (True, None))


async def test_the_end_goes_to_the_reader_of_the_beginning(world: World) -> None:
    """A regained permission is reported if the loss was reported, and not otherwise."""
    await world.happens(LOST, "GET: List offers")
    await world.run()
    await world.happens(REGAINED, "GET: List offers", at=NOW + timedelta(hours=1))
    await world.happens(REGAINED, "GET: List jobs", at=NOW + timedelta(hours=1))
    assert await world.run(NOW + timedelta(hours=2)) == 1
    assert [notice.subject for notice in await world.notices()] == [
        "Acme: Greenhouse permission missing: GET: List offers",
        "Acme: Greenhouse permission is back: GET: List offers",
    ]


async def test_an_end_is_reported_after_a_flicker(world: World) -> None:
    """Reported as lost, back and lost again within the settle time, then back for good: one loss, one regain."""
    await world.happens(LOST, "GET: List offers")
    await world.run()
    for kind in (REGAINED, LOST):
        await world.happens(kind, "GET: List offers", at=NOW + timedelta(hours=1))
    assert await world.run(NOW + timedelta(hours=2)) == 0
    await world.happens(REGAINED, "GET: List offers", at=NOW + timedelta(hours=5))
    assert await world.run(NOW + timedelta(hours=6)) == 1
    assert (await world.notices())[-1].subject == "Acme: Greenhouse permission is back: GET: List offers"


async def test_a_dropped_beginning_has_no_end(world: World) -> None:
    """If the operator dropped a notice, the end of its causes is not reported."""
    await world.burst(LOST, 3)
    await world.run()
    await drop(world.database, NOW, "ops")
    back = await world.burst(REGAINED, 3, at=NOW)
    assert await world.run(LATER) == 0
    causes = await world.causes()
    assert [causes[cause] for cause in back] == [(True, None)] * 3


async def test_an_end_is_of_one_credential(world: World) -> None:
    """An event of another credential of the tenant is not its beginning."""
    await world.happens(LOST, "GET: List offers")
    await world.run()
    world.credentials["acme"] = await world.add_credential("acme", "Second key")
    await world.happens(REGAINED, "GET: List offers", at=NOW)
    assert await world.run(LATER) == 0


async def test_an_end_goes_to_the_reader_of_the_beginning_even_if_the_audience_changed(world: World) -> None:
    """Another reader would be notified of such a trouble by now."""
    await world.happens(EventKind.CREDENTIAL_FAILED)
    await world.run()
    await world.happens(EventKind.RECOVERED, audience=Audience.OPERATOR, at=NOW)
    assert await world.run(LATER) == 1
    assert [notice["audience"] for notice in await rows(world.database, NOTICE)] == ["csm", "csm"]


@pytest.mark.parametrize(
    ("state", "status", "named"),
    [
        ({}, Status.SENT, True),
        ({}, Status.PENDING, True),
        ({}, Status.DROPPED, False),  # the CSM was never notified
        ({"verdict": "granted"}, Status.SENT, False),
        ({"verdict": None}, Status.SENT, False),  # declined, or not decided under a new key
        ({"origin": "found"}, Status.SENT, False),  # lost once, regained since, and never granted to the new key
    ],
)
async def test_what_is_still_missing_was_reported_and_lasts(
    world: World, state: dict[str, Any], status: Status, named: bool
) -> None:
    """Only what the CSM was notified of, and what is still missing, is named again."""
    await world.happens(LOST, "GET: List jobs")
    await world.run()
    await world.knows("GET: List jobs", **state)
    async with world.database.writing() as conn:
        await conn.execute(update(NOTICE).values(status=status))
    await world.happens(REGAINED, "GET: List offers", at=NOW)
    async with world.database.reading() as conn:
        missing = await still_missing(conn)
    assert [permission.label for permission in missing] == ["GET: List jobs"] * named


async def test_what_is_still_missing_is_searched_only_where_something_ended(world: World) -> None:
    """Tenants without good news are left out, whatever is missing there."""
    await world.happens(LOST, "GET: List jobs")
    await world.run()
    await world.knows("GET: List jobs")
    await world.happens(LOST, "GET: List offers", at=NOW)
    await world.happens(REGAINED, "GET: List offers", "globex", at=NOW)
    async with world.database.reading() as conn:
        assert await still_missing(conn) == ()


async def test_an_email_of_a_recovery_names_what_is_still_missing(world: World) -> None:
    """The email about what is back also names what is still missing from an earlier one."""
    for label in ("GET: List offers", "GET: List jobs"):
        await world.happens(LOST, label)
    await world.run()
    await world.knows("GET: List jobs")
    await world.happens(REGAINED, "GET: List offers", at=NOW)
    await world.run(LATER)
    async with world.database.reading() as conn:
        text = (await conn.execute(select(NOTICE.c.text).order_by(NOTICE.c.id.desc()).limit(1))).scalar_one()
    assert "Still missing, as we wrote to you before:\n\nJobs\n  - GET: List jobs\n" in text


async def test_a_burst_is_held_until_released(world: World) -> None:
    """Nothing of a burst is sent and the operator is notified once; a release makes it all due, and is recorded."""
    await world.burst(LOST, 3)
    assert await world.run() == 4
    held = await world.notices(Status.HELD)
    (brake,) = await world.notices(Status.PENDING)
    assert (len(held), brake.recipient, brake.audience) == (3, OPERATOR, Audience.OPERATOR)
    assert "3 tenants lost the permission" in brake.subject
    assert await release(world.database, LATER, "ops", "checked it") == [notice.id for notice in held]
    assert [n.next_attempt_at for n in await world.notices(Status.PENDING) if n.audience == Audience.CSM] == [LATER] * 3
    async with world.database.reading() as conn:
        since = select(NOTICE.c.pending_since).where(NOTICE.c.status == Status.PENDING).order_by(NOTICE.c.id)
        assert list((await conn.execute(since)).scalars()) == [LATER] * 3 + [NOW]
    async with world.database.reading() as conn:
        (action,) = (await conn.execute(select(OPERATOR_ACTION))).mappings()
    assert (action["who"], action["action"], action["reason"]) == ("ops", "notices release", "checked it")
    assert action["subject"] == ", ".join(f"notice {notice.id}" for notice in held)


async def test_single_notices_can_be_released_and_dropped(world: World) -> None:
    """An operator may decide one by one; what is not held is untouched, and only a change is recorded."""
    await world.burst(LOST, 3)
    await world.run()
    first, second, third = [notice.id for notice in await world.notices(Status.HELD)]
    assert await release(world.database, NOW, "ops", ids=[first]) == [first]
    assert await drop(world.database, NOW, "ops", ids=[first, second]) == [second]
    assert await release(world.database, NOW, "ops", ids=[second]) == []
    assert [notice.id for notice in await world.notices(Status.HELD)] == [third]
    async with world.database.reading() as conn:
        assert (await conn.execute(select(func.count()).select_from(OPERATOR_ACTION))).scalar_one() == 2


async def test_later_notices_of_a_burst_are_held(world: World) -> None:
    """More of the same kind is held while a burst is held, and the operator is not notified again."""
    await world.burst(LOST, 3)
    await world.run()
    await world.happens(LOST, "GET: List offers", "late", at=NOW)
    assert await world.run(LATER) == 1
    assert (await world.notices())[-1].status == Status.HELD


async def test_a_burst_that_passes_leaves_nothing(world: World) -> None:
    """An outage that ends by itself: what was held is dropped, and no CSM is notified of either."""
    lost = await world.burst(LOST, 3)
    await world.run()
    back = await world.burst(REGAINED, 3, at=NOW)
    assert await world.run(LATER) == 0
    assert {notice.status for notice in await world.notices() if notice.audience == Audience.CSM} == {Status.DROPPED}
    assert all(settled for settled, _ in (await world.causes()).values())
    assert await release(world.database, LATER, "ops") == []
    assert set(await world.causes()) == {*lost, *back}


async def test_news_of_a_held_tenant_is_one_held_notice(world: World) -> None:
    """The held notice is replaced by one that reports everything, with all causes."""
    causes = await world.burst(LOST, 3)
    await world.run()
    news = await world.happens(LOST, "GET: List jobs", "burst0", at=NOW)
    assert await world.run(LATER) == 1
    held = [notice for notice in await world.notices(Status.HELD) if notice.tenant_id == "burst0"]
    assert [notice.subject for notice in held] == ["Burst0: 2 Greenhouse permissions missing"]
    settled = await world.causes()
    assert settled[causes[0]] == settled[news] == (True, held[0].id)


class _Overtaken(Renderer):
    """While it renders its first message, between the composer's reading and writing, something else happens."""

    def __init__(self, meanwhile: Callable[[], Coroutine[Any, Any, object]]) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._meanwhile: Callable[[], Coroutine[Any, Any, object]] | None = meanwhile

    def render(self, message: Message) -> RenderedMessage:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            asyncio.run_coroutine_threadsafe(meanwhile(), self._loop).result()
        return super().render(message)


async def test_only_one_of_two_composers_writes(world: World) -> None:
    """A composer whose causes were settled by another one meanwhile writes nothing at all."""
    await world.happens(LOST, "GET: List offers")
    await world.happens(LOST, "GET: List offers", "globex")
    assert await world.run(renderer=_Overtaken(world.run)) == 0
    assert [notice.tenant_id for notice in await world.notices()] == ["acme", "globex"]


async def test_a_release_is_not_undone_by_a_composer(world: World) -> None:
    """A notice released while a composer was replacing it goes out as it is; the news follows in the next run."""
    await world.burst(LOST, 3)
    await world.run()
    news = await world.happens(LOST, "GET: List jobs", "burst0", at=NOW)
    assert await world.run(LATER, renderer=_Overtaken(lambda: release(world.database, LATER, "ops"))) == 0
    assert await world.notices(Status.HELD, Status.DROPPED) == []
    assert (await world.causes())[news] == (False, None)
    assert await world.run(LATER) == 1
    assert (await world.notices())[-1].subject == "Burst0: Greenhouse permission missing: GET: List jobs"


async def test_a_cause_of_another_clock_is_reported(world: World) -> None:
    """Written while the clock was a year ahead, it does not wait for a year; a small clock skew changes nothing."""
    await world.happens(LOST, "GET: List offers", at=NOW + timedelta(days=365))
    assert await world.run() == 1
    await world.happens(LOST, "GET: List jobs", "globex", at=NOW + timedelta(seconds=30))
    assert await world.run() == 0
    assert await world.run(LATER + timedelta(seconds=30)) == 1


async def test_modes_change_who_is_notified(world: World) -> None:
    """Operator mode notifies the operator only; off notifies nobody, and nothing piles up."""
    await world.happens(LOST, "GET: List offers")
    assert await world.run(mode=NoticesMode.OPERATOR) == 1
    cause = await world.happens(LOST, "GET: List jobs")
    assert await world.run(mode=NoticesMode.OFF) == 0
    assert [notice.recipient for notice in await world.notices()] == [OPERATOR]
    assert (await world.causes())[cause] == (True, None)


async def test_the_brake_counts_the_tenants_checked_since_the_first_changed(world: World) -> None:
    """Four alike are more than chance explains among 60 checked since, and not among 600; removed ones do not count."""
    await world.burst(LOST, 4)
    for number in range(600):
        since = NOW - SETTLE - timedelta(seconds=number < 540)
        await world.add_tenant(f"other{number}", last_checked_at=since)
    await world.run()
    assert len(await world.notices(Status.HELD)) == 4
    await drop(world.database, NOW, "ops")
    await world.checked(NOW + timedelta(hours=5))
    for number in range(4):
        await world.happens(LOST, "GET: List jobs", f"burst{number}", at=NOW + timedelta(hours=5))
    await world.run(NOW + timedelta(hours=5) + SETTLE)
    assert await world.notices(Status.HELD) == []


async def test_the_brake_counts_those_who_were_notified(world: World) -> None:
    """Two of a wave were notified before the third changed: that one is held, within one interval of the first."""
    for number, hours in enumerate((0, 1, 2)):
        await world.happens(LOST, "GET: List offers", f"t{number}", at=NOW + timedelta(hours=hours))
        await world.run(NOW + timedelta(hours=hours) + SETTLE)
    statuses = [notice.status for notice in await world.notices() if notice.audience == Audience.CSM]
    assert statuses == [Status.PENDING, Status.PENDING, Status.HELD]


async def test_the_brake_forgets_after_one_interval(world: World) -> None:
    """A third loss five hours after the first two is not part of the same wave."""
    for number, hours in enumerate((0, 1, 5)):
        await world.happens(LOST, "GET: List offers", f"t{number}", at=NOW + timedelta(hours=hours))
        await world.run(NOW + timedelta(hours=hours) + SETTLE)
    assert {notice.status for notice in await world.notices()} == {Status.PENDING}


async def test_a_different_permission_each_is_a_wave(world: World) -> None:
    """Three of three tenants lost something within minutes: their emails are held."""
    for number in range(3):
        await world.happens(LOST, f"GET: Number {number}", f"t{number}")
    await world.run()
    assert len(await world.notices(Status.HELD)) == 3


async def test_the_operator_is_kept_up_to_date_about_a_wave(world: World) -> None:
    """Another email when the number has doubled, and not for each tenant, nor within the settle time."""
    await world.burst(LOST, 3)
    await world.run()
    subjects = []
    for minutes in range(0, 60, 5):
        now = NOW + timedelta(minutes=minutes)
        await world.happens(LOST, "GET: List offers", f"late{minutes}", at=now - SETTLE)
        await world.run(now)
        subjects = [notice.subject for notice in await world.notices() if notice.audience == Audience.OPERATOR]
    assert [re.sub(r"\D*(\d+) tenants.*", r"\1", subject) for subject in subjects] == ["3", "7", "14"]
    assert subjects[1].startswith("Harvest Monitor: mail to CSMs is still held: now 7 tenants lost the permission")


async def test_more_causes_than_a_statement_can_hold(world: World) -> None:
    """A first sweep's causes are settled in batches."""
    await world.add_tenant("acme")
    event = {"at": NOW, "kind": "found", "tenant_id": "acme", "credential_id": world.credentials["acme"], "detail": ""}
    async with world.database.writing() as conn:
        rows = [
            event | {"id": n, "permission_id": f"p{n}", "permission_label": f"P{n}", "permission_group": "G"}
            for n in range(1, 2502)
        ]
        await conn.execute(insert(DRIFT_EVENT), rows)
        cause = {"tenant_id": "acme", "audience": "operator", "brake_key": "found", "created_at": NOW - SETTLE}
        await conn.execute(insert(CAUSE), [cause | {"event_id": n} for n in range(1, 2502)])
    assert await world.run() == 1
    assert all(settled for settled, _ in (await world.causes()).values())


async def test_a_list_can_be_filtered(world: World) -> None:
    """By status and by tenant, the newest first, and up to the limit."""
    await world.happens(LOST, "GET: List offers")
    await world.happens(LOST, "GET: List offers", "globex")
    await world.run()
    assert [notice.tenant_id for notice in await listing(world.database)] == ["globex", "acme"]
    assert [notice.tenant_id for notice in await listing(world.database, tenant_id="acme")] == ["acme"]
    assert len(await listing(world.database, limit=1)) == 1
    assert await listing(world.database, [Status.SENT]) == []


async def test_a_write_alarm_is_due_at_once_and_written_once(world: World) -> None:
    """It never waits; the same alarm written again is the same notice, another alarm is another one."""
    await world.add_tenant("acme")
    for _ in range(2):
        await world.alarm()
    (notice,) = await world.notices(Status.PENDING)
    assert (notice.recipient, notice.next_attempt_at) == (OPERATOR, NOW)
    assert notice.subject == "Harvest Monitor: write probes stopped: POST /v1/candidates answered 201 for Acme Corp"
    await world.alarm(at=LATER)
    assert len(await world.notices()) == 2


async def test_a_write_alarm_is_not_written_with_notices_off(world: World) -> None:
    """The stop itself and its metric remain."""
    await world.add_tenant("acme")
    await world.alarm(NoticesMode.OFF)
    assert await world.notices() == []
