"""Pages of large bursts are kept for some seconds; those of small ones are read each time."""

from monitor.incidents import burst_queries
from monitor.incidents.burst_queries import ChangeState
from monitor.reporting.kept_bursts import KEPT_FOR, KeptBursts
from monitor.store.database import Database
from tests.bursts import group_all, loses
from tests.reports import HOUR, T0
from tests.store import a_tenant, sync

LATER = T0 + 6 * HOUR


async def _one_burst(db: Database) -> None:
    await sync(db, a_tenant("acme"))
    await loses(db, 1, {"jobs": "g"}, T0)
    await loses(db, 1, {"jobs": "m"}, T0 + 4 * HOUR)
    await group_all(db)


async def test_a_large_burst_is_read_once_in_some_seconds(sqlite: Database) -> None:
    """Its page, and the evidence for the pages of its tenants, are of one moment meanwhile; then they are new."""
    await _one_burst(sqlite)
    kept = KeptBursts(large=1)
    async with sqlite.reading() as conn:
        burst = await burst_queries.burst(conn, 1)
        assert burst is not None
        first = await kept.page(conn, 1, 0.01, LATER)
        assert first is not None
        assert await kept.page(conn, 1, 0.01, LATER + KEPT_FOR / 2) is first
        assert await kept.evidence(conn, burst, 0.01, LATER + KEPT_FOR / 2) is first.evidence
        again = await kept.page(conn, 1, 0.01, LATER + KEPT_FOR)
        assert again is not first
        assert again == first


async def test_a_small_burst_is_read_each_time(sqlite: Database) -> None:
    """What has become of it is seen at once."""
    await _one_burst(sqlite)
    kept = KeptBursts()
    async with sqlite.reading() as conn:
        before = await kept.page(conn, 1, 0.01, LATER)
    await loses(sqlite, 1, {"jobs": "g"}, LATER)
    async with sqlite.reading() as conn:
        after = await kept.page(conn, 1, 0.01, LATER)
        assert await kept.page(conn, 2**31, 0.01, LATER) is None
    assert before is not None
    assert after is not None
    assert before.standings[ChangeState.LASTS] == after.standings[ChangeState.RESTORED] == 1
