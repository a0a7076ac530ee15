"""Causes in a database become notices in one transaction, on SQLite and on Postgres."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from monitor.assembly import Assembly
from monitor.config.settings import NoticesMode, Settings
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.metrics import Metrics
from monitor.notices.cause_queries import still_missing
from monitor.notices.content.messages import Message
from monitor.notices.content.render import RenderedMessage, Renderer
from monitor.notices.notice import Status
from monitor.notices.operator_actions import drop, listing, release, show
from monitor.store.database import Database
from monitor.store.tables import CAUSE, DRIFT_EVENT, NOTICE, OPERATOR_ACTION, PERMISSION_STATE
from tests.composer import ComposerHarness
from tests.notices import NOW, OPERATOR, SETTLE
from tests.paths import FIXTURES
from tests.store import rows

LOST, REGAINED = EventKind.LOST, EventKind.REGAINED
LATER = NOW + SETTLE


@pytest.fixture
def harness(database: Database) -> ComposerHarness:
    return ComposerHarness(database)


async def test_ripe_causes_become_a_notice(harness: ComposerHarness) -> None:
    """One run writes the tenant's notice, ready to be sent, and settles exactly the causes it reports."""
    ripe = [await harness.add_event(LOST, "GET: List offers"), await harness.add_event(LOST, "GET: List jobs", at=NOW)]
    young = await harness.add_event(LOST, "GET: List jobs", "globex", at=NOW)
    assert await harness.run() == 1
    (notice,) = await harness.notices()
    assert (notice.tenant_id, notice.recipient, notice.status) == ("acme", "dana+acme@vendor.example", Status.PENDING)
    assert (notice.subject, notice.next_attempt_at) == (
        "Acme: 2 Greenhouse permissions missing (List offers, List jobs)",
        NOW,
    )
    assert await harness.causes() == {ripe[0]: (True, notice.id), ripe[1]: (True, notice.id), young: (False, None)}


async def test_a_second_run_finds_nothing(harness: ComposerHarness) -> None:
    """A cause is reported once."""
    await harness.add_event(LOST, "GET: List offers")
    assert (await harness.run(), await harness.run()) == (1, 0)


async def test_what_cancelled_out_is_settled_without_a_notice(harness: ComposerHarness) -> None:
    """Lost and regained within the settle time leaves two settled causes and no notice."""
    causes = [
        await harness.add_event(LOST, "GET: List offers"),
        await harness.add_event(REGAINED, "GET: List offers", at=NOW),
    ]
    assert await harness.run() == 0
    assert await harness.causes() == dict.fromkeys(causes, (True, None))


async def test_the_end_goes_to_the_reader_of_the_beginning(harness: ComposerHarness) -> None:
    """A regained permission is reported if the loss was reported, and not otherwise."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.run()
    await harness.add_event(REGAINED, "GET: List offers", at=NOW + timedelta(hours=1))
    await harness.add_event(REGAINED, "GET: List jobs", at=NOW + timedelta(hours=1))
    assert await harness.run(NOW + timedelta(hours=2)) == 1
    assert [notice.subject for notice in await harness.notices()] == [
        "Acme: Greenhouse permission missing (List offers)",
        "Acme: Greenhouse permission restored (List offers)",
    ]


async def test_an_end_is_reported_after_a_flicker(harness: ComposerHarness) -> None:
    """Reported as lost, back and lost again within the settle time, then back for good: one loss, one regain."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.run()
    for kind in (REGAINED, LOST):
        await harness.add_event(kind, "GET: List offers", at=NOW + timedelta(hours=1))
    assert await harness.run(NOW + timedelta(hours=2)) == 0
    await harness.add_event(REGAINED, "GET: List offers", at=NOW + timedelta(hours=5))
    assert await harness.run(NOW + timedelta(hours=6)) == 1
    assert (await harness.notices())[-1].subject == "Acme: Greenhouse permission restored (List offers)"


async def test_a_dropped_beginning_has_no_end(harness: ComposerHarness) -> None:
    """If the operator dropped a notice, the end of its causes is not reported."""
    await harness.burst(LOST, 3)
    await harness.run()
    await drop(harness.database, NOW, "ops")
    back = await harness.burst(REGAINED, 3, at=NOW)
    assert await harness.run(LATER) == 0
    causes = await harness.causes()
    assert [causes[cause] for cause in back] == [(True, None)] * 3


