"""The simulated service for measuring sizes and query plans, small enough to run with the tests."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from monitor.config.settings import Settings
from monitor.store.database import open_database
from monitor.store.tables import CAUSE, CHECK, DRIFT_EVENT, INCIDENT, NOTICE, SWEEP
from monitor.upkeep.database_check import DatabaseCheck
from tests.bench.fleet import multiply
from tests.bench.year import Customers, simulate
from tests.store import rows


def _url(file: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(file))


async def test_simulated_days_leave_what_real_ones_do(tmp_path: Path) -> None:
    """Six checks a day for each tenant, confirmations, incidents that end, emails, no findings; copies are sound."""
    year = await simulate(_url(tmp_path / "few"), 2, 6, Customers(losses_a_year=150, days_to_restore=1))
    few = {table.name: await rows(year.db, table) for table in (CHECK, DRIFT_EVENT, INCIDENT, CAUSE, NOTICE, SWEEP)}
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'few'}")
    assert (
        await DatabaseCheck(year.db, settings, year.now, quick=False, started=lambda part: None).run()
    ).findings == []
    await year.db.close()
    assert sum(not check["partial"] for check in few["check_summary"]) in range(2 * 6 * 6 - 2, 2 * 6 * 6 + 3)
    assert {event["kind"] for event in few["drift_event"]} == {"lost", "regained"}
    assert {incident["resolved_at"] is None for incident in few["incident"]} >= {False}
    assert {notice["status"] for notice in few["notice"]} == {"sent"}
    assert len(few["cause"]) == len(few["drift_event"])

    await (await open_database(_url(tmp_path / "many"))).close()
    multiply(tmp_path / "few", tmp_path / "many", 3)
    with closing(sqlite3.connect(tmp_path / "many")) as conn:
        counts = {table: conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in few}
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert counts == {table: len(found) * (1 if table == "sweep" else 3) for table, found in few.items()}
