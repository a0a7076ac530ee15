"""The operator is notified when all checks pause, once, in time, with what is known; and when they resume."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from monitor.breaker.machine import BreakerReason, Limits, State, Transition
from monitor.breaker.recent_tenants import RecentTrouble
from monitor.breaker.signs import Sign
from monitor.config.settings import NoticesMode
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.checks_paused import PauseNotices
from monitor.store.database import Database
from monitor.store.tables import NOTICE
from tests.installation import NOTICES, Clock
from tests.store import rows

LIMITS = Limits.of(60)
SEEN = RecentTrouble(20, {Sign.RATE_LIMITED: 4, Sign.BLOCKED: 13}, since=70.0)


class PausingProcess:
    """A process's notices of pauses, with transitions that the test makes."""

    def __init__(self, database: Database, clock: Clock, mode: NoticesMode = NoticesMode.CSM) -> None:
        self.clock = clock
        self.pauses = PauseNotices(database, replace(NOTICES, mode=mode), Renderer(), LIMITS, clock.read)

    def change(self, after: State) -> None:
        self.pauses.changed(Transition(100.0, State.SLOW, after, BreakerReason.BLOCKED, SEEN, 60.0))

    async def pause(self, minutes: float = 0, *, closed: bool = True) -> None:
        """From the pause to its end, with a periodic task after each."""
        self.change(State.PAUSED)
        await self.pauses.write()
        self.clock.forward(minutes=minutes)
        if closed:
            self.change(State.CLOSED)
            await self.pauses.write()


async def whys(database: Database) -> list[str]:
    return [notice["why"] for notice in await rows(database, NOTICE)]


async def test_the_operator_reads_what_was_seen_and_what_to_do(database: Database) -> None:
    """How many had which trouble since when, what happens now, what it means, and advice for these troubles only."""
    await PausingProcess(database, Clock()).pause(closed=False)
    (notice,) = await rows(database, NOTICE)
    assert notice == notice | {
        "audience": "operator", "status": "pending", "recipient": "ops@vendor.example", "tenant_id": None,
        "subject": "Action: checks are paused: 17 of 20 tenants blocked or rate-limited",
    }  # fmt: skip
    said = " ".join(notice["text"].split())
    assert "Of the 20 tenants checked last, 17 were in trouble, the first of them since 23 Nov 2026, 11:59 UTC" in said
    assert "13 tenants: refused with a page" in said
    assert "4 tenants: told that the rate limit is reached" in said
    assert "first after 1 minute and later every 15 minutes" in said
    assert "status.greenhouse.io" in said
    assert "HARVEST_MONITOR_REQUESTS_PER_SECOND" in said
    assert "proxy and firewall" not in said


async def test_one_notice_for_one_pause_however_often_it_is_retried(database: Database) -> None:
    """Every test request that fails pauses again: the same trouble, reported once."""
    process = PausingProcess(database, Clock())
    for _ in range(5):
        await process.pause(minutes=20, closed=False)
    assert await whys(database) == ["checks paused"]


async def test_a_breaker_that_flaps_is_reported_once_an_hour(database: Database) -> None:
    """Six short pauses within an hour are one notice; the next hour's first is another."""
    process = PausingProcess(database, Clock())
    for _ in range(6):
        await process.pause(minutes=10)
    assert await whys(database) == ["checks paused"]
    await process.pause()
    assert await whys(database) == ["checks paused"] * 2


async def test_a_second_pause_that_lasts_is_reported_when_the_hour_is_over(database: Database) -> None:
    """It came too soon after another to be reported at once, and must not stay unreported."""
    process = PausingProcess(database, Clock())
    await process.pause(minutes=10)
    await process.pause(minutes=49, closed=False)
    await process.pauses.write()
    assert await whys(database) == ["checks paused"]
    process.clock.forward(minutes=2)
    await process.pauses.write()
    assert await whys(database) == ["checks paused"] * 2


async def test_the_end_of_a_long_pause_is_reported(database: Database) -> None:
    """The operator reads that checks have resumed after a quarter of an hour or more, not after a shorter pause."""
    process = PausingProcess(database, Clock())
    await process.pause(minutes=14)
    assert await whys(database) == ["checks paused"]
    process.clock.forward(hours=2)
    await process.pause(minutes=47)
    paused, again, resumed = await rows(database, NOTICE)
    assert (paused["why"], again["why"], resumed["why"]) == ("checks paused", "checks paused", "checks go on")
    assert resumed["subject"] == "No action: checks have resumed after 47 minutes"
    assert "from 23 Nov 2026, 14:14 UTC to 23 Nov 2026, 15:01 UTC" in " ".join(resumed["text"].split())


async def test_many_processes_report_it_once(workers: list[Database]) -> None:
    """Each sees the trouble and its end by itself; the database knows what was reported."""
    clock = Clock()
    processes = [PausingProcess(database, clock) for database in workers]
    for process in processes:
        await process.pause(minutes=1, closed=False)
    clock.forward(minutes=20)
    for process in processes:
        process.change(State.CLOSED)
        await process.pauses.write()
        clock.forward(minutes=1)
    assert await whys(workers[0]) == ["checks paused", "checks go on"]


async def test_a_restart_during_a_pause_reports_beginning_and_end_once(database: Database) -> None:
    """The new process pauses again within the hour, and sees the end."""
    clock = Clock()
    await PausingProcess(database, clock).pause(minutes=5, closed=False)
    await PausingProcess(database, clock).pause(minutes=30)
    assert await whys(database) == ["checks paused", "checks go on"]


async def test_with_notices_off_nothing_is_written(database: Database) -> None:
    """Nobody is notified."""
    await PausingProcess(database, Clock(), NoticesMode.OFF).pause(minutes=60)
    assert await whys(database) == []


async def test_what_could_not_be_written_is_written_next_time(database: Database) -> None:
    """The database fails at the moment of the pause."""
    process = PausingProcess(database, Clock())
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE notice RENAME TO hidden"))
    with pytest.raises(Exception, match="notice"):
        await process.pause()
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE hidden RENAME TO notice"))
    await process.pauses.write()
    assert await whys(database) == ["checks paused"]