async def test_an_end_is_of_one_credential(harness: ComposerHarness) -> None:
    """An event of another credential of the tenant is not its beginning."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.run()
    harness.credentials["acme"] = await harness.add_credential("acme", "Second key")
    await harness.add_event(REGAINED, "GET: List offers", at=NOW)
    assert await harness.run(LATER) == 0


async def test_an_end_goes_to_the_reader_of_the_beginning_even_if_the_audience_changed(
    harness: ComposerHarness,
) -> None:
    """Another reader would be notified of such a trouble by now."""
    await harness.add_event(EventKind.CREDENTIAL_FAILED)
    await harness.run()
    await harness.add_event(EventKind.RECOVERED, audience=Audience.OPERATOR, at=NOW)
    assert await harness.run(LATER) == 1
    assert [notice["audience"] for notice in await rows(harness.database, NOTICE)] == ["csm", "csm"]


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
    harness: ComposerHarness, state: dict[str, Any], status: Status, named: bool
) -> None:
    """Only what the CSM was notified of, and what is still missing, is named again."""
    await harness.add_event(LOST, "GET: List jobs")
    await harness.run()
    await harness.add_known_state("GET: List jobs", **state)
    async with harness.database.writing() as conn:
        await conn.execute(update(NOTICE).values(status=status))
    await harness.add_event(REGAINED, "GET: List offers", at=NOW)
    async with harness.database.reading() as conn:
        missing = await still_missing(conn)
    assert [permission.label for permission in missing] == ["GET: List jobs"] * named


async def test_what_is_still_missing_is_searched_only_where_something_ended(harness: ComposerHarness) -> None:
    """Tenants without good news are left out, whatever is missing there."""
    await harness.add_event(LOST, "GET: List jobs")
    await harness.run()
    await harness.add_known_state("GET: List jobs")
    await harness.add_event(LOST, "GET: List offers", at=NOW)
    await harness.add_event(REGAINED, "GET: List offers", "globex", at=NOW)
    async with harness.database.reading() as conn:
        assert await still_missing(conn) == ()


async def test_an_email_of_a_recovery_names_what_is_still_missing(harness: ComposerHarness) -> None:
    """The email about what is back also names what is still missing from an earlier one."""
    for label in ("GET: List offers", "GET: List jobs"):
        await harness.add_event(LOST, label)
    await harness.run()
    await harness.add_known_state("GET: List jobs")
    await harness.add_event(REGAINED, "GET: List offers", at=NOW)
    await harness.run(LATER)
    async with harness.database.reading() as conn:
        text = (await conn.execute(select(NOTICE.c.text).order_by(NOTICE.c.id.desc()).limit(1))).scalar_one()
    assert "Still missing, as we wrote to you before:\n\nJobs\n  - GET: List jobs\n" in text


async def test_a_burst_is_held_until_released(harness: ComposerHarness) -> None:
    """Nothing of a burst is sent and the operator is notified once; a release makes it all due, and is recorded."""
    await harness.burst(LOST, 3)
    assert await harness.run() == 4
    held = await harness.notices(Status.HELD)
    (brake,) = await harness.notices(Status.PENDING)
    assert (len(held), brake.recipient, brake.audience) == (3, OPERATOR, Audience.OPERATOR)
    assert "3 tenants lost the permission" in brake.subject
    assert await release(harness.database, LATER, "ops", "checked it") == [notice.id for notice in held]
    assert [n.next_attempt_at for n in await harness.notices(Status.PENDING) if n.audience == Audience.CSM] == [
        LATER
    ] * 3
    async with harness.database.reading() as conn:
        since = select(NOTICE.c.pending_since).where(NOTICE.c.status == Status.PENDING).order_by(NOTICE.c.id)
        assert list((await conn.execute(since)).scalars()) == [LATER] * 3 + [NOW]
    async with harness.database.reading() as conn:
        (action,) = (await conn.execute(select(OPERATOR_ACTION))).mappings()
    assert (action["who"], action["action"], action["reason"]) == ("ops", "notices release", "checked it")
    assert action["subject"] == ", ".join(f"notice {notice.id}" for notice in held)


async def test_single_notices_can_be_released_and_dropped(harness: ComposerHarness) -> None:
    """An operator may decide one by one; what is not held is untouched, and only a change is recorded."""
    await harness.burst(LOST, 3)
    await harness.run()
    first, second, third = [notice.id for notice in await harness.notices(Status.HELD)]
    assert await release(harness.database, NOW, "ops", ids=[first]) == [first]
    assert await drop(harness.database, NOW, "ops", ids=[first, second]) == [second]
    assert await release(harness.database, NOW, "ops", ids=[second]) == []
    assert [notice.id for notice in await harness.notices(Status.HELD)] == [third]
    async with harness.database.reading() as conn:
        assert (await conn.execute(select(func.count()).select_from(OPERATOR_ACTION))).scalar_one() == 2


async def test_later_notices_of_a_burst_are_held(harness: ComposerHarness) -> None:
    """More of the same kind is held while a burst is held, and the operator is not notified again."""
    await harness.burst(LOST, 3)
    await harness.run()
    await harness.add_event(LOST, "GET: List offers", "late", at=NOW)
    assert await harness.run(LATER) == 1
    assert (await harness.notices())[-1].status == Status.HELD


async def test_a_burst_that_passes_leaves_nothing(harness: ComposerHarness) -> None:
    """An outage that ends by itself: what was held is dropped, and no CSM is notified of either."""
    lost = await harness.burst(LOST, 3)
    await harness.run()
    back = await harness.burst(REGAINED, 3, at=NOW)
    assert await harness.run(LATER) == 0
    assert {notice.status for notice in await harness.notices() if notice.audience == Audience.CSM} == {Status.DROPPED}
    assert all(settled for settled, _ in (await harness.causes()).values())
    assert await release(harness.database, LATER, "ops") == []
    assert set(await harness.causes()) == {*lost, *back}


async def test_news_of_a_held_tenant_is_one_held_notice(harness: ComposerHarness) -> None:
    """The held notice is replaced by one that reports everything, with all causes."""
    causes = await harness.burst(LOST, 3)
    await harness.run()
    news = await harness.add_event(LOST, "GET: List jobs", "burst0", at=NOW)
    assert await harness.run(LATER) == 1
    held = [notice for notice in await harness.notices(Status.HELD) if notice.tenant_id == "burst0"]
    assert [notice.subject for notice in held] == ["Burst0: 2 Greenhouse permissions missing (List offers, List jobs)"]
    settled = await harness.causes()
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


async def test_only_one_of_two_composers_writes(harness: ComposerHarness) -> None:
    """A composer whose causes were settled by another one meanwhile writes nothing at all."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.add_event(LOST, "GET: List offers", "globex")
    assert await harness.run(renderer=_Overtaken(harness.run)) == 0
    assert [notice.tenant_id for notice in await harness.notices()] == ["acme", "globex"]


