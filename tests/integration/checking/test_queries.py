"""What is due, sweeps, halts, history, overview and snapshot, as read from SQLite and from Postgres."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.report import Excess, WriteAlarm
from monitor.checking import claim_queries, sweep_queries, write_halt_queries
from monitor.checking.claim_queries import Due
from monitor.checking.schedule import interval_start, key_of, next_regular
from monitor.drift import EventKind
from monitor.incidents import history_queries
from monitor.metrics import Snapshot
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, NOTICE, OPERATOR_ACTION, SWEEP, WRITE_HALT
from monitor.tenants import overview_queries
from monitor.tenants.file import Paused, TenantProblem
from monitor.upkeep.gauge_queries import snapshot
from tests.reports import HOUR, MINUTE, POLICY, T0, failed, served
from tests.store import LEASE, a_tenant, check, claim, rows, sync

LABEL = "Gem Harvest API Key"
INVALID, BLOCKED = CredentialState.INVALID, CredentialState.BLOCKED


async def _due(
    database: Database, now: datetime, limit: int = 10, excluding: frozenset[int] = frozenset()
) -> list[int]:
    async with database.reading() as conn:
        found = await claim_queries.due(conn, now, limit, excluding)
    return [*found.pressing, *found.ordinary]


async def _plan_for(database: Database, **moments: datetime) -> None:
    """Set `next_due` of tenants by id."""
    async with database.writing() as conn:
        for tenant_id, moment in moments.items():
            await conn.execute(update(CREDENTIAL).where(CREDENTIAL.c.tenant_id == tenant_id).values(next_due=moment))


# What is due.


async def test_the_most_overdue_come_first(database: Database) -> None:
    """In the order of their due time, no more than asked for, and none that is already running."""
    await sync(database, a_tenant("a"), a_tenant("b"), a_tenant("c"), a_tenant("d"))
    await _plan_for(database, a=T0, b=T0 - HOUR, c=T0 + MINUTE, d=T0 - 2 * HOUR)
    assert await _due(database, T0) == [4, 2, 1]
    assert await _due(database, T0, limit=2) == [4, 2]
    assert await _due(database, T0, limit=2, excluding=frozenset({4})) == [2, 1]
    assert await _due(database, T0 - 3 * HOUR) == []


async def test_confirmations_and_first_checks_come_before_ordinary_ones(database: Database) -> None:
    """Confirmations come first, then first checks; neither waits for checks that are only late."""
    await sync(database, *map(a_tenant, "abcd"))
    for number, verdict in ((1, "g"), (2, "g"), (3, "m")):
        await check(database, served({"jobs": verdict}), T0, credential_id=number)
    await check(database, failed(BLOCKED), T0 + MINUTE, credential_id=2)
    await _plan_for(database, a=T0 - 3 * HOUR, b=T0, c=T0 - HOUR, d=T0 - 2 * HOUR)
    async with database.reading() as conn:
        assert await claim_queries.due(conn, T0, 10) == Due(pressing=[3, 2, 4], ordinary=[1])
        assert await claim_queries.count_checked(conn) == 4


async def test_a_credential_is_due_again_after_its_lease(database: Database) -> None:
    """A crash between claim and record loses nothing: after the lease the credential is due again."""
    await sync(database, a_tenant("acme"))
    await claim(database)
    assert await _due(database, T0) == []
    assert await _due(database, T0 + LEASE) == [1]


async def test_a_claimed_credential_is_not_claimed_again(database: Database) -> None:
    """Two services see the same credential due: the first claims it, the second gets nothing."""
    await sync(database, a_tenant("acme"))
    claims = []
    for _ in range(2):
        async with database.writing() as conn:
            claimed = await claim_queries.claim_due(conn, 1, T0, POLICY.interval, leased_until=T0 + LEASE)
            claims.append(claimed is not None)
    assert claims == [True, False]


async def test_a_released_credential_is_due_at_once_unless_it_was_claimed_again(database: Database) -> None:
    """A stopped check releases its credential; an older claim cannot release it any more."""
    await sync(database, a_tenant("acme"))
    older = await claim(database)
    newer = await claim(database)
    async with database.writing() as conn:
        await claim_queries.release(conn, older, T0)
    assert await _due(database, T0) == []
    async with database.writing() as conn:
        await claim_queries.release(conn, newer, T0)
    assert await _due(database, T0) == [1]


async def test_checks_planned_beyond_an_interval_are_brought_back(database: Database) -> None:
    """After the clock was set back, or the interval shortened, each is due at its own next time, not all at once."""
    await sync(database, a_tenant("a"), a_tenant("b"), a_tenant("c"))
    await _plan_for(database, a=T0 + 365 * 24 * HOUR, b=T0 + 4 * HOUR, c=T0 - HOUR)
    async with database.writing() as conn:
        assert await claim_queries.bring_back(conn, T0, POLICY.interval, LEASE) == 1
        assert await claim_queries.bring_back(conn, T0, POLICY.interval, LEASE) == 0
    planned = [row["next_due"] for row in await rows(database, CREDENTIAL)]
    assert planned == [next_regular(key_of("a", LABEL), T0, POLICY.interval), T0 + 4 * HOUR, T0 - HOUR]


async def _plan_of_due(conn: AsyncConnection) -> str:
    """The database's query plans of the statements that `due` sends."""
    sent: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        sent.append((statement, parameters))

    event.listen(conn.sync_connection, "before_cursor_execute", note)
    await claim_queries.due(conn, T0, 100)
    event.remove(conn.sync_connection, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if conn.dialect.name == "sqlite" else "EXPLAIN "
    plans = [await conn.exec_driver_sql(explain + statement, parameters) for statement, parameters in sent]
    return "\n".join(str(row) for plan in plans for row in plan)


async def test_what_is_due_is_found_by_its_index(database: Database) -> None:
    """With thousands of credentials the query reads only those that are due, in order."""
    await sync(database, *(a_tenant(f"tenant-{number:04}") for number in range(3000)))
    async with database.writing() as conn:
        await conn.execute(update(CREDENTIAL).where(CREDENTIAL.c.id > 30).values(next_due=T0 + HOUR))
    async with database.writing() as conn:
        await conn.execute(text("ANALYZE"))
    async with database.reading() as conn:
        plan = await _plan_of_due(conn)
    assert "credential_planned" in plan
    assert not any(word in plan for word in ("SCAN credential", "Seq Scan", "Sort", "TEMP B-TREE")), plan


# Sweeps.


async def _keep(database: Database, now: datetime) -> list[tuple[datetime, datetime | None]]:
    async with database.writing() as conn:
        await sweep_queries.keep(conn, now, POLICY.interval)
    return [(row["started_at"], row["finished_at"]) for row in await rows(database, SWEEP)]


async def test_a_sweep_ends_when_every_credential_was_checked(database: Database) -> None:
    """It begins with its interval, and ends when every credential was checked since then, with any result."""
    await sync(database, a_tenant("a"), a_tenant("b"))
    assert await _keep(database, T0 + MINUTE) == [(T0, None)]
    await check(database, served({"jobs": "g"}), T0 + HOUR)
    assert await _keep(database, T0 + HOUR) == [(T0, None)]
    await check(database, failed(BLOCKED), T0 + 2 * HOUR, credential_id=2)
    assert await _keep(database, T0 + 2 * HOUR) == [(T0, T0 + 2 * HOUR)]
    assert await _keep(database, T0 + 3 * HOUR) == [(T0, T0 + 2 * HOUR)]
    async with database.reading() as conn:
        assert await sweep_queries.last_completed(conn, T0 + 2 * HOUR) == T0 + 2 * HOUR


async def test_a_sweep_that_a_wrong_clock_put_into_the_future_is_not_the_last(database: Database) -> None:
    """Once the clock is right again, the last sweep is one of the past; one in the future would hide an outage."""
    await sync(database, a_tenant("a"))
    await check(database, served({"jobs": "g"}), T0)
    await _keep(database, T0)
    await check(database, served({"jobs": "g"}), T0 + 24 * HOUR)
    await _keep(database, T0 + 24 * HOUR)
    async with database.reading() as conn:
        assert await sweep_queries.last_completed(conn, T0 + 24 * HOUR) == T0 + 24 * HOUR
        assert await sweep_queries.last_completed(conn, T0 + HOUR) == T0


async def test_after_the_clock_was_set_back_a_full_check_is_due(database: Database) -> None:
    """A last full check in the future does not count, or only suspects would be checked until then."""
    await sync(database, a_tenant("a"))
    await check(database, served({"jobs": "g", "users": "g"}), T0 + 24 * HOUR)
    await check(database, served({"jobs": "m", "users": "g"}), T0 + 24 * HOUR)
    assert (await claim(database, now=T0 + 24 * HOUR + MINUTE)).suspicion.suspects == {"jobs"}
    assert (await claim(database, now=T0)).suspicion.suspects == frozenset()


async def test_a_sweep_waits_only_for_tenants_that_are_checked(database: Database) -> None:
    """Not for a removed tenant, nor for one whose row is wrong."""
    await sync(database, a_tenant("a"), a_tenant("b"), a_tenant("c"))
    await check(database, served({"jobs": "g"}), T0 + HOUR)
    await sync(database, a_tenant("a"), problems=[TenantProblem("b", 2, "wrong")], now=T0 + HOUR)
    assert await _keep(database, T0 + 2 * HOUR) == [(T0, T0 + 2 * HOUR)]


async def test_a_sweep_that_is_too_late_stays_incomplete(database: Database) -> None:
    """It can end up to two intervals late; after that it remains a gap."""
    await sync(database, a_tenant("a"), a_tenant("b"))
    for number in range(4):
        await _keep(database, T0 + number * POLICY.interval)
    for credential_id in (1, 2):
        await check(database, served({"jobs": "g"}), T0 + 13 * HOUR, credential_id=credential_id)
    finished = [ended for _, ended in await _keep(database, T0 + 14 * HOUR)]
    assert finished == [None, T0 + 14 * HOUR, T0 + 14 * HOUR, T0 + 14 * HOUR]


# Write halts.


def _alarm(stops: str) -> WriteAlarm:
    return WriteAlarm("PUT /v1/jobs/{id}", 200, T0, "req-1", "4711", stops)


async def _in_force(database: Database) -> frozenset[str]:
    async with database.reading() as conn:
        return await write_halt_queries.in_force(conn)


@pytest.mark.parametrize("scopes", [["all"], ["without_id"], ["all", "all", "without_id"]], ids=" ".join)
async def test_a_halt_is_in_force_until_it_is_lifted(database: Database, scopes: list[str]) -> None:
    """Every worker reads the same row; lifting needs a reason, which is stored with the person's name."""
    assert await _in_force(database) == frozenset()
    async with database.writing() as conn:
        for stops in scopes:
            await write_halt_queries.halt(conn, _alarm(stops), "acme", 1)
    assert await _in_force(database) == set(scopes)
    async with database.writing() as conn:
        assert await write_halt_queries.lift(conn, "ops", "seen with Greenhouse, ticket 12", T0 + HOUR) == len(scopes)
    assert await _in_force(database) == frozenset()
    row = (await rows(database, WRITE_HALT))[-1]
    assert row == row | {
        "scope": scopes[-1], "tenant_id": "acme", "endpoint": "PUT /v1/jobs/{id}", "status": 200, "request_id": "req-1",
        "record_id": "4711", "lifted_at": T0 + HOUR, "lifted_reason": "seen with Greenhouse, ticket 12",
    }  # fmt: skip
    (action,) = await rows(database, OPERATOR_ACTION)
    assert (action["who"], action["action"], action["reason"]) == ("ops", "writes resume", row["lifted_reason"])


async def test_lifting_nothing_is_no_action(database: Database) -> None:
    """Without a halt in force no reason is stored."""
    async with database.writing() as conn:
        assert await write_halt_queries.lift(conn, "ops", "just in case", T0) == 0
    assert await rows(database, OPERATOR_ACTION) == []


async def test_halts_are_listed_latest_first(database: Database) -> None:
    """Including those that were lifted."""
    async with database.writing() as conn:
        await write_halt_queries.halt(conn, _alarm("all"))
        await write_halt_queries.lift(conn, "ops", "why", T0)
        await write_halt_queries.halt(conn, _alarm("without_id"))
        listed = await write_halt_queries.halts(conn)
    assert [(halt.scope, halt.lifted_at is None) for halt in listed] == [("without_id", True), ("all", False)]


# History.


@pytest.fixture
async def with_history(database: Database) -> Database:
    """Two tenants with a history: acme loses and regains a permission, globex lacks one and then becomes invalid."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    for hour, verdict in enumerate("gmmg"):
        await check(database, served({"jobs": verdict, "offers": "g"}), T0 + hour * HOUR)
    for hour in range(2):
        await check(database, served({"offers": "m"}), T0 + hour * HOUR + MINUTE, credential_id=2)
    for hour in (4, 5):
        await check(database, failed(INVALID), T0 + hour * HOUR, credential_id=2)
    return database


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (history_queries.Wanted(), ["found", "lost", "regained", "credential_failed"]),
        (history_queries.Wanted(tenant_id="acme"), ["lost", "regained"]),
        (history_queries.Wanted(tenant_id="nobody"), []),
        (history_queries.Wanted(since=T0 + 3 * HOUR), ["regained", "credential_failed"]),
        (history_queries.Wanted(permission="jobs"), ["lost", "regained"]),
        (history_queries.Wanted(permission="GET: offers"), ["found"]),  # by its label
        (history_queries.Wanted(kind=EventKind.LOST), ["lost"]),
        (history_queries.Wanted(limit=2), ["regained", "credential_failed"]),  # the latest
        (history_queries.Wanted(tenant_id="acme", kind=EventKind.REGAINED, limit=5), ["regained"]),
    ],
)
async def test_history_is_in_the_order_of_time(
    with_history: Database, wanted: history_queries.Wanted, kinds: list[str]
) -> None:
    """Each filter limits it, and filters can be combined."""
    async with with_history.reading() as conn:
        assert [past.kind for past in await history_queries.events(conn, wanted)] == kinds


async def test_history_has_the_names_people_know(with_history: Database) -> None:
    """The names of tenant and credential, the permission as the customer sees it, and the window."""
    async with with_history.reading() as conn:
        (lost,) = await history_queries.events(conn, history_queries.Wanted(kind=EventKind.LOST))
    assert (lost.tenant_name, lost.credential_label, lost.permission_label) == ("Acme", LABEL, "GET: jobs")
    assert (lost.at, lost.seen_before, lost.first_seen) == (T0 + 2 * HOUR, T0, T0 + HOUR)


# Overview.


async def test_a_tenant_shows_its_worst_credential(database: Database) -> None:
    """State, counts over all of its credentials, the open incident, and the oldest last check."""
    await sync(database, a_tenant("acme", "One", "Two"), a_tenant("globex"))
    for hour in range(2):
        await check(database, failed(BLOCKED, "HTML 403"), T0 + hour * HOUR, credential_id=2)
        await check(database, served({"a": "m", "b": "g", "c": "u"}), T0 + hour * HOUR + MINUTE)
    async with database.reading() as conn:
        acme, globex = await overview_queries.tenants(conn)
    assert (acme.state, acme.last_checked_at, acme.incident_since) == (BLOCKED, T0 + HOUR, T0 + HOUR)
    assert [acme.total(count) for count in ("missing", "granted", "undecided", "suspects")] == [1, 1, 1, 0]
    assert [(one.label, one.state, one.detail) for one in acme.credentials] == [
        ("One", CredentialState.OK, ""),
        ("Two", BLOCKED, "HTML 403"),
    ]
    assert (globex.state, globex.last_checked_at, globex.incident_since) == (CredentialState.OK, None, None)


async def test_a_tenant_is_shown_with_everything_known(database: Database) -> None:
    """Permissions by id with their state, and excess; an unknown tenant is None."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"a": "m", "b": "g"}, excess=[Excess("List x", "GET /v1/x", True)]))
    async with database.reading() as conn:
        shown = await overview_queries.tenant(conn, "acme")
        assert await overview_queries.tenant(conn, "nobody") is None
    assert shown is not None
    line, (detail,) = shown
    assert (line.name, detail.line.label, detail.line.suspects) == ("Acme", LABEL, 1)
    assert {key: known.suspect for key, known in detail.permissions.items()} == {"a": True, "b": False}
    assert detail.excess["GET /v1/x"].label == "List x"


# Snapshot.


NO_TENANTS = dict.fromkeys(("failing", "drifted", "undecided", "new", "healthy", "paused"), 0)


async def test_a_snapshot_counts_everything_once(database: Database) -> None:
    """The gauges of a small installation, counted by hand."""
    names = ("acme", "globex", "initech", "umbrella")
    await sync(
        database, a_tenant("acme", "One", "Two"), *map(a_tenant, names[1:]), problems=[TenantProblem("hooli", 9, "no")]
    )
    for credential_id, report in [(2, failed(INVALID)), (3, served({"jobs": "m"})), (4, failed(BLOCKED))]:
        for minute in range(2):
            await check(database, report, T0 + minute * MINUTE, credential_id=credential_id)
    await check(database, served({"a": "m", "b": "m"}), T0, credential_id=1)  # two suspects
    await check(database, failed(BLOCKED), T0, credential_id=3)  # and one credential
    paused = a_tenant("wonka", paused=Paused("ticket 4711", None, None))
    await sync(
        database,
        a_tenant("acme", "One", "Two"),
        *(*map(a_tenant, names[1:3]), paused),
        problems=[TenantProblem("hooli", 9, "no")],
    )  # umbrella is removed
    async with database.writing() as conn:
        await write_halt_queries.halt(conn, _alarm("all"))
        await conn.execute(
            insert(NOTICE), [_notice(n, s) for n, s in enumerate(("pending", "pending", "held", "sent", "failed"))]
        )
        await sweep_queries.keep(conn, T0, POLICY.interval)
        found = await snapshot(conn, T0 + HOUR, grace=5 * MINUTE)
    assert set(found.database_bytes) == {"used", "free", "wal"}
    assert found.database_bytes["used"] > 0
    assert replace(found, database_bytes={}) == Snapshot(
        taken_at=T0 + HOUR,
        tenants={"ok": 1, "invalid": 1, "blocked": 1, "misconfigured": 1},
        credentials={("harvest-key", "ok"): 3, ("harvest-key", "invalid"): 1, ("harvest-key", "blocked"): 1},
        suspects=3,
        incidents_open=3,
        outbox_notices={"pending": 2, "held": 1, "failed": 1},
        outbox_oldest_age_seconds=3600.0,
        last_completed_sweep=T0,
        write_halt=True,
        checks_overdue=2,
        first_sweep=interval_start(T0, POLICY.interval),
        tenants_by_status={**NO_TENANTS, "failing": 3, "drifted": 1, "paused": 1},
    )


def _notice(number: int, status: str) -> dict[str, Any]:
    content = {"why": "", "recipient": "ops@vendor.example", "subject": "", "text": "", "html": "", "attempts": 0}
    pending_since = T0 + number * MINUTE
    moments = {"created_at": T0 - HOUR, "pending_since": pending_since if status == "pending" else None}
    return {**content, **moments, "audience": "operator", "status": status, "message_id": f"<{number}@here>"}


async def test_a_snapshot_of_nothing_is_all_zero(database: Database) -> None:
    """An empty database has a snapshot as well."""
    async with database.reading() as conn:
        found = await snapshot(conn, T0, grace=timedelta(0))
    nothing = Snapshot(T0, {}, {}, 0, 0, {}, 0.0, None, False, 0, None, tenants_by_status=NO_TENANTS)
    assert replace(found, database_bytes={}) == nothing
