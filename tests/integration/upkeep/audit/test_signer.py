"""Signing: what is signed when, by several services at once, and beside transactions that commit late."""

import asyncio
import random
from datetime import timedelta

from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

from monitor.config.retention import Keep
from monitor.store.audit_tables import AUDIT_BATCH
from monitor.store.database import Database
from monitor.store.tables import CHECK, DRIFT_EVENT
from monitor.upkeep.audit.chain import HistoryKind
from monitor.upkeep.audit.chain_report import ChainProblem as P
from monitor.upkeep.audit.history_pruner import HistoryPruner
from monitor.upkeep.audit.signer import HistorySigner
from monitor.upkeep.pruner import Pruner
from tests.history import CHAIN_KEY, an_event, prepared, problems, record_action, record_events, sign, tamper, verify
from tests.reports import served
from tests.store import T0, check, rows

DAY = timedelta(days=1)


async def test_a_backlog_is_signed_in_bounded_runs(sqlite: Database) -> None:
    """What an earlier release recorded is signed a part at each run, in full batches; then only what is new."""
    await prepared(sqlite)
    await record_events(sqlite, 23)
    signer = HistorySigner(sqlite, CHAIN_KEY, batch=5, batches_a_run=2)
    assert [await signer.run_once(T0) for _ in range(4)] == [10, 10, 3, 0]
    assert [batch["row_count"] for batch in await rows(sqlite, AUDIT_BATCH)] == [5, 5, 5, 5, 3]
    await record_action(sqlite, notices=[1])
    assert await signer.run_once(T0) == 1
    report = await verify(sqlite)
    assert report.intact
    assert report.batches == 6


async def test_each_run_logs_the_newest_signature(sqlite: Database) -> None:
    """A log that is kept elsewhere can show later which batches there were; a run without rows logs nothing."""
    await prepared(sqlite)
    await record_events(sqlite, 1)
    with capture_logs() as logs:
        await sign(sqlite)
        await sign(sqlite)
    (batch,) = await rows(sqlite, AUDIT_BATCH)
    assert [(entry["event"], entry["batch"], entry["signature"]) for entry in logs] == [
        ("history_signed", 1, batch["signature"])
    ]


async def test_services_that_sign_at_once_make_one_chain(workers: list[Database]) -> None:
    """Four services on one database sign every row exactly once between them."""
    await prepared(workers[0])
    await record_events(workers[0], 40)
    for _ in range(3):
        await record_action(workers[0])
    signed = await asyncio.gather(*(sign(worker, batch=3) for worker in workers))
    assert sum(signed) == 43
    report = await verify(workers[0])
    assert report.intact
    assert sum(counts.verified for counts in report.kinds.values()) == 43


async def test_a_row_that_commits_late_is_neither_missed_nor_called_inserted(workers: list[Database]) -> None:
    """Postgres gives ids before it commits: nothing is signed beyond a row that is still being written."""
    one, other = workers[:2]
    if one.is_sqlite:  # it has one writer at a time
        return
    await prepared(one)
    async with one.writing() as late:
        await late.execute(insert(DRIFT_EVENT).values(an_event()))
        await record_events(other, 2)
        with capture_logs() as logs:
            assert await sign(other) == 0
        assert [entry["event"] for entry in logs] == ["history_signing_waits"]
        assert (await verify(other)).kinds[HistoryKind.EVENTS].unsigned == 2
    assert await sign(other) == 3
    report = await verify(other)
    assert report.intact
    assert report.kinds[HistoryKind.EVENTS].verified == 3


async def test_ids_that_were_never_used_are_not_missed(database: Database) -> None:
    """A transaction that was rolled back leaves a gap in Postgres; a removed row beside it is still counted."""
    await prepared(database)
    await record_events(database, 1)
    async with database.writing() as conn:
        await conn.execute(insert(DRIFT_EVENT).values(an_event(id=5)))
        await conn.execute(insert(DRIFT_EVENT).values(an_event(id=6)))
    await sign(database)
    assert await problems(database) == []
    await tamper(database, "DELETE FROM drift_event WHERE id = 5")
    (finding,) = (await verify(database)).findings
    assert (finding.problem, finding.ids, finding.signed, finding.found) == (P.REMOVED, [], 3, 2)
    await tamper(database, "INSERT INTO drift_event SELECT * FROM drift_event WHERE id = 5")
    async with database.writing() as conn:
        await conn.execute(insert(DRIFT_EVENT).values(an_event(id=3)))
    assert await problems(database) == [(P.ALTERED, 1, 1)]