async def test_a_release_is_not_undone_by_a_composer(harness: ComposerHarness) -> None:
    """A notice released while a composer was replacing it goes out as it is; the news follows in the next run."""
    await harness.burst(LOST, 3)
    await harness.run()
    news = await harness.add_event(LOST, "GET: List jobs", "burst0", at=NOW)
    assert await harness.run(LATER, renderer=_Overtaken(lambda: release(harness.database, LATER, "ops"))) == 0
    assert await harness.notices(Status.HELD, Status.DROPPED) == []
    assert (await harness.causes())[news] == (False, None)
    assert await harness.run(LATER) == 1
    assert (await harness.notices())[-1].subject == "Burst0: Greenhouse permission missing (List jobs)"


async def test_a_cause_of_another_clock_is_reported(harness: ComposerHarness) -> None:
    """Written while the clock was a year ahead, it does not wait for a year; a small clock skew changes nothing."""
    await harness.add_event(LOST, "GET: List offers", at=NOW + timedelta(days=365))
    assert await harness.run() == 1
    await harness.add_event(LOST, "GET: List jobs", "globex", at=NOW + timedelta(seconds=30))
    assert await harness.run() == 0
    assert await harness.run(LATER + timedelta(seconds=30)) == 1


async def test_modes_change_who_is_notified(harness: ComposerHarness) -> None:
    """Operator mode notifies the operator only; off notifies nobody, and nothing piles up."""
    await harness.add_event(LOST, "GET: List offers")
    assert await harness.run(mode=NoticesMode.OPERATOR) == 1
    cause = await harness.add_event(LOST, "GET: List jobs")
    assert await harness.run(mode=NoticesMode.OFF) == 0
    assert [notice.recipient for notice in await harness.notices()] == [OPERATOR]
    assert (await harness.causes())[cause] == (True, None)


