"""The stored status, after whatever happens to tenants, and the history of its changes."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite

from checks.credential import CredentialState
from checks.report import CheckReport
from monitor.incidents.status import Standing, status_of
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, PERMISSION_STATE, STATUS_CHANGE, TENANT
from monitor.tenants.file import Declined, Paused, TenantConfig, TenantProblem
from monitor.upkeep import consistency_queries
from tests.reports import KEY, MINUTE, OTHER_KEY, T0, failed, paused, served
from tests.store import a_tenant, check, rows, sync

STATES = [state for state in CredentialState if state is not CredentialState.OK]
NAMES = ("acme", "globex", "initech")
STEPS = 80


async def test_the_history_of_a_tenant(database: Database) -> None:
    """Each change is one row, with its time and what was before; checks that change nothing add none."""
    await sync(database, a_tenant("acme"))
    for letter in "ggmmmg":
        at = await _next_moment(database)
        await check(database, served({"jobs": letter}), at)
    await sync(database, now=T0 + 7 * MINUTE)
    await sync(database, a_tenant("acme"), now=T0 + 8 * MINUTE)
    found = [(row["previous"], row["status"], row["at"] - T0) for row in await rows(database, STATUS_CHANGE)]
    assert found == [
        (None, "new", 0 * MINUTE),
        ("new", "healthy", 1 * MINUTE),
        ("healthy", "drifted", 4 * MINUTE),  # the first sight, a minute earlier, was a suspicion
        ("drifted", "healthy", 6 * MINUTE),
        ("healthy", "removed", 7 * MINUTE),
        ("removed", "healthy", 8 * MINUTE),
    ]


async def _next_moment(database: Database) -> datetime:
    (credential,) = await rows(database, CREDENTIAL)
    return (credential["last_checked_at"] or T0) + MINUTE


async def test_a_first_check_is_believed_once_it_is_confirmed(database: Database) -> None:
    """Until then the tenant is new: it is never called healthy for the minute in which trouble is only suspected."""
    await sync(database, *map(a_tenant, NAMES))
    for minute in range(2):
        at = T0 + minute * MINUTE
        await check(database, served({"jobs": "m", "offers": "g"}), at, credential_id=1)
        await check(database, failed(CredentialState.INVALID), at, credential_id=2)
    await check(database, served({"jobs": "m", "offers": "g"}), T0, credential_id=3)
    await check(database, served({"jobs": "g"}, partial=True), T0 + MINUTE, credential_id=3)
    found: dict[str, list[str]] = {name: [] for name in NAMES}
    for row in await rows(database, STATUS_CHANGE):
        found[row["tenant_id"]].append(row["status"])
    assert found == {"acme": ["new", "drifted"], "globex": ["new", "failing"], "initech": ["new", "healthy"]}


async def test_what_was_missing_under_a_replaced_secret_is_undecided(database: Database) -> None:
    """Until a check decides it, nobody knows whether it still is."""
    await sync(database, a_tenant("acme"))
    for minute, letter in enumerate("mm"):
        await check(database, served({"jobs": letter, "offers": "g"}), T0 + minute * MINUTE)
    replaced = served({"jobs": "m", "offers": "g"})
    await check(database, replaced, T0 + 2 * MINUTE, fingerprint=OTHER_KEY)
    await check(database, replaced, T0 + 3 * MINUTE, fingerprint=OTHER_KEY)
    assert [row["status"] for row in await rows(database, STATUS_CHANGE)] == ["new", "drifted", "undecided", "drifted"]


async def test_whatever_happens_the_status_follows(database: Database) -> None:
    """After each of many random checks and changes of the tenants file: each stored status is what the rule says of
    the rows, each change of it has a row that continues the one before, and the database check finds nothing.
    """
    draw = random.Random("status")
    now = T0
    await sync(database, *map(a_tenant, NAMES))
    seen = set()
    for step in range(STEPS):
        now += draw.choice([MINUTE, timedelta(hours=5)])
        done = await _something(database, draw, now)
        seen |= await _assert_statuses_follow(database, f"step {step}, {done}")
        if step % 20 == 19:
            async with database.reading() as conn:
                assert await consistency_queries.of_records(conn, now, now - T0) == [], f"step {step}, {done}"
    assert seen == {"failing", "drifted", "undecided", "new", "healthy", "paused", "removed"}


async def _something(database: Database, draw: random.Random, now: datetime) -> str:
    due = [row["id"] for row in await rows(database, CREDENTIAL) if row["next_due"] is not None]
    if not due or draw.random() < 0.3:
        tenants, problems = _a_file(draw)
        await sync(database, *tenants, problems=problems, now=now)
        return f"{[(one.id, len(one.credentials), one.paused) for one in tenants]} and {problems}"
    credential_id, report = draw.choice(due), _a_report(draw)
    fingerprint = draw.choice([KEY] * 5 + [OTHER_KEY])
    await check(database, report, now, credential_id=credential_id, fingerprint=fingerprint)
    return f"{credential_id}: {report.state} {[finding.verdict for finding in report.findings]} with {fingerprint}"


def _a_file(draw: random.Random) -> tuple[list[TenantConfig], list[TenantProblem]]:
    tenants, problems = [], []
    for name in NAMES:
        match draw.randrange(8):
            case 0:
                continue
            case 1:
                problems.append(TenantProblem(name, 1, draw.choice(["no", "wrong"])))
            case 2:
                why = Paused("ticket 4711", None, None)
                tenants.append(a_tenant(name, *draw.choice([("One",), ("One", "Two")]), paused=why))
            case 3:
                tenants.append(a_tenant(name, "One", declined=[Declined("GET: jobs", "ticket 1", None, None)]))
            case 4:
                tenants.append(a_tenant(name, "One", "Two"))
            case _:
                tenants.append(a_tenant(name, "One"))
    return tenants, problems


def _a_report(draw: random.Random) -> CheckReport:
    kind = draw.randrange(10)
    if kind == 0:
        return paused()
    if kind < 3:
        return failed(draw.choice(STATES[:2]))
    verdicts = {name: draw.choice("gggmmu") for name in ("jobs", "offers")}
    return served(verdicts, partial=kind == 3, declined=["jobs"] if kind == 4 else [])


async def _assert_statuses_follow(database: Database, message: str) -> set[str]:
    tenants, credentials = await rows(database, TENANT), await rows(database, CREDENTIAL)
    permissions, changes = await rows(database, PERMISSION_STATE), await rows(database, STATUS_CHANGE)
    for tenant in tenants:
        active = [one for one in credentials if one["tenant_id"] == tenant["id"] and one["removed_at"] is None]
        status = status_of(_standing(tenant, active, permissions))
        assert (tenant["status"], tenant["severity"]) == (status, status.severity), message
        history = [change for change in changes if change["tenant_id"] == tenant["id"]]
        statuses = [change["status"] for change in history]
        assert [change["previous"] for change in history] == [None, *statuses[:-1]], message
        assert all(change["previous"] != change["status"] for change in history), message
        assert (tenant["status"], tenant["status_since"]) == (statuses[-1], history[-1]["at"]), message
    return {tenant["status"] for tenant in tenants}


def _standing(
    tenant: dict[str, Any], active: Sequence[dict[str, Any]], permissions: Sequence[dict[str, Any]]
) -> Standing:
    """From the rows themselves, not from the counts that are stored with them."""
    ids = {one["id"] for one in active}
    ours = [one for one in permissions if one["credential_id"] in ids]
    suspected = {one["credential_id"] for one in ours if one["suspect_since"] is not None}
    unsettled = [
        one
        for one in active
        if one["last_full_at"] is None or (one["last_full_at"] == one["baseline_at"] and one["id"] in suspected)
    ]
    return Standing(
        removed=tenant["removed_at"] is not None,
        paused=tenant["paused"] is not None,
        problem=tenant["problem"] is not None,
        credentials=len(active),
        failing=sum(one["state"] != "ok" for one in active),
        missing=sum(one["verdict"] == "missing" for one in ours),
        undecided=sum(
            one["undecided_as"] == "undecided" or (one["verdict"] is None and one["origin"] in ("lost", "found"))
            for one in ours
        ),
        unsettled=len(unsettled),
    )


async def test_the_worst_tenants_are_found_by_their_index(database: Database) -> None:
    """A page of the list reads as many rows as it shows, in the order of the index."""
    await sync(database, *(a_tenant(f"tenant-{number:04}") for number in range(3000)))
    t = TENANT.c
    page = select(t.id).where(t.removed_at.is_(None)).order_by(t.severity, t.status_since.desc(), t.id).limit(50)
    dialect = sqlite.dialect() if database.is_sqlite else postgresql.dialect()
    statement = str(page.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    async with database.writing() as conn:
        await conn.execute(text("ANALYZE"))
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plan = "\n".join(str(row) for row in await conn.execute(text(explain + statement)))
    assert "tenant_worst_first" in plan
    assert not any(word in plan for word in ("Seq Scan", "Sort", "TEMP B-TREE")), plan
