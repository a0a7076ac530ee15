"""Frequent queries cost the same after years, measured by SQLite's own count of steps, not by time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import URL, Table, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.checking import claim_queries, recheck_queries, sweep_queries, write_halt_queries
from monitor.config.retention import Keep
from monitor.drift import EventKind
from monitor.incidents import burst_queries, change_queries, grouping_queries, history_queries, told_queries
from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.changes import Position
from monitor.incidents.history_queries import Wanted
from monitor.notices import cause_queries, notice_queries
from monitor.notices.compose import brake_queries
from monitor.notices.delivery import outbox_queries
from monitor.notices.notice import Status
from monitor.reporting import service_queries, tenant_list_queries
from monitor.reporting.tenant_list import TenantFilter
from monitor.store.burst_tables import BURST
from monitor.store.database import Database, open_database
from monitor.store.tables import CAUSE, CHECK_DAY, DRIFT_EVENT, INCIDENT, NOTICE, SWEEP
from monitor.tenants import overview_queries
from monitor.upkeep import check_days_queries, pruning_queries
from monitor.upkeep.gauge_queries import snapshot
from tests.bursts import group_all
from tests.reports import MINUTE, POLICY, T0, served
from tests.store import a_tenant, check, sync

DAY = timedelta(days=1)
YEARS_LATER = T0 + 2000 * DAY
OLD = Keep(checks=30 * DAY, notice_texts=90 * DAY).before(YEARS_LATER)

Question = Callable[[AsyncConnection], Awaitable[Any]]
SEVENTH_DAY = Position(T0 + 7 * DAY, 0)


async def _group(conn: AsyncConnection, *events: int) -> None:
    await conn.execute(update(DRIFT_EVENT).where(DRIFT_EVENT.c.id.in_(events)).values(burst_id=None))
    assert await grouping_queries.any_ungrouped(conn)
    assert await grouping_queries.group_some(conn, 10) == len(events)


async def _group_new(conn: AsyncConnection) -> None:
    event = {"kind": "lost", "credential_id": 2, "permission_id": "jobs", "tenant_id": "globex"}
    await conn.execute(insert(DRIFT_EVENT).values(id=9000, at=YEARS_LATER, detail="", **event))
    assert await grouping_queries.group_some(conn, 10) == 1


async def _list(conn: AsyncConnection, after: Position | None = None, **wanted: Any) -> None:
    page = await change_queries.changes(conn, WantedChanges(**wanted), 5, after)
    await told_queries.told_of_changes(conn, page.changes)


async def _show_burst(conn: AsyncConnection) -> None:
    burst = await burst_queries.burst(conn, 150)
    assert burst is not None
    await burst_queries.standings(conn, burst.id)
    await burst_queries.surroundings(conn, burst)
    assert len(await burst_queries.burst_tenants(conn, burst.id, 50)) == 1


QUESTIONS: dict[str, Question] = {
    "due": lambda conn: claim_queries.due(conn, YEARS_LATER, 50),
    "watched": claim_queries.count_checked,
    "probe due": lambda conn: claim_queries.probe_due(conn, YEARS_LATER, ()),
    "bring credentials back": lambda conn: claim_queries.bring_back(conn, YEARS_LATER, POLICY.interval, MINUTE),
    "snapshot": lambda conn: snapshot(conn, YEARS_LATER, MINUTE),
    "keep sweeps": lambda conn: sweep_queries.keep(conn, YEARS_LATER, POLICY.interval),
    "may write": write_halt_queries.in_force,
    "pending causes": cause_queries.pending_causes,
    "still missing": cause_queries.still_missing,
    "recent changes": lambda conn: brake_queries.recent(conn, POLICY.interval, YEARS_LATER),
    "claim a notice": lambda conn: outbox_queries.claim(conn, YEARS_LATER, YEARS_LATER),
    "repair the notices' schedule": lambda conn: outbox_queries.repair_schedule(conn, YEARS_LATER, DAY, DAY),
    "list held notices": lambda conn: notice_queries.list_notices(conn, [Status.HELD], None, 100),
    "list sent notices": lambda conn: notice_queries.list_notices(conn, [Status.SENT], None, 5),
    "all tenants": overview_queries.tenants,
    "every tenant, worst first": lambda conn: tenant_list_queries.every(conn, TenantFilter()),
    "tenants to check now": lambda conn: recheck_queries.tenants(conn, ["acme"], YEARS_LATER - DAY, YEARS_LATER),
    "reported pause": lambda conn: service_queries.reported_pause(conn, YEARS_LATER - DAY),
    "one tenant": lambda conn: overview_queries.tenant(conn, "acme"),
    "latest history": lambda conn: history_queries.events(conn, Wanted(limit=5)),
    "latest losses": lambda conn: history_queries.events(conn, Wanted(kind=EventKind.LOST, limit=5)),
    "history since": lambda conn: history_queries.events(conn, Wanted(since=YEARS_LATER - 7 * DAY)),
    "latest changes": _list,
    "changes further back": lambda conn: _list(conn, SEVENTH_DAY),
    "changes since": lambda conn: _list(conn, since=YEARS_LATER - 7 * DAY),
    "changes of some kinds": lambda conn: _list(conn, kinds=[EventKind.LOST, EventKind.REPLACED]),
    "changes of a permission": lambda conn: _list(conn, permission="jobs"),
    "changes of a label": lambda conn: _list(conn, permission="GET: jobs"),
    "changes of a tenant": lambda conn: _list(conn, tenant_id="acme", permission="jobs", kinds=[EventKind.LOST]),
    "a burst": _show_burst,
    "group what is new": _group_new,
    "group what is left": lambda conn: _group(conn, 150, 151, 152),
    "days of a tenant": lambda conn: check_days_queries.of_tenant(conn, "acme", T0.date(), T0.date() + 30 * DAY),
    **{f"old by {rule}": (lambda conn, rule=rule: pruning_queries.stale(conn, rule, OLD[rule])) for rule in OLD},
    **{
        f"pruned by {rule}": (lambda conn, rule=rule: pruning_queries.prune(conn, rule, OLD[rule], 250)) for rule in OLD
    },
}


@pytest.fixture
async def database(sqlite_url: URL) -> AsyncIterator[Database]:
    opened = await open_database(sqlite_url)
    yield opened
    await opened.close()


async def _let_pass(database: Database, first: int, last: int) -> None:
    """Each time: an incident that was opened, reported and resolved; a day of checks, and a sweep."""
    numbers = range(first, last)
    moments = {number: T0 + number * DAY / 20 for number in numbers}
    told = {"tenant_id": "globex", "audience": "csm"}
    jobs = {"kind": "lost", "permission_id": "jobs", "permission_label": "GET: jobs"}
    event = {**jobs, "credential_id": 2, "detail": "", "tenant_id": "globex"}
    burst = {**jobs, "subject": "jobs", "events": 1, "tenants": 1, "examples": ["globex"]}
    notice = {"status": "sent", "why": "", "recipient": "", "subject": "", "text": "", "html": "", "attempts": 1}
    counts = {"checks": 6, "drifted": 0, "undecided": 0, "failed": 0, "requests": 1, "seconds": 1}
    rows: dict[Table, list[dict[str, Any]]] = {
        INCIDENT: [{"id": n, "tenant_id": "globex", "opened_at": at, "resolved_at": at} for n, at in moments.items()],
        BURST: [{"id": n, "first_at": at, "last_at": at, **burst} for n, at in moments.items()],
        DRIFT_EVENT: [{"id": n, "at": at, "incident_id": n, "burst_id": n, **event} for n, at in moments.items()],
        NOTICE: [
            {"id": n, "message_id": str(n), "created_at": at, "sent_at": at, **told, **notice}
            for n, at in moments.items()
        ],
        CAUSE: [
            {"id": n, "event_id": n, "notice_id": n, "created_at": at, "settled_at": at, "brake_key": "", **told}
            for n, at in moments.items()
        ],
        CHECK_DAY: [
            {"day": T0.date() + n * DAY, "credential_id": 2, "state": "ok", **counts} for n in numbers
        ],
        SWEEP: [{"started_at": YEARS_LATER - n * POLICY.interval / 2, "finished_at": YEARS_LATER} for n in numbers],
    }  # fmt: skip
    async with database.writing() as conn:
        for table, lines in rows.items():
            await conn.execute(insert(table), lines)


class _NotKept(Exception):
    """Rolls back a transaction that was only to be measured."""


async def _steps(database: Database, question: Question) -> int:
    """How many instructions SQLite's virtual machine executes."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    with suppress(_NotKept):
        async with database.writing() as conn:
            raw = (await conn.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.set_progress_handler(count, 1)
            try:
                await question(conn)
            finally:
                await raw.set_progress_handler(None, 0)
            raise _NotKept
    return counted


async def test_no_question_grows_with_the_years(database: Database) -> None:
    """With thirty times the history, no query takes more steps, except for those of deeper trees."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    for hours, letter in enumerate("gmmggmm"):
        await check(database, served({"jobs": letter}), T0 + hours * POLICY.interval)
    await group_all(database)

    await _let_pass(database, 100, 200)
    before = {name: await _steps(database, question) for name, question in QUESTIONS.items()}
    await _let_pass(database, 200, 3100)
    after = {name: await _steps(database, question) for name, question in QUESTIONS.items()}

    assert all(before.values())
    grown = {name: (before[name], after[name]) for name in QUESTIONS if after[name] > 1.2 * before[name] + 100}
    assert grown == {}
