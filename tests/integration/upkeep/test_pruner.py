"""Pruning, on SQLite and on Postgres: what is deleted, what stays, and what happens if it is interrupted."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from checks.credential import CredentialState
from checks.report import CheckReport
from monitor.checking import claim_queries, sweep_queries
from monitor.config.retention import REMEMBERED_FOR, SWEEPS_FOR, Keep, KeepRule
from monitor.store.database import Database
from monitor.store.tables import CAUSE, CHECK, CHECK_DAY, DRIFT_EVENT, NOTICE, REFUSAL, SWEEP
from monitor.upkeep import check_days_queries, pruning_queries
from monitor.upkeep.check_days import Day
from monitor.upkeep.pruner import Pruner
from tests.reports import HOUR, MINUTE, POLICY, T0, failed, paused, served
from tests.store import LEASE, a_tenant, check, everything, rows, sync

DAY = timedelta(days=1)
KEEP = Keep(checks=30 * DAY, notice_texts=90 * DAY)
LATER = T0 + 40 * DAY
GOOD, BAD = {"jobs": "g", "offers": "g"}, {"jobs": "g", "offers": "m"}


def pruner(database: Database, batch: int = 100) -> Pruner:
    return Pruner(database, KEEP, batch, rest_seconds=0)


async def checked(database: Database, report: CheckReport, at: datetime, credential_id: int = 1) -> None:
    await check(database, replace(report, started_at=at), at, credential_id=credential_id)


async def two_days(database: Database) -> None:
    """Two tenants. The first one loses a permission on the first day; on the second its key fails."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    for hours in (0, 4, 8):
        await checked(database, served(GOOD), T0 + hours * HOUR, 2)
    await checked(database, served(GOOD), T0)
    await checked(database, served(BAD), T0 + 4 * HOUR)
    await checked(database, served({"offers": "m"}, partial=True), T0 + 4 * HOUR + MINUTE)
    await checked(database, served(BAD), T0 + 15 * HOUR + 59 * MINUTE)
    await checked(database, failed(CredentialState.BLOCKED), T0 + 16 * HOUR)
    await checked(database, failed(CredentialState.BLOCKED), T0 + 17 * HOUR)


ROLLED_UP = [
    Day(
        day=date(2026, 11, 23), credential_id=1, checks=4, drifted=3, undecided=0, failed=0, state=CredentialState.OK,
        least_granted=1, most_missing=1, most_undecided=0, most_excess=0, requests=7, seconds=8,
    ),
    Day(
        day=date(2026, 11, 23), credential_id=2, checks=3, drifted=0, undecided=0, failed=0, state=CredentialState.OK,
        least_granted=2, most_missing=0, most_undecided=0, most_excess=0, requests=6, seconds=6,
    ),
    Day(
        day=date(2026, 11, 24), credential_id=1, checks=2, drifted=0, undecided=0, failed=2,
        state=CredentialState.BLOCKED, least_granted=None, most_missing=None, most_undecided=None, most_excess=None,
        requests=2, seconds=0,
    ),
]  # fmt: skip


async def all_days(database: Database) -> list[Day]:
    return [Day(**{**row, "state": CredentialState(row["state"])}) for row in await rows(database, CHECK_DAY)]


async def days_of(database: Database, tenant_id: str) -> list[Day]:
    async with database.reading() as conn:
        return (await check_days_queries.of_tenant(conn, tenant_id, date(2026, 11, 1), date(2027, 1, 31)))[
            "Gem Harvest API Key"
        ]


async def put(database: Database, **columns: Any) -> None:
    """A notice with these values."""
    plain = {
        "tenant_id": "acme", "audience": "csm", "status": "sent", "why": "lost:offers", "recipient": "dana@v.example",
        "subject": "Acme", "text": "words", "html": "<p>words", "created_at": T0, "attempts": 1, "sent_at": T0,
    }  # fmt: skip
    async with database.writing() as conn:
        number = len((await conn.execute(NOTICE.select())).all())
        await conn.execute(insert(NOTICE).values({**plain, "message_id": f"<{number}@v.example>", **columns}))


# Checks, by day.


@pytest.mark.parametrize("batch", [2, 100])
async def test_old_checks_are_rolled_up_by_day(database: Database, batch: int) -> None:
    """Each credential and day (UTC) gets one row for exactly its checks, whatever the batches; their own rows go."""
    await two_days(database)
    assert (await pruner(database, batch).run_once(LATER))[KeepRule.CHECKS] == 9
    assert await rows(database, CHECK) == []
    assert await all_days(database) == ROLLED_UP


