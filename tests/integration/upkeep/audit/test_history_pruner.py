"""Pruning history: whole signed batches that nothing needs, each leaving a checkpoint; on SQLite and on Postgres."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

from monitor.config.retention import Keep, KeepRule
from monitor.incidents import grouping_queries
from monitor.incidents.burst_grouper import BurstGrouper
from monitor.store.audit_tables import AUDIT_BATCH
from monitor.store.burst_tables import BURST
from monitor.store.database import Database
from monitor.store.tables import CAUSE, DRIFT_EVENT, NOTICE_ACTION, OPERATOR_ACTION
from monitor.upkeep.audit.chain import HistoryKind
from monitor.upkeep.audit.chain_report import ChainProblem as P
from monitor.upkeep.audit.history_pruner import HistoryPruner
from monitor.upkeep.pruner import Pruner
from tests.history import CHAIN_KEY, prepared, problems, record_action, record_events, sign, tamper, verify
from tests.store import T0, rows

DAY = timedelta(days=1)
KEEP = Keep(checks=30 * DAY, notice_texts=90 * DAY, history=100 * DAY)
LATER = T0 + 101 * DAY


def pruner(database: Database, keep: Keep = KEEP) -> Pruner:
    return Pruner(database, keep, rest_seconds=0, history_pruner=HistoryPruner(database, CHAIN_KEY))


async def pruned(database: Database) -> int:
    return (await pruner(database).run_once(LATER))[KeepRule.HISTORY]


async def add_cause(database: Database, event_id: int, **columns: Any) -> None:
    cause = {"event_id": event_id, "tenant_id": "acme", "audience": "csm", "brake_key": "", "created_at": T0}
    async with database.writing() as conn:
        await conn.execute(insert(CAUSE).values(**cause, **columns))


@pytest.fixture
async def signed(database: Database) -> Database:
    """Batches 1 to 4 of five old events each, 5 with two young ones; an old batch of actions and a young one."""
    await prepared(database)
    await record_events(database, 20)
    await record_action(database, notices=[1, 2])
    await sign(database)
    await record_events(database, 2, LATER)
    await record_action(database, at=LATER)
    await sign(database)
    return database


async def test_old_batches_leave_checkpoints(signed: Database) -> None:
    """Rows, settled causes and references to notices go; the batches stay, and the chain still verifies."""
    await add_cause(signed, 3, settled_at=T0, notice_id=1)
    await add_cause(signed, 21, settled_at=T0, notice_id=1)
    assert (await pruner(signed).stale(LATER))[KeepRule.HISTORY] == 21
    assert await pruned(signed) == 21
    assert [row["id"] for row in await rows(signed, DRIFT_EVENT)] == [21, 22]
    assert [row["id"] for row in await rows(signed, OPERATOR_ACTION)] == [2]
    assert await rows(signed, NOTICE_ACTION) == []
    assert [row["event_id"] for row in await rows(signed, CAUSE)] == [21]
    assert [row["pruned_at"] for row in await rows(signed, AUDIT_BATCH)] == [LATER] * 5 + [None] * 2
    report = await verify(signed)
    assert report.intact
    assert (report.checkpoints, report.kinds[HistoryKind.EVENTS].pruned) == (5, 20)
    assert await pruned(signed) == 0


async def test_history_stays_unless_a_setting_asks(signed: Database) -> None:
    """By default nothing is counted and nothing is pruned, however old."""
    forever = Keep(checks=30 * DAY, notice_texts=90 * DAY)
    assert KeepRule.HISTORY not in await pruner(signed, forever).run_once(T0 + 3650 * DAY)
    assert len(await rows(signed, DRIFT_EVENT)) == 22


async def test_what_is_needed_stays_with_its_batch_and_the_later_ones(signed: Database) -> None:
    """An open incident, an unsettled cause, a notice not sent yet, an accepted manifest; then the next one decides."""
    needs = {
        "an open incident": ("UPDATE incident SET resolved_at = NULL", "UPDATE incident SET resolved_at = opened_at"),
        "an unsettled cause": ("UPDATE cause SET settled_at = NULL", "UPDATE cause SET settled_at = created_at"),
        **{
            f"a {status} notice": (f"UPDATE notice SET status = '{status}'", "UPDATE notice SET status = 'sent'")
            for status in ("pending", "held", "failed")
        },
    }
    await add_cause(signed, 12, settled_at=T0, notice_id=3)
    await tamper(signed, "UPDATE drift_event SET incident_id = NULL WHERE id < 11")
    await tamper(signed, "DELETE FROM audit_batch", "DELETE FROM audit_head")
    await sign(signed)
    for need, (begin, end) in needs.items():
        await tamper(signed, begin)
        assert (await pruner(signed).stale(LATER))[KeepRule.HISTORY] == 10, need
        await tamper(signed, end)
    await tamper(signed, "UPDATE notice SET status = 'held' WHERE id = 3")
    assert await pruned(signed) == 10
    assert [row["id"] for row in await rows(signed, DRIFT_EVENT)] == list(range(11, 23))
    await tamper(signed, "UPDATE notice SET status = 'dropped' WHERE id = 3")
    assert await pruned(signed) == 10
    assert (await verify(signed)).intact


async def test_actions_that_still_hold_stay(signed: Database) -> None:
    """An accepted manifest counts for as long as it is used, and a held notice's action belongs to it."""
    for begin, end in (
        (
            "UPDATE operator_action SET action = 'manifest accept-v3' WHERE id = 1",
            "UPDATE operator_action SET action = 'x'",
        ),
        ("UPDATE notice SET status = 'held' WHERE id = 2", "UPDATE notice SET status = 'sent'"),
    ):
        await tamper(signed, begin)
        assert (await pruner(signed).stale(LATER))[KeepRule.HISTORY] == 20, begin
        await tamper(signed, end)
    assert (await pruner(signed).stale(LATER))[KeepRule.HISTORY] == 21


