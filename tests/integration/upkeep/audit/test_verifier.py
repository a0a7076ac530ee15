"""Every way to change a signed history is found, and said as exactly as it can be; on SQLite and on Postgres."""

from typing import Any

import pytest

from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.store.tables import METADATA
from monitor.upkeep.audit.batch_queries import COVERED, LEFT_OUT, TABLES
from monitor.upkeep.audit.chain import AuditKey, ChainHead, HistoryKind
from monitor.upkeep.audit.chain_report import ChainProblem as P
from monitor.upkeep.audit.verifier import newest_batch_problem
from tests.history import (
    CHAIN_KEY,
    prepared,
    problems,
    record_action,
    record_events,
    sign,
    tamper,
    verify,
)

OTHER_KEY = AuditKey.derived(b"x" * 32)


async def signed_history(database: Database) -> Database:
    """Batches 1 to 4 of five events each (ids 1 to 20), batch 5 of two actions, one of them with two notices."""
    await prepared(database)
    await record_events(database, 20)
    await record_action(database, notices=[1, 2])
    await record_action(database)
    assert await sign(database) == 22
    return database


@pytest.fixture
async def signed(database: Database) -> Database:
    return await signed_history(database)


@pytest.fixture
async def local(sqlite: Database) -> Database:
    """For what does not depend on the database."""
    return await signed_history(sqlite)


