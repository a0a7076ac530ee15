"""Compliance reports from a real database: what was recorded by checks, and no more."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import event, update

from checks.credential import CredentialState
from monitor.reporting import compliance_queries
from monitor.reporting.compliance import Ending, Report, Spread, TenantReport
from monitor.reporting.kept_reports import KEPT_FOR, KeptReports
from monitor.reporting.report_period import Period, PeriodError, TimeSpan, month, parse_period
from monitor.store.database import Database
from monitor.store.tables import STATUS_CHANGE, TENANT
from monitor.tenants.file import Declined
from tests.reports import HOUR, MINUTE, T0, failed, served
from tests.store import a_tenant, check, sync

DAY = timedelta(days=1)
NOVEMBER, DECEMBER = month(2026, 11), month(2026, 12)
LATER = T0 + 60 * DAY
ALL, ONE_MISSING = served({"jobs": "g", "offers": "g"}), served({"jobs": "m", "offers": "g"})
PART = served({"jobs": "m"}, partial=True)
NO_KEY = failed(CredentialState.INVALID)


async def report(database: Database, period: Period = NOVEMBER, now=LATER) -> Report:
    async with database.reading() as conn:
        since = await compliance_queries.recorded_since(conn)
        assert since is not None
        return await compliance_queries.report(conn, period, since, now)


async def report_of(database: Database, tenant: str, period: Period = NOVEMBER, now=LATER) -> TenantReport | None:
    async with database.reading() as conn:
        since = await compliance_queries.recorded_since(conn)
        assert since is not None
        return await compliance_queries.tenant_report(conn, tenant, period, since, now)


@pytest.fixture
async def recorded(database: Database) -> Database:
    """Acme is well after an hour, lost `jobs` for a day, and its key in December; Globex is well all the time.

    Initech has declined `jobs`, and leaves after two days.
    """
    refused = Declined("jobs", "ticket 1", date(2026, 11, 1), "dana")
    acme, globex = a_tenant("acme"), a_tenant("globex")
    initech = a_tenant("initech", declined=[refused])
    await sync(database, acme, globex, initech)
    for credential in (1, 2, 3):
        await check(database, ALL, T0 + HOUR, credential_id=credential)
    await check(database, ONE_MISSING, T0 + 5 * HOUR)
    await check(database, PART, T0 + 5 * HOUR + MINUTE)
    await sync(database, acme, globex, now=T0 + 2 * DAY)
    await check(database, ALL, T0 + 29 * HOUR + MINUTE)
    in_december = DECEMBER.whole.begin
    await check(database, ALL, in_december + 2 * HOUR)
    await check(database, NO_KEY, in_december + 6 * HOUR)
    await check(database, NO_KEY, in_december + 6 * HOUR + MINUTE)
    await check(database, ALL, in_december + 10 * HOUR)
    return database


async def test_a_month_as_it_was_recorded(recorded: Database) -> None:
    """Statuses from the check that changed them; who joined and left counts in between; the least share is first."""
    found = await report(recorded)
    assert [tenant.id for tenant in found.tenants] == ["acme", "globex", "initech"]
    acme, globex, initech = found.tenants
    assert (acme.times.new, acme.times.drifted) == (HOUR, 24 * HOUR)
    assert acme.times.there == globex.times.there == NOVEMBER.whole.end - T0
    assert (initech.times.new, initech.times.healthy) == (HOUR, 47 * HOUR)
    assert (globex.times.share, initech.times.share) == (1.0, 1.0)
    assert (found.counting, found.complete, found.losing) == (3, 2, 1)
    assert found.figures == acme.figures
    assert acme.figures.restored == Spread(1, 24 * HOUR, 24 * HOUR)
    assert acme.figures.detected == Spread(1, 4 * HOUR + MINUTE, 4 * HOUR + MINUTE)
    assert list(initech.declined) == ["jobs"]


async def test_one_tenant_is_reported_as_among_all(recorded: Database) -> None:
    """The same numbers, and its losses with what was lost."""
    for period in (NOVEMBER, DECEMBER, parse_period("2026-Q4")):
        for tenant in (await report(recorded, period)).tenants:
            alone = await report_of(recorded, tenant.id, period)
            assert alone is not None
            assert alone.tenant == tenant, (period.name, tenant.id)
            assert len(alone.losses) == tenant.figures.before + tenant.figures.begun
    alone = await report_of(recorded, "acme", parse_period("2026-Q4"))
    assert alone is not None
    what = [(loss.begun.permission_label, loss.begun.state, loss.ending) for loss in alone.losses]
    assert what == [("GET: jobs", None, Ending.RESTORED), (None, "invalid", Ending.RESTORED)]


async def test_a_quarter_is_its_months(recorded: Database) -> None:
    """Whatever a month leaves open, the next begins with."""
    quarter, november, december = [
        await report(recorded, period) for period in (parse_period("2026-Q4"), NOVEMBER, DECEMBER)
    ]
    assert quarter.times.counted == november.times.counted + december.times.counted
    assert quarter.figures.lost == november.figures.lost + december.figures.lost == 2
    assert quarter.figures.restored == november.figures.restored + december.figures.restored


async def test_what_was_lost_before_the_period_is_seen_restored_in_it(recorded: Database) -> None:
    """A span that begins within the loss has it as one of before, with its whole length."""
    within = Period("drawn", "a part of November", TimeSpan(T0 + 10 * HOUR, NOVEMBER.whole.end))
    found = await report_of(recorded, "acme", within)
    assert found is not None
    assert (found.tenant.figures.before, found.tenant.figures.lost) == (1, 0)
    assert found.tenant.figures.restored == Spread(1, 24 * HOUR, 24 * HOUR)
    assert found.tenant.times.drifted == 19 * HOUR + MINUTE


async def test_a_report_ends_now_if_its_period_is_not_over(recorded: Database) -> None:
    """What comes later is not known yet, and what is open is as old as it is now."""
    found = await report_of(recorded, "acme", now=T0 + 11 * HOUR + MINUTE)
    assert found is not None
    assert found.covered.is_running
    assert found.tenant.times.there == 11 * HOUR + MINUTE
    assert found.tenant.figures.still_open == Spread(1, 6 * HOUR, 6 * HOUR)


async def test_who_was_not_there_is_not_in_the_report(recorded: Database) -> None:
    """Initech left in November; asked for by name, it has no time in December."""
    assert [tenant.id for tenant in (await report(recorded, DECEMBER)).tenants] == ["acme", "globex"]
    alone = await report_of(recorded, "initech", DECEMBER)
    assert alone is not None
    assert not alone.tenant.times.there
    assert await report_of(recorded, "nobody") is None


async def test_nothing_is_claimed_about_the_time_before_an_upgrade(recorded: Database) -> None:
    """An upgrade wrote how tenants stood: one drifted since its incident began, the others since their last check.

    From the last of these on all are known; to count from the first would count the drifted alone.
    """
    upgraded = T0 + 3 * DAY
    async with recorded.writing() as conn:
        first = {"acme": ("drifted", T0), "globex": ("healthy", upgraded - HOUR), "initech": ("removed", T0)}
        await conn.execute(STATUS_CHANGE.delete())
        for tenant, (status, since) in first.items():
            await conn.execute(STATUS_CHANGE.insert().values(tenant_id=tenant, at=since, status=status))
        later = {"at": upgraded + HOUR, "status": "healthy", "previous": "drifted"}
        await conn.execute(STATUS_CHANGE.insert().values(tenant_id="acme", **later))
    found = await report(recorded)
    assert found.covered.span.begin == found.covered.recorded_since == upgraded - HOUR
    assert {tenant.id: tenant.times.drifted for tenant in found.tenants} == {"acme": 2 * HOUR, "globex": 0 * HOUR}
    with pytest.raises(PeriodError, match="recorded since 26 November 2026"):
        await report(recorded, month(2026, 10))


async def test_without_a_tenant_nothing_was_ever_recorded(database: Database) -> None:
    """There is no first day to report from."""
    async with database.reading() as conn:
        assert await compliance_queries.recorded_since(conn) is None


async def test_a_report_takes_four_statements_however_many_tenants(sqlite: Database) -> None:
    """No statement per tenant."""
    await sync(sqlite, *(a_tenant(f"customer-{number}") for number in range(30)))
    statements: list[str] = []
    async with sqlite.reading() as conn:
        event.listen(conn.sync_connection, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
        await compliance_queries.report(conn, NOVEMBER, T0, LATER)
    assert len(statements) == 4


async def test_losses_of_before_are_found_by_their_incidents(sqlite: Database) -> None:
    """SQLite reads the incidents and their events, not every event before the period."""
    async with sqlite.reading() as conn:
        plans: list[str] = []
        for only in (None, "acme"):
            statement = compliance_queries._earlier_events(NOVEMBER.whole, only)
            compiled = statement.compile(sqlite._engine.sync_engine, compile_kwargs={"render_postcompile": True})
            names = compiled.positiontup or ()
            values = tuple(str(compiled.params[name]) for name in names)
            found = await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)
            plans += [row[3] for row in found if "drift_event" in row[3]]
    assert plans == ["SEARCH drift_event USING INDEX event_of_incident (incident_id=?)"] * 2


async def test_a_report_of_all_is_kept_for_a_minute(sqlite: Database) -> None:
    """Its pages and files show the same figures; a later one is new."""
    await sync(sqlite, a_tenant("acme"))
    kept, name = KeptReports(), update(TENANT).values(name="Acme & Sons")
    async with sqlite.reading() as conn:
        first = await kept.report(conn, NOVEMBER, T0, LATER)
    async with sqlite.writing() as conn:
        await conn.execute(name)
    async with sqlite.reading() as conn:
        assert await kept.report(conn, NOVEMBER, T0, LATER + KEPT_FOR / 2) is first
        renamed = await kept.report(conn, NOVEMBER, T0, LATER + KEPT_FOR)
    assert [tenant.name for tenant in renamed.tenants] == ["Acme & Sons"]
    assert renamed == replace(renamed, times=first.times)


async def test_a_report_that_takes_long_is_kept_for_longer(sqlite: Database) -> None:
    """Sixty times as long as making it took: reading it again and again leaves the service its core."""
    await sync(sqlite, a_tenant("acme"))
    kept = KeptReports(clock=iter((0, 5, 100, 101)).__next__)
    async with sqlite.reading() as conn:
        first = await kept.report(conn, NOVEMBER, T0, LATER)
        assert await kept.report(conn, NOVEMBER, T0, LATER + timedelta(seconds=299)) is first
        assert await kept.report(conn, NOVEMBER, T0, LATER + timedelta(seconds=300)) is not first
