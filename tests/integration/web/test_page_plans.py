"""Every page and list finds its rows by indexes: what is read grows with what is shown, not with the years."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from monitor.store.database import Database
from tests.bench.bulk_load import load
from tests.bench.made_year import MadeYear
from tests.bench.page_server import RunningClock
from tests.bench.pages import Asked, asked_of
from tests.website import Website, website

SMALL_YEAR = MadeYear(tenants=60, events=1200, days=35)
# These have a row for each tenant at most, or for each interval.
SMALL = {"tenant", "credential", "sweep", "write_halt", "operator_action", "web_session", "api_token", "excess_state"}
# Read from the end of an index, or of the table, until the page is full: of years, the last few rows.
FROM_THE_END = {
    "API: history": "drift_event",
    "API: history, months ago": "drift_event",
    "incidents": "incident",
    "API: incidents": "incident",
    "API: verdicts": "permission_state",
    "API: notices": "notice",
    **dict.fromkeys(("history", "history, page 2", "API: bursts"), "burst"),
}
# Indexes of few rows of many.
PARTIAL = {"missing_permission", "one_open_incident", "unsettled_cause"}
# Counted by status, in an index; or looked through, as a search must be.
WHOLE_INDEX = {
    "notices": "notice",
    "notices, sent": "notice",
    "notices, sent, in the middle": "notice",
    "notices, a reader's": "notice",
}
# The first changes say since when statuses are recorded; the report of all asks which incidents were open at a moment.
REPORTS = {
    "report": {"incident", "status_change"},
    "report, page 2": {"status_change"},
    "tenant's report": {"status_change"},
}

MOST_STATEMENTS = 15  # the overview while emails are held: four of them are for their burst, once in 15 seconds
MOST_BYTES = 60_000


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Website]:
    load(database.url, SMALL_YEAR)
    async with website(database, clock=RunningClock()) as opened:
        await opened.signed_in()
        yield opened


@contextmanager
def _noted() -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@dataclass(frozen=True)
class Seen:
    asked: Asked
    size: int
    statements: list[tuple[str, Any]]


async def _all_seen(site: Website) -> AsyncIterator[Seen]:
    for asked in await asked_of(site.db.url, SMALL_YEAR):
        with _noted() as statements:
            answer = await site.browser.get(asked.path.removeprefix(">"))
        assert answer.status_code == 200, (asked.path, answer.text)
        yield Seen(asked, len(answer.content), statements)


async def _plan(db: Database, statement: str, parameters: Any) -> str:
    async with db.reading() as conn:
        if db.is_sqlite:
            rows = (await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).all()
            return "\n".join(str(row[3]) for row in rows)
        # Small tables are read whole where that is allowed; where it is not, only what no index serves is left.
        await conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(row[0] for row in await conn.exec_driver_sql(f"EXPLAIN {statement}", parameters))


def _scanned(plan: str) -> set[str]:
    """Tables, by the names that the statement gives them, of which every row may be read."""
    scans = re.findall(r"^SCAN (\w+)(?: .*INDEX (\w+))?", plan, re.M)
    sqlite = [name for name, index in scans if index not in PARTIAL]
    postgres = re.findall(r"Seq Scan on (\w+)", plan)
    return {name for name in (*sqlite, *postgres) if not name.startswith(("anon", "CONSTANT"))}


async def test_no_page_reads_a_whole_table_of_the_past(site: Website) -> None:
    """Each statement of each page reads what an index points to; there are few of them, and the page is small."""
    scanned: dict[str, set[str]] = {}
    beyond: list[tuple[str, int, int]] = []
    async for seen in _all_seen(site):
        name = seen.asked.name
        plans = [await _plan(site.db, *statement) for statement in seen.statements]
        allowed = {*SMALL, FROM_THE_END.get(name), WHOLE_INDEX.get(name), *REPORTS.get(name, ())}
        scanned[name] = {table for plan in plans for table in _scanned(plan)} - allowed
        if len(plans) > MOST_STATEMENTS or (seen.asked.is_page and seen.size > MOST_BYTES):
            beyond.append((name, len(plans), seen.size))
    assert {name: tables for name, tables in scanned.items() if tables} == {}
    assert beyond == []
