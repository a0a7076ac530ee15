"""What a verdict rests on, in the database."""

from dataclasses import replace

from sqlalchemy import event

from checks.report import CheckReport
from monitor.incidents import known_queries
from monitor.store.database import Database
from monitor.store.migrations import VERSION_TABLE, upgrade
from monitor.store.tables import PERMISSION_STATE
from tests.reports import HOUR, T0, served
from tests.store import a_tenant, check, rows, sync

CONTROLS = ("GET /v1/approval_flows/{id}", "GET /v1/prospect_pools/{id}")


def vouched(*controls: str, letter: str = "g", status: int | None = 404) -> CheckReport:
    report = served({"jobs": letter})
    told = [replace(f, answered_status=status, evidence=controls, more_evidence=3) for f in report.findings]
    return replace(report, findings=tuple(told))


async def test_evidence_is_stored_with_its_verdict_and_read_back(database: Database) -> None:
    """As it was, on either database; where nothing was answered, and nothing vouched, that is stored."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    await check(database, vouched(*CONTROLS))
    await check(database, vouched(letter="n", status=None), credential_id=2)
    async with database.reading() as conn:
        found = [(await known_queries.load(conn, number)).permissions["jobs"] for number in (1, 2)]
    assert [(k.answered_status, k.evidence, k.more_evidence, k.evidence_at) for k in found] == [
        (404, CONTROLS, 3, T0),
        (None, (), 3, T0),
    ]


async def test_an_unchanged_check_writes_no_permission(database: Database) -> None:
    """Whatever vouches for the verdict now, and whatever was answered."""
    await sync(database, a_tenant("acme"))
    await check(database, vouched(*CONTROLS))
    before = await rows(database, PERMISSION_STATE)
    statements: list[str] = []
    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    await check(database, vouched(CONTROLS[1], status=422), T0 + HOUR)
    about = [text.split()[0] for text in statements if "permission_state" in text]
    assert set(about) == {"SELECT"}
    assert await rows(database, PERMISSION_STATE) == before


async def test_what_an_earlier_release_stored_has_none(database: Database) -> None:
    """The columns are added to rows that know nothing of them, and such rows are read."""
    await sync(database, a_tenant("acme"))
    await check(database, vouched(*CONTROLS))
    async with database.writing() as conn:
        for column in ("answered_status", "evidence", "more_evidence", "evidence_at"):
            await conn.exec_driver_sql(f"ALTER TABLE permission_state DROP COLUMN {column}")
        await conn.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0014'")
        await conn.run_sync(upgrade, "0015")
        known = (await known_queries.load(conn, 1)).permissions["jobs"]
    assert (known.verdict, known.answered_status, known.evidence, known.evidence_at) == ("granted", None, None, None)
