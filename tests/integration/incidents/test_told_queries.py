"""Who was told about changes, after real checks and a real composer."""

import pytest
from sqlalchemy import update

from monitor.incidents import change_queries, told_queries
from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.changes import ListedChange, ToldCount, ToldStatus
from monitor.store.database import Database
from monitor.store.tables import NOTICE
from tests.bursts import LOST_AT
from tests.reports import HOUR


async def listed(database: Database) -> list[ListedChange]:
    async with database.reading() as conn:
        return list((await change_queries.changes(conn, WantedChanges(), 50)).changes)


async def test_a_row_says_who_was_told(wave: Database) -> None:
    """By tenant: sent, held, or still settling; the reader has a name if it is the tenant's CSM. The sum is all."""
    async with wave.writing() as conn:
        sent = {"status": "sent", "sent_at": LOST_AT + HOUR}
        await conn.execute(update(NOTICE).where(NOTICE.c.tenant_id == "globex").values(sent))
        await conn.execute(update(NOTICE).where(NOTICE.c.tenant_id == "acme").values(status="held"))
    changes = await listed(wave)
    async with wave.reading() as conn:
        back, jobs, rest = await told_queries.told_of_changes(conn, changes)
    held, settling, done = (
        ToldCount(ToldStatus.HELD, 1, "csm", "Dana Reyes", None),
        ToldCount(ToldStatus.SETTLING, 1, "csm", None, None),
        ToldCount(ToldStatus.SENT, 1, "csm", "Dana Reyes", LOST_AT + HOUR),
    )
    assert jobs == (held, settling, done)
    assert rest == (done,)
    assert back == (settling,)


async def test_a_list_counts_no_crowds(wave: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with very many events are counted on their own page only; the small ones always are."""
    monkeypatch.setattr(told_queries, "COUNTED_EVENTS", 3)
    changes = await listed(wave)
    async with wave.reading() as conn:
        back, jobs, rest = await told_queries.told_of_changes(conn, changes)
        of_crowd = await told_queries.told(conn, [changes[1].bursts[0].id])
    assert jobs is None
    assert [one.tenants for told in of_crowd.values() for one in told] == [2, 1]
    assert [one.tenants for told in (back, rest) if told for one in told] == [1, 1]