class Rehearsal:
    """Tampers, finds, and undoes it: a matrix on one database."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._saved = False

    async def of(self, *statements: str) -> list[tuple[Any, ...]]:
        names = ("audit_batch", "audit_head", "drift_event", "operator_action", "notice_action")
        if not self._saved:
            await tamper(self.db, *(f"CREATE TABLE saved_{name} AS SELECT * FROM {name}" for name in names))
        self._saved = True
        await tamper(self.db, *statements)
        found = await problems(self.db)
        undo = [(f"DELETE FROM {name}", f"INSERT INTO {name} SELECT * FROM saved_{name}") for name in names]
        await tamper(self.db, *(statement for pair in undo for statement in pair))
        return found


async def test_an_untouched_history_is_intact(signed: Database) -> None:
    """Every row is counted, in its table, and the head can be noted elsewhere."""
    report = await verify(signed)
    assert report.intact
    assert [(kind, counts.verified, counts.unsigned) for kind, counts in report.kinds.items()] == [
        (HistoryKind.EVENTS, 20, 0),
        (HistoryKind.ACTIONS, 2, 0),
    ]
    assert report.head is not None
    assert report.head.batch_id == 5
    await record_events(signed, 2)
    assert (await verify(signed)).kinds[HistoryKind.EVENTS].unsigned == 2


def test_each_column_is_covered_or_left_out_on_purpose() -> None:
    """A column that is added later is decided on here."""
    for kind, table in TABLES.items():
        covered = {column.name for column in COVERED[kind] if column.table is table}
        assert {column.name for column in table.columns} - covered <= LEFT_OUT[kind], kind
        assert not covered & LEFT_OUT[kind], kind


async def test_a_change_of_any_covered_column_is_found(signed: Database) -> None:
    """Of each column, to another value and to none; the finding names the batch and its ids."""
    rehearsal = Rehearsal(signed)
    for table, batch, key in (("drift_event", 2, 7), ("operator_action", 5, 1)):
        for column in COVERED[HistoryKind(table)]:
            if column.table.name != table or column.primary_key:
                continue
            other = f"'{'2026-01-01 00:00:00'}'" if "DATETIME" in str(column.type).upper() else None
            values = [other or ("2" if column.type.python_type is int else "'other'")]
            values += ["NULL"] if column.nullable else []
            for value in values:
                found = await rehearsal.of(f"UPDATE {table} SET {column.name} = {value} WHERE id = {key}")
                assert found == [(P.ALTERED, batch, batch)], f"{table}.{column.name} = {value}"
    assert await problems(signed) == []


async def test_rows_that_are_gone_or_new_are_named(signed: Database) -> None:
    """At the start, in the middle and at the end of the history and of a batch."""
    rehearsal = Rehearsal(signed)
    for gone in (1, 5, 6, 8, 20):
        batch = (gone + 4) // 5
        assert await rehearsal.of(f"DELETE FROM drift_event WHERE id = {gone}") == [(P.REMOVED, batch, batch)], gone
    assert await rehearsal.of("DELETE FROM drift_event WHERE id BETWEEN 4 AND 17") == [
        (P.REMOVED, batch, batch) for batch in (1, 2, 3, 4)
    ]
    assert await rehearsal.of("DELETE FROM drift_event") == [(P.REMOVED, batch, batch) for batch in (1, 2, 3, 4)]
    assert await rehearsal.of("UPDATE drift_event SET id = 0 WHERE id = 3") == [(P.REMOVED, 1, 1), (P.INSERTED, 1, 1)]
    assert await rehearsal.of("UPDATE drift_event SET id = 0 WHERE id = 9") == [(P.INSERTED, 1, 1), (P.REMOVED, 2, 2)]
    assert await rehearsal.of("DELETE FROM operator_action WHERE id = 2") == [(P.REMOVED, 5, 5)]
    assert await rehearsal.of(
        "INSERT INTO operator_action (id, at, who, action, subject, reason) "
        "SELECT -7, at, who, action, subject, reason FROM operator_action WHERE id = 1"
    ) == [(P.INSERTED, 5, 5)]


async def test_findings_say_which_ids_and_how_many(local: Database) -> None:
    """The text, the ids, and both counts."""
    await tamper(local, "DELETE FROM drift_event WHERE id IN (7, 8)")
    (finding,) = (await verify(local)).findings
    assert finding.message == "batch 2: 2 of its 5 rows of drift_event are gone (ids 7, 8)"
    assert (finding.table, finding.first_id, finding.last_id, finding.ids) == ("drift_event", 7, 8, [7, 8])
    assert (finding.signed, finding.found) == (5, 3)


async def test_the_notices_of_an_action_belong_to_it(signed: Database) -> None:
    """One more, one less, or another one alters the action."""
    rehearsal = Rehearsal(signed)
    for change in (
        "DELETE FROM notice_action WHERE notice_id = 2",
        "INSERT INTO notice_action (notice_id, action_id) VALUES (3, 1)",
        "INSERT INTO notice_action (notice_id, action_id) VALUES (3, 2)",
        "UPDATE notice_action SET notice_id = 3 WHERE notice_id = 2",
        "UPDATE notice_action SET action_id = 2 WHERE notice_id = 2",
    ):
        assert await rehearsal.of(change) == [(P.ALTERED, 5, 5)], change


async def test_a_change_of_any_column_of_a_batch_is_found(signed: Database) -> None:
    """Whatever is changed in a batch, nothing it says about rows is believed, and the other batches still are."""
    rehearsal = Rehearsal(signed)
    changes = {
        "kind": "'operator_action'", "first_id": "1", "last_id": "2000", "row_count": "4", "content": "'00'",
        "previous": "''", "signature": "'é'", "created_at": "'2026-01-01 00:00:00'",
    }  # fmt: skip
    for column, value in changes.items():
        found = await rehearsal.of(f"UPDATE audit_batch SET {column} = {value} WHERE id = 3")
        assert found == [(P.BATCH_ALTERED, 3, 3)], column
    assert await rehearsal.of("UPDATE audit_batch SET key_id = 'x' WHERE id = 3") == [(P.OTHER_KEY, 3, 3)]
    for column, value in {"pruned_at": "'2026-01-01 00:00:00'", "pruned_signature": "'00'"}.items():
        found = await rehearsal.of(f"UPDATE audit_batch SET {column} = {value} WHERE id = 3")
        assert found == [(P.CHECKPOINT_ALTERED, 3, 3)], column
    assert await rehearsal.of("UPDATE audit_batch SET id = 6 WHERE id = 3") == [
        (P.BATCHES_REMOVED, 3, 3),
        (P.BATCH_ALTERED, 6, 6),
        (P.HEAD_ALTERED, 5, 5),
    ]
    tables = {column.name for column in METADATA.tables["audit_batch"].columns}
    assert tables == {*changes, "id", "key_id", "pruned_at", "pruned_signature"}


async def test_batches_that_are_gone_swapped_or_new_are_found(signed: Database) -> None:
    """The head tells of the newest ones, as long as nobody puts back an older one."""
    rehearsal = Rehearsal(signed)
    for gone in ((1, 1), (2, 3), (4, 5), (1, 5)):
        found = await rehearsal.of(f"DELETE FROM audit_batch WHERE id BETWEEN {gone[0]} AND {gone[1]}")
        assert found == [(P.BATCHES_REMOVED, *gone)], gone
    assert await rehearsal.of(
        "UPDATE audit_batch SET id = -1 WHERE id = 2",
        "UPDATE audit_batch SET id = 2 WHERE id = 3",
        "UPDATE audit_batch SET id = 3 WHERE id = -1",
    ) == [(P.BATCH_ALTERED, 2, 2), (P.BATCH_ALTERED, 3, 3)]
    names = ", ".join(column.name for column in METADATA.tables["audit_batch"].columns if column.name != "id")
    for number, more in ((6, [(P.HEAD_ALTERED, 5, 5)]), (0, [])):
        found = await rehearsal.of(
            f"INSERT INTO audit_batch (id, {names}) SELECT {number}, {names} FROM audit_batch WHERE id = 5"
        )
        assert found == [(P.BATCH_ALTERED, number, number), *more], number
    assert await rehearsal.of("DELETE FROM audit_head") == [(P.HEAD_MISSING, None, None)]
    for change in ("batch_id = 4", "batch_signature = '0'", "signature = '0'"):
        found = await rehearsal.of(f"UPDATE audit_head SET {change}")
        assert [problem for problem, *_ in found] == [P.HEAD_ALTERED], change


async def test_another_key_is_told_apart_from_tampering(local: Database) -> None:
    """All batches of a key that is not this one make one finding, and none about rows."""
    assert await problems(local, OTHER_KEY) == [(P.OTHER_KEY, 1, 5)]
    await record_events(local, 3)
    await sign(local, OTHER_KEY)
    # The new key vouches for everything that is there from now on.
    report = await verify(local, OTHER_KEY, first=6)
    assert report.intact
    assert report.kinds[HistoryKind.EVENTS].verified == 23
    assert await problems(local, OTHER_KEY) == [(P.OTHER_KEY, 1, 5)]


async def test_values_the_service_never_writes_are_altered_rows(local: Database) -> None:
    """SQLite stores anything in any column; none of it ends the verification."""
    rehearsal = Rehearsal(local)
    for change in ("at = 'yesterday'", "at = 5", "detail = 5", "detail = x'ff'", "detail = CAST(x'ff' AS TEXT)"):
        assert await rehearsal.of(f"UPDATE drift_event SET {change} WHERE id = 12") == [(P.ALTERED, 3, 3)], change
    assert await rehearsal.of("UPDATE audit_batch SET last_id = 'x' WHERE id = 3") == [(P.BATCH_ALTERED, 3, 3)]


async def test_a_noted_batch_must_still_be_there(local: Database) -> None:
    """Whoever noted a signature elsewhere finds out if the whole chain was written anew, with the same key."""
    noted = (await verify(local)).head
    assert noted is not None
    await record_events(local, 1)
    await sign(local)
    short = ChainHead(5, noted.batch_signature[:16].upper())
    assert (await verify(local, noted=short)).intact
    await tamper(local, "DELETE FROM audit_batch", "DELETE FROM audit_head", "DELETE FROM drift_event WHERE id = 3")
    await sign(local)
    assert (await verify(local)).intact
    assert [f.problem for f in (await verify(local, noted=noted)).findings] == [P.NOT_AS_NOTED]
    missing = ChainHead(99, noted.batch_signature)
    assert [f.problem for f in (await verify(local, noted=missing)).findings] == [P.NOT_AS_NOTED]
    with pytest.raises(ConfigurationError, match="at least 16"):
        await verify(local, noted=ChainHead(5, "abc"))


async def test_verification_can_begin_behind_a_known_break(local: Database) -> None:
    """From a batch on, with all rows that are later than the batches before it."""
    await tamper(local, "UPDATE drift_event SET detail = 'x' WHERE id = 2")
    assert (await verify(local, first=2)).intact
    await tamper(local, "UPDATE drift_event SET detail = 'x' WHERE id = 11")
    assert [f.batch for f in (await verify(local, first=2)).findings] == [3]
    with pytest.raises(ConfigurationError, match="no batch 7"):
        await verify(local, first=7)


async def test_a_quick_look_sees_the_newest_batch_and_the_head(local: Database) -> None:
    """What `db check` shows of it costs one batch."""

    async def quick() -> str | None:
        async with local.reading() as conn:
            return await newest_batch_problem(conn, CHAIN_KEY)

    assert await quick() is None
    await tamper(local, "UPDATE operator_action SET who = 'x' WHERE id = 1")
    assert await quick() == "batch 5: rows of operator_action with ids between 1 and 2 were altered"
    await tamper(local, "DELETE FROM audit_batch WHERE id = 5")
    assert str(await quick()).startswith("batch 5 is gone")
    await tamper(local, "DELETE FROM audit_batch", "DELETE FROM audit_head")
    assert await quick() is None