async def test_the_brake_counts_the_tenants_checked_since_the_first_changed(harness: ComposerHarness) -> None:
    """Four alike are more than chance explains among 60 checked since, and not among 600; removed ones do not count."""
    await harness.burst(LOST, 4)
    for number in range(600):
        since = NOW - SETTLE - timedelta(seconds=number < 540)
        await harness.add_tenant(f"other{number}", last_checked_at=since)
    await harness.run()
    assert len(await harness.notices(Status.HELD)) == 4
    await drop(harness.database, NOW, "ops")
    await harness.checked(NOW + timedelta(hours=5))
    for number in range(4):
        await harness.add_event(LOST, "GET: List jobs", f"burst{number}", at=NOW + timedelta(hours=5))
    await harness.run(NOW + timedelta(hours=5) + SETTLE)
    assert await harness.notices(Status.HELD) == []


async def test_the_brake_counts_those_who_were_notified(harness: ComposerHarness) -> None:
    """Two of a wave were notified before the third changed: that one is held, within one interval of the first."""
    for number, hours in enumerate((0, 1, 2)):
        await harness.add_event(LOST, "GET: List offers", f"t{number}", at=NOW + timedelta(hours=hours))
        await harness.run(NOW + timedelta(hours=hours) + SETTLE)
    statuses = [notice.status for notice in await harness.notices() if notice.audience == Audience.CSM]
    assert statuses == [Status.PENDING, Status.PENDING, Status.HELD]
    (brake,) = [notice for notice in await harness.notices() if notice.audience == Audience.OPERATOR]
    whole = await show(harness.database, brake.id)
    assert whole is not None
    assert "For 2 of them an email had left before, or was on its way" in whole.text


async def test_the_brake_forgets_after_one_interval(harness: ComposerHarness) -> None:
    """A third loss five hours after the first two is not part of the same wave."""
    for number, hours in enumerate((0, 1, 5)):
        await harness.add_event(LOST, "GET: List offers", f"t{number}", at=NOW + timedelta(hours=hours))
        await harness.run(NOW + timedelta(hours=hours) + SETTLE)
    assert {notice.status for notice in await harness.notices()} == {Status.PENDING}


async def test_a_different_permission_each_is_a_wave(harness: ComposerHarness) -> None:
    """Three of three tenants lost something within minutes: their emails are held."""
    for number in range(3):
        await harness.add_event(LOST, f"GET: Number {number}", f"t{number}")
    await harness.run()
    assert len(await harness.notices(Status.HELD)) == 3


async def test_the_operator_is_kept_up_to_date_about_a_wave(harness: ComposerHarness) -> None:
    """Another email when the number has doubled, and not for each tenant, nor within the settle time."""
    await harness.burst(LOST, 3)
    await harness.run()
    subjects = []
    for minutes in range(0, 60, 5):
        now = NOW + timedelta(minutes=minutes)
        await harness.add_event(LOST, "GET: List offers", f"late{minutes}", at=now - SETTLE)
        await harness.run(now)
        subjects = [notice.subject for notice in await harness.notices() if notice.audience == Audience.OPERATOR]
    assert [re.sub(r"\D*(\d+) tenants.*", r"\1", subject) for subject in subjects] == ["3", "7", "14"]
    assert subjects[1].startswith("Action: mail to CSMs is still held: now 7 tenants lost the permission")


async def test_the_email_about_a_growing_wave_says_how_many_which_share_and_since_when(
    harness: ComposerHarness,
) -> None:
    """Brought up to date in each of the three; the wave began where it began."""
    for number in range(100):
        await harness.add_tenant(f"other{number}", last_checked_at=NOW + timedelta(minutes=20))
    await harness.burst(LOST, 3)
    await harness.run()
    for number in range(5):
        await harness.add_event(LOST, "GET: List offers", f"late{number}", at=NOW + timedelta(minutes=5))
    await harness.run(NOW + timedelta(minutes=20))
    first, second = (row["text"] for row in await rows(harness.database, NOTICE) if row["audience"] == "operator")
    for text, changed, share in ((first, "3 tenants", "3.0 %"), (second, "8 tenants", "8.0 %")):
        assert f"{changed} lost the permission" in text
        assert f"{share} of the 100 tenants checked since 23 Nov 2026, 13:50 UTC" in text
    assert "Since we last wrote to you, the number has doubled" in second