async def test_a_paused_check_says_nothing_of_its_days_permissions(database: Database) -> None:
    """It counts as undecided; what the other checks of the day found stays."""
    await sync(database, a_tenant("acme"))
    await checked(database, served(GOOD), T0)
    await checked(database, paused(GOOD), T0 + HOUR)
    await checked(database, paused(GOOD), T0 + DAY)
    counts = [
        (day.checks, day.undecided, day.least_granted, day.most_undecided) for day in await days_of(database, "acme")
    ]
    assert counts == [(2, 1, 2, 0), (1, 1, None, None)]


async def test_days_are_kept_whole(database: Database) -> None:
    """A day is rolled up once its last moment is old, so that no day is split."""
    await two_days(database)
    still_needed = datetime(2026, 11, 24, 23, 59, tzinfo=T0.tzinfo) + KEEP.checks
    await pruner(database).run_once(still_needed)
    assert {row["started_at"].date() for row in await rows(database, CHECK)} == {date(2026, 11, 24)}
    assert await all_days(database) == ROLLED_UP[:2]


async def test_a_credentials_days_read_the_same_before_and_after(database: Database) -> None:
    """A tenant's days read the same whether all, some or none of its checks were rolled up."""
    await two_days(database)
    before = await days_of(database, "acme")
    assert before == [ROLLED_UP[0], ROLLED_UP[2]]
    await pruner(database).run_once(T0 + KEEP.checks + DAY)
    assert 0 < len(await rows(database, CHECK)) < 9
    assert await days_of(database, "acme") == before
    await pruner(database).run_once(LATER)
    assert await days_of(database, "acme") == before


async def interrupted(database: Database, before: datetime, batch: int) -> None:
    async with database.writing() as conn:
        await pruning_queries.prune(conn, KeepRule.CHECKS, before, batch)
        raise ZeroDivisionError


async def test_an_interrupted_run_is_completed_by_the_next(database: Database) -> None:
    """A batch that fails leaves nothing behind, and the next run does the rest: nothing is counted twice."""
    await two_days(database)
    before = KEEP.before(LATER)[KeepRule.CHECKS]
    for batch in (2, 3):
        async with database.writing() as conn:
            assert await pruning_queries.prune(conn, KeepRule.CHECKS, before, batch) == batch
        stored = await everything(database)
        with pytest.raises(ZeroDivisionError):
            await interrupted(database, before, batch)
        assert await everything(database) == stored
    await pruner(database).run_once(LATER)
    assert await all_days(database) == ROLLED_UP


async def test_processes_that_prune_at_once_count_once(workers: list[Database]) -> None:
    """Four services on one database roll up every check exactly once between them."""
    await two_days(workers[0])
    done = await asyncio.gather(*(pruner(worker, 2).run_once(LATER) for worker in workers))
    assert sum(each[KeepRule.CHECKS] for each in done) == 9
    assert await all_days(workers[0]) == ROLLED_UP


async def test_a_check_that_comes_late_joins_its_day(database: Database) -> None:
    """After the clock was set back, a check of a day already rolled up is added to it."""
    await two_days(database)
    await pruner(database).run_once(LATER)
    await checked(database, served(GOOD), T0 + 12 * HOUR, 2)
    await pruner(database).run_once(LATER)
    assert (await all_days(database))[1] == replace(ROLLED_UP[1], checks=4, requests=8, seconds=8)


async def test_a_stopped_pruner_begins_no_further_batch(database: Database) -> None:
    """A stopping service does not wait for a long backlog; the next start finds the rest."""
    await two_days(database)
    stopped = pruner(database)
    stopped.stop()
    assert await stopped.run_once(LATER) == dict.fromkeys(KEEP.before(LATER), 0)
    assert len(await rows(database, CHECK)) == 9


# Events, and everything else that is kept for good.


async def test_events_outlive_their_checks(database: Database) -> None:
    """An event stays word for word; only its reference to the check's row ends with that row."""
    await two_days(database)
    before = await rows(database, DRIFT_EVENT)
    assert {event["kind"] for event in before} == {"lost", "credential_failed"}
    await pruner(database).run_once(T0 + KEEP.checks + DAY)
    after = await rows(database, DRIFT_EVENT)
    assert [event["check_id"] is None for event in after] == [True, False]
    assert [event | {"check_id": None} for event in after] == [event | {"check_id": None} for event in before]