async def test_a_running_service_remembers_what_it_signed(sqlite: Database) -> None:
    """The newest batches are removed with their rows, and an older head put back: the gap stays for ever."""
    await prepared(sqlite)
    await record_events(sqlite, 5)
    signer = HistorySigner(sqlite, CHAIN_KEY, batch=5)
    await signer.run_once(T0)
    await tamper(sqlite, "CREATE TABLE earlier AS SELECT * FROM audit_head")
    await record_events(sqlite, 5)
    await signer.run_once(T0)
    cut = ("DELETE FROM audit_batch WHERE id = 2", "DELETE FROM drift_event WHERE id > 5", "DELETE FROM audit_head")
    await tamper(sqlite, *cut, "INSERT INTO audit_head SELECT * FROM earlier")
    assert await problems(sqlite) == []  # nothing in the database tells
    await record_events(sqlite, 1)
    with capture_logs() as logs:
        await signer.run_once(T0)
    assert [entry["event"] for entry in logs] == ["history_chain_cut", "history_signed"]
    assert await problems(sqlite) == [(P.BATCHES_REMOVED, 2, 2)]


async def test_a_service_that_finds_no_good_head_leaves_that_to_be_seen(sqlite: Database) -> None:
    """It goes on signing, and the new beginning is reported for ever: batches may have been removed before it."""
    for number, change in enumerate(("DELETE FROM audit_head", "UPDATE audit_head SET signature = 'x'"), 1):
        if number == 1:
            await prepared(sqlite)
        await record_events(sqlite, 1)
        await sign(sqlite)
        await tamper(sqlite, change)
        await record_events(sqlite, 1)
        await sign(sqlite)
        assert await problems(sqlite) == [(P.BEGUN_ANEW, 2 * n, 2 * n) for n in range(1, number + 1)]


async def test_an_edited_batch_cannot_keep_new_rows_from_being_signed(sqlite: Database) -> None:
    """A batch that claims rows to come is not believed: its rows and theirs are signed anew."""
    await prepared(sqlite)
    await record_events(sqlite, 5)
    await sign(sqlite)
    await tamper(sqlite, "UPDATE audit_batch SET last_id = 1000")
    await record_events(sqlite, 2)
    assert await sign(sqlite) == 7
    assert await problems(sqlite) == [(P.BATCH_ALTERED, 1, 1)]


async def test_whatever_the_service_does_the_history_stays_intact(database: Database) -> None:
    """Random appends, roll-ups of checks, signings with other batch sizes, prunes, and restarts."""
    await prepared(database)
    chance, now = random.Random(4711), T0
    for step in range(40):
        now += chance.random() * 5 * DAY
        match chance.choice(["events", "action", "check", "sign", "sign", "prune", "roll up"]):
            case "events":
                await record_events(database, chance.randint(1, 9), now, detail=chance.choice(["", "é„", "\n\\"]))
            case "action":
                await record_action(database, chance.sample([1, 2, 3], chance.randint(0, 3)), now)
            case "check":
                await check(database, served({"jobs": "g", "offers": chance.choice("gm")}), now, credential_id=2)
                async with database.writing() as conn:
                    await conn.execute(
                        update(DRIFT_EVENT).values(check_id=select(CHECK.c.id).limit(1).scalar_subquery())
                    )
            case "sign":
                await sign(database, batch=chance.randint(1, 8), at=now)
            case "prune":
                keep = Keep(checks=10_000 * DAY, notice_texts=90 * DAY, history=chance.randint(5, 40) * DAY)
                await Pruner(
                    database, keep, history_pruner=HistoryPruner(database, CHAIN_KEY), rest_seconds=0
                ).run_once(now)
            case "roll up":
                await Pruner(database, Keep(checks=DAY, notice_texts=90 * DAY), rest_seconds=0).run_once(now)
        assert await problems(database) == [], f"step {step}"
    report = await verify(database)
    assert report.checkpoints > 3
    assert report.kinds[HistoryKind.EVENTS].pruned > 10