async def test_the_newest_batch_and_unsigned_rows_stay(database: Database) -> None:
    """However old: SQLite would give their ids to new rows, which would look inserted."""
    await prepared(database)
    await record_events(database, 10)
    await sign(database)
    await record_events(database, 2)
    assert await pruned(database) == 5
    assert len(await rows(database, DRIFT_EVENT)) == 7
    assert await problems(database) == []


async def test_what_is_not_as_signed_is_not_pruned(signed: Database) -> None:
    """Or the proof that it was altered would be deleted with it."""
    await tamper(signed, "UPDATE drift_event SET detail = 'x' WHERE id = 8")
    with capture_logs() as logs:
        assert await pruned(signed) == 6
    assert [entry["batch"] for entry in logs if entry["event"] == "history_pruning_stopped"] == [2]
    assert await problems(signed) == [(P.ALTERED, 2, 2)]


async def test_a_checkpoint_cannot_be_made_by_others(signed: Database) -> None:
    """Rows that were deleted without the service are missed, and rows put in a checkpoint's place are inserted."""
    await pruned(signed)
    await tamper(signed, "UPDATE audit_batch SET pruned_at = '2026-01-01 00:00:00' WHERE id = 2")
    assert await problems(signed) == [(P.CHECKPOINT_ALTERED, 2, 2)]
    await tamper(signed, "UPDATE audit_batch SET pruned_at = NULL, pruned_signature = NULL WHERE id = 2")
    assert await problems(signed) == [(P.REMOVED, 2, 2)]
    names = ", ".join(column.name for column in DRIFT_EVENT.columns if column.name != "id")
    await tamper(signed, f"INSERT INTO drift_event (id, {names}) SELECT 17, {names} FROM drift_event WHERE id = 21")
    assert await problems(signed) == [(P.REMOVED, 2, 2), (P.INSERTED, 4, 4)]


async def test_bursts_count_what_is_left_of_them(signed: Database) -> None:
    """One that lost all of its events goes with them; the database check finds nothing to say of the others."""
    while await BurstGrouper(signed).run_once():
        pass
    before = await rows(signed, BURST)
    assert await pruned(signed)
    async with signed.reading() as conn:
        assert await grouping_queries.miscounts(conn) == []
    left = await rows(signed, BURST)
    assert sum(row["events"] for row in left) == 2 < sum(row["events"] for row in before)