async def test_nothing_else_is_ever_deleted(database: Database) -> None:
    """Ten years later events, incidents, causes, states, tenants, and notices except their text, are as they were."""
    await two_days(database)
    await put(database)
    await sync(database, a_tenant("acme"), now=LATER)  # globex was removed
    before = await everything(database)
    await pruner(database).run_once(T0 + 3650 * DAY)
    after = await everything(database)
    for table in (CHECK, CHECK_DAY, SWEEP, REFUSAL):
        del before[table.name], after[table.name]
    for tables in (before, after):
        tables["drift_event"] = [row | {"check_id": None} for row in tables["drift_event"]]
        tables["notice"] = [row | {"text": "", "html": ""} for row in tables["notice"]]
    assert after == before
    assert after["cause"]


# Texts of notices, refusals, sweeps.


async def test_a_notice_loses_its_text_long_after_it_was_sent(database: Database) -> None:
    """To whom, when and why stays; the text goes once the notice can no longer be sent."""
    await sync(database, a_tenant("acme"))
    await put(database)
    await put(database, status="dropped", sent_at=None)
    for waiting in ("failed", "pending", "held"):  # what failed may be sent again
        await put(database, status=waiting, sent_at=None)
    await put(database, sent_at=T0 + 30 * DAY)  # held for a month, then released
    await put(database, created_at=T0 + 30 * DAY, sent_at=T0 + 30 * DAY)
    before = await rows(database, NOTICE)
    assert (await pruner(database, 1).run_once(T0 + KEEP.notice_texts + HOUR))[KeepRule.NOTICE_TEXTS] == 2
    emptied = [row | {"text": "", "html": ""} for row in before[:2]]
    assert await rows(database, NOTICE) == [*emptied, *before[2:]]


async def test_refusals_go_when_they_no_longer_prove_anything(database: Database) -> None:
    """Only a refusal that no check would count as a control is deleted."""
    await sync(database, a_tenant("acme"))
    await checked(database, served({"jobs": "m", "offers": "g"}), T0)
    await checked(database, served({"jobs": "g", "offers": "m"}), T0 + 10 * DAY)
    now = T0 + REMEMBERED_FOR + HOUR

    async def remembered() -> frozenset[str]:
        async with database.writing() as conn:
            claim = await claim_queries.claim(conn, 1, now, POLICY.interval, leased_until=now + LEASE)
        assert claim is not None
        return claim.suspicion.refused

    before = await remembered()
    assert (await pruner(database).run_once(now))[KeepRule.REFUSALS] == 1
    assert [row["endpoint"] for row in await rows(database, REFUSAL)] == ["GET /v1/offers"]
    assert await remembered() == before == {"GET /v1/offers"}


async def test_sweeps_go_after_a_year(database: Database) -> None:
    """When the last complete one ended stays known."""
    for at in (T0, T0 + 100 * DAY, T0 + 200 * DAY):
        async with database.writing() as conn:
            await sweep_queries.keep(conn, at, POLICY.interval)
    assert (await pruner(database, 1).run_once(T0 + 101 * DAY + SWEEPS_FOR))[KeepRule.SWEEPS] == 2
    assert [row["started_at"] for row in await rows(database, SWEEP)] == [T0 + 200 * DAY]
    async with database.reading() as conn:
        assert await sweep_queries.last_completed(conn, T0 + 200 * DAY) == T0 + 200 * DAY


# Counting, and pruning twice.


async def test_what_is_counted_is_what_goes_and_goes_once(database: Database) -> None:
    """A count changes nothing and predicts what a run does; a second run finds nothing left."""
    await two_days(database)
    await put(database)
    now = T0 + 2 * SWEEPS_FOR
    async with database.writing() as conn:
        await sweep_queries.keep(conn, T0, POLICY.interval)
    before = await everything(database)
    counted = await pruner(database).stale(now)
    assert await everything(database) == before
    assert counted == {KeepRule.CHECKS: 9, KeepRule.NOTICE_TEXTS: 1, KeepRule.REFUSALS: 1, KeepRule.SWEEPS: 1}
    assert await pruner(database, 2).run_once(now) == counted
    once = await everything(database)
    assert await pruner(database, 2).run_once(now) == dict.fromkeys(KEEP.before(LATER), 0)
    assert await everything(database) == once
    assert len(once["cause"]) == len(await rows(database, CAUSE)) > 0