async def test_more_causes_than_a_statement_can_hold(harness: ComposerHarness) -> None:
    """A first sweep's causes are settled in batches."""
    await harness.add_tenant("acme")
    event = {
        "at": NOW,
        "kind": "found",
        "tenant_id": "acme",
        "credential_id": harness.credentials["acme"],
        "detail": "",
    }
    async with harness.database.writing() as conn:
        rows = [
            event | {"id": n, "permission_id": f"p{n}", "permission_label": f"P{n}", "permission_group": "G"}
            for n in range(1, 2502)
        ]
        await conn.execute(insert(DRIFT_EVENT), rows)
        known = {"credential_id": harness.credentials["acme"], "verdict": "missing", "rule": "", "suspect_looks": 0}
        named = ("permission_id", "permission_label", "permission_group")
        await conn.execute(insert(PERMISSION_STATE), [known | {name: row[name] for name in named} for row in rows])
        cause = {"tenant_id": "acme", "audience": "operator", "brake_key": "found", "created_at": NOW - SETTLE}
        await conn.execute(insert(CAUSE), [cause | {"event_id": n} for n in range(1, 2502)])
    assert await harness.run() == 1
    assert all(settled for settled, _ in (await harness.causes()).values())


async def test_a_list_can_be_filtered(harness: ComposerHarness) -> None:
    """By status and by tenant, the newest first, and up to the limit."""
    await harness.add_event(LOST, "GET: List offers")
    await harness.add_event(LOST, "GET: List offers", "globex")
    await harness.run()
    assert [notice.tenant_id for notice in await listing(harness.database)] == ["globex", "acme"]
    assert [notice.tenant_id for notice in await listing(harness.database, tenant_id="acme")] == ["acme"]
    assert len(await listing(harness.database, limit=1)) == 1
    assert await listing(harness.database, [Status.SENT]) == []


async def test_a_write_alarm_is_due_at_once_and_written_once(harness: ComposerHarness) -> None:
    """It never waits; the same alarm written again is the same notice, another alarm is another one."""
    await harness.add_tenant("acme")
    for _ in range(2):
        await harness.alarm()
    (notice,) = await harness.notices(Status.PENDING)
    assert (notice.recipient, notice.next_attempt_at) == (OPERATOR, NOW)
    assert notice.subject == "Action: write probes stopped: POST /v1/candidates answered 201 for Acme Corp"
    await harness.alarm(at=LATER)
    assert len(await harness.notices()) == 2


async def test_a_write_alarm_is_not_written_with_notices_off(harness: ComposerHarness) -> None:
    """The stop itself and its metric remain."""
    await harness.add_tenant("acme")
    await harness.alarm(NoticesMode.OFF)
    assert await harness.notices() == []


async def test_an_email_quotes_the_manifest_as_it_was_read_last(harness: ComposerHarness, tmp_path: Path) -> None:
    """A reload replaces the manifests under a composer that runs on."""
    manifest = tmp_path / "lumen.yaml"
    text = (FIXTURES / "manifests" / "lumen.yaml").read_text("utf-8")
    manifest.write_text(text, "utf-8")
    settings = Settings(
        tenants=tmp_path / "tenants.yaml", manifest=str(manifest), notices=NoticesMode.CSM, operator_mail=OPERATOR
    )
    assembly = Assembly(settings)
    tenant_sync = assembly.tenant_sync(harness.database, Metrics("test"))
    composer = assembly.composer(harness.database, Renderer(), tenant_sync)
    manifest.write_text(text.replace("Candidates do not see the note", "Nobody is sent the note"), "utf-8")
    tenant_sync.registry = assembly.registry()
    await harness.add_event(LOST, "candidates.add_note")
    assert await composer.run_once(NOW + timedelta(hours=2)) == 1
    [row] = await rows(harness.database, NOTICE)
    assert "Nobody is sent the note with the interview's link." in " ".join(row["text"].split())
