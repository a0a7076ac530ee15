"""`db check` looked at from within: a sound database is found sound, each damage is found, and nothing is changed."""

import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, func, select, text, update

from checks.credential import CredentialState
from checks.report import Excess
from monitor.config.retention import KeepRule
from monitor.config.settings import Settings
from monitor.errors import StoreError
from monitor.incidents import known_queries
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.store.database import Database, database_as_it_is
from monitor.store.migrations import VERSION_TABLE
from monitor.store.tables import CREDENTIAL, INCIDENT, TENANT
from monitor.tenants.fingerprint_key import key_path, registered_key
from monitor.upkeep import consistency_queries, damage_queries
from monitor.upkeep.database_check import DatabaseCheck, DatabaseReport
from monitor.upkeep.finding import DatabaseFinding, Part
from tests.disk import NoDisk, small_disk
from tests.installation import NOTICES
from tests.reports import HOUR, MINUTE, OTHER_KEY, T0, failed, served
from tests.store import a_tenant, check, everything, sync

GOOD, BAD = {"jobs": "g", "offers": "g", "users": "u", "notes": "n"}, {"jobs": "g", "offers": "m", "users": "g"}
NOW = T0 + 30 * HOUR


@pytest.fixture
def settings(tmp_path: Path, database_url: URL) -> Settings:
    return Settings(
        database_url=database_url.set(drivername=database_url.get_backend_name()).render_as_string(False),
        installation_key=tmp_path / "a.key",
    )


@pytest.fixture
async def lived_in(database: Database, settings: Settings) -> Database:
    """Three tenants after a day: one well, one that lost a permission (told), one with another key that failed."""
    await registered_key(database, settings, T0)
    await sync(database, a_tenant("acme"), a_tenant("globex"), a_tenant("initech"))
    for credential_id in (1, 2, 3):
        await look(database, GOOD, T0, credential_id)
    for minutes in (0, 1):
        await look(database, BAD, T0 + 4 * HOUR + minutes * MINUTE, 2)
    await look(database, BAD, T0 + 4 * HOUR, 3, excess=[Excess("GET: scorecards", "GET /v1/scorecards", certain=True)])
    await look(database, BAD, T0 + 4 * HOUR + MINUTE, 3)
    await check(database, served({"jobs": "g", "offers": "u"}), T0 + 5 * HOUR, credential_id=3, fingerprint=OTHER_KEY)
    await check(database, failed(CredentialState.BLOCKED), T0 + 6 * HOUR, credential_id=3, fingerprint=OTHER_KEY)
    await Composer(database, NOTICES, Renderer()).run_once(T0 + 7 * HOUR)
    await look(database, GOOD, NOW - HOUR, 1)
    return database


async def look(database: Database, verdicts: dict[str, str], at: Any, credential_id: int, **more: Any) -> None:
    await check(database, replace(served(verdicts, **more), started_at=at), at, credential_id=credential_id)


async def examine(database: Database, settings: Settings, now: Any = NOW, quick: bool = False) -> DatabaseReport:
    seen = database_as_it_is(database.url)
    try:
        return await DatabaseCheck(seen, settings, now, quick=quick, began=lambda part: None).run()
    finally:
        await seen.close()


# What is sound.


async def test_a_sound_database_is_found_sound(lived_in: Database, settings: Settings) -> None:
    """Nothing is found where the service alone has written, and everything was looked at."""
    seen = await examine(lived_in, settings)
    assert seen.findings == []
    assert seen.left_out.keys() == (set() if lived_in.is_sqlite else {Part.FILE})
    assert (seen.revision, seen.last_look) == (seen.newest, NOW - HOUR)
    assert (await examine(lived_in, settings, quick=True)).findings == []


async def test_counts_are_compared_in_every_standing(lived_in: Database) -> None:
    """The database counts as drift does: none of the counts that were compared was zero throughout."""
    names = ("granted", "missing", "undecided", "unchecked", "suspects", "carried", "excess")
    excess = [Excess("GET: scorecards", "GET /v1/scorecards", certain=True)]
    await look(lived_in, {"jobs": "m", "offers": "m"}, NOW, 2, excess=excess)
    async with lived_in.reading() as conn:
        assert await known_queries.miscounts(conn) == []
        counts = (await conn.execute(select(*(func.max(CREDENTIAL.c[name]) for name in names)))).one()
    assert min(counts) > 0, dict(zip(names, counts, strict=True))


async def test_a_tenant_that_came_back_is_not_in_doubt(lived_in: Database, settings: Settings) -> None:
    """Its trouble ended with its removal; until the next look there is none again, and that is in order."""
    acme, globex, initech = a_tenant("acme"), a_tenant("globex"), a_tenant("initech")
    await sync(lived_in, acme, initech, now=NOW)
    assert (await examine(lived_in, settings, NOW)).findings == []
    await sync(lived_in, acme, globex, initech, now=NOW + MINUTE)
    assert (await examine(lived_in, settings, NOW + MINUTE)).findings == []
    await look(lived_in, BAD, NOW + 2 * MINUTE, 2)
    async with lived_in.reading() as conn:
        opened = select(INCIDENT.c.opened_at).where(INCIDENT.c.tenant_id == "globex", INCIDENT.c.resolved_at.is_(None))
        assert (await conn.execute(opened)).scalar_one() == NOW + 2 * MINUTE


async def test_looking_changes_nothing(lived_in: Database, settings: Settings) -> None:
    """Not a row, and of a file not a byte; a write through what is open for looking is refused."""
    before = await everything(lived_in)
    await lived_in.close()
    file = Path(str(lived_in.url.database))
    content = file.read_bytes() if lived_in.is_sqlite else b""
    await examine(lived_in, settings)
    assert not lived_in.is_sqlite or file.read_bytes() == content
    assert await everything(lived_in) == before
    if lived_in.is_sqlite:
        seen = database_as_it_is(lived_in.url)
        with pytest.raises(StoreError, match="readonly"):
            async with seen.writing() as conn:
                await conn.execute(update(TENANT).values(name="x"))
        await seen.close()


# What is not.

SPOILT = [
    ("UPDATE credential SET granted = 9 WHERE id = 1", "acme", "counted 9 granted, and its rows come to 2"),
    ("UPDATE incident SET resolved_at = '2026-11-23 08:00:00+00:00'", "globex", "in trouble (1 missing, 0 credentials"),
    ("UPDATE credential SET missing = 0", "globex", "an incident is open, and there is no trouble"),
    ("UPDATE permission_state SET verdict = 'granted'", "globex", "counted 1 missing, and its rows come to 0"),
    ("UPDATE credential SET next_due = NULL WHERE id = 1", "acme", "no next look is planned"),
    ("UPDATE tenant SET removed_at = created_at WHERE id = 'acme'", "acme", "was removed, and would still be checked"),
    ("UPDATE check_summary SET credential_id = 1", "globex", "of another tenant than their credential"),
    ("UPDATE cause SET tenant_id = 'acme'", "acme", "rows of cause are of another tenant than their drift_event"),
    ("UPDATE drift_event SET incident_id = 2", "globex", "drift_event are of another tenant than their incident"),
    ("UPDATE notice SET tenant_id = 'acme'", "globex", "rows of cause are of another tenant than their notice"),
    ("UPDATE cause SET settled_at = NULL", "globex", "causes wait to be told since 2026-11-23 12:01Z"),
    ("UPDATE notice SET next_attempt_at = NULL", "globex", "would never be sent"),
    ("UPDATE notice SET text = ''", "globex", "is to be sent, and has no text"),
    ("UPDATE notice SET tenant_id = NULL", None, "is for a CSM, and about no tenant"),
    ("UPDATE credential SET state = 'odd' WHERE id = 1", None, "1 rows of credential have the state 'odd'"),
    (
        "UPDATE tenant SET created_at = '2027-01-01 00:00:00+00:00'",
        None,
        "rows are dated ahead of now, up to 2027-01-01 00:00Z (tenant)",
    ),
    ("DELETE FROM tenant WHERE id = 'acme'", None, "1 rows of credential name a tenant that is not there"),
    ("DROP INDEX one_open_incident", None, "the index incident.one_open_incident is missing"),
]


async def test_each_disorder_is_found(lived_in: Database) -> None:
    """It is found, with the tenant it concerns and a next step; and with it taken back, nothing is."""
    for statement, tenant, words in SPOILT:
        found = await with_change(lived_in, statement)
        assert any(f.tenant == tenant and words in f.message for f in found), (statement, found)
        assert all(finding.next_step for finding in found)
    assert await with_change(lived_in, "UPDATE tenant SET name = 'Acme'") == []


async def with_change(database: Database, statement: str) -> list[DatabaseFinding]:
    """What is found after a change by somebody who cares for no rule of the database; the change is taken back."""
    lawless = "PRAGMA defer_foreign_keys = ON" if database.is_sqlite else "SET LOCAL session_replication_role = replica"
    found: list[DatabaseFinding] = []
    with suppress(_TakenBack):
        async with database.writing() as conn:
            await conn.execute(text(lawless))
            await conn.execute(text(statement))
            found = [
                *await damage_queries.of_tables(conn),
                *await damage_queries.of_references(conn),
                *await consistency_queries.of_records(conn, NOW, timedelta(hours=1)),
            ]
            raise _TakenBack
    return found


class _TakenBack(Exception):
    pass


async def test_what_should_have_gone_is_found(lived_in: Database, settings: Settings) -> None:
    """Pruning that does not keep up; while no service ran, nothing could go, and that is in order."""
    later = NOW + timedelta(days=60)
    idle = await examine(lived_in, settings, later)
    assert (idle.findings, {age.rule: age.stale for age in idle.ages}) == (
        [], {KeepRule.CHECKS: 10, KeepRule.NOTICE_TEXTS: 0, KeepRule.REFUSALS: 1, KeepRule.SWEEPS: 0},
    )  # fmt: skip
    await look(lived_in, GOOD, later, 1)
    busy = await examine(lived_in, settings, later)
    assert [f.message.partition(" are")[0] for f in busy.findings] == ["10 rows of checks", "1 rows of refusals"]
    assert busy.ages[0].oldest == T0


async def test_growth_is_told_after_a_day(lived_in: Database, settings: Settings) -> None:
    """By what came in lately; a row of check_day comes for each credential and day, before there is one."""
    tables = {table.name: table for table in (await examine(lived_in, settings)).tables}
    assert tables["check_summary"].rows_a_day == pytest.approx(10 / (29 / 24))
    assert tables["check_day"].rows_a_day == 3
    assert tables["permission_state"].rows_a_day == 0
    assert tables["notice (texts)"].kept_days == 90
    assert tables["notice"].rows == tables["notice (texts)"].rows == 3
    young = await examine(lived_in, settings, T0 + 23 * HOUR)
    assert {table.rows_a_day for table in young.tables} == {None}


async def test_another_key_is_found(lived_in: Database, settings: Settings) -> None:
    """One that is another or gone; none is made."""
    key = key_path(settings)
    key.write_text("0" * 64)
    (finding,) = (await examine(lived_in, settings)).findings
    assert (finding.part, finding.next_step.startswith("restore the right one")) == (Part.KEY, True)
    assert "is not the key that made the fingerprints in" in finding.message
    key.unlink()
    (finding,) = (await examine(lived_in, settings)).findings
    assert finding.message.endswith("the installation's key is missing")
    assert not key.exists()


@pytest.mark.parametrize(("revision", "words"), [("9999", "a later release"), ("0005", "of an earlier release")])
async def test_tables_of_another_release_are_left_as_they_are(
    lived_in: Database, settings: Settings, revision: str, words: str
) -> None:
    """That is the finding; the records are not looked at, for nobody knows what holds between them."""
    async with lived_in.writing() as conn:
        await conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'"))
    seen = await examine(lived_in, settings)
    (finding,) = seen.findings
    assert (finding.part, seen.revision) == (Part.TABLES, revision)
    assert words in finding.message
    assert seen.left_out.keys() >= {Part.REFERENCES, Part.RECORDS, Part.KEY, Part.UPKEEP, Part.SPACE}


# What only a SQLite file can suffer.


@pytest.fixture
def file(sqlite: Database) -> Path:
    return Path(str(sqlite.url.database))


@pytest.fixture
def beside(file: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{file}")


async def test_a_damaged_file_is_found(sqlite: Database, file: Path, beside: Settings) -> None:
    """Pages that went bad are a finding, and what can still be looked at is; a file that is no database is refused."""
    await sync(sqlite, *(a_tenant(f"tenant-{number}") for number in range(300)))
    await sqlite.close()
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size - 5 * 4096)
        opened.write(b"\xff" * 4096)
    seen = await examine(sqlite, beside)
    assert Part.FILE not in seen.left_out
    assert "restore" in seen.of(Part.FILE)[0].next_step
    file.write_bytes(b"\xff" * 100_000)
    with pytest.raises(StoreError, match="damaged or not a database"):
        await examine(sqlite, beside)


async def test_no_file_is_made(sqlite_url: URL, beside: Settings) -> None:
    """A name that is wrong is no new database; and one without tables is none of ours."""
    database = Database(sqlite_url)
    with pytest.raises(StoreError, match="unable to open"):
        await examine(database, beside)
    path = Path(str(sqlite_url.database))
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="are missing"):
        await examine(database, beside)
    await database.close()


async def test_a_disk_that_can_not_be_written_can_be_looked_at(sqlite: Database, file: Path, tmp_path: Path) -> None:
    """A copy on a read-only disk, as a backup may be."""
    await sync(sqlite, a_tenant("acme"))
    await sqlite.close()
    try:
        with small_disk(tmp_path / "disk") as disk:
            shutil.copy(file, disk.folder / "copy.sqlite3")
            disk.remount("ro")
            copy = Database(sqlite.url.set(database=str(disk.folder / "copy.sqlite3")))
            seen = await examine(copy, Settings(database_url=f"sqlite:///{disk.folder}/copy.sqlite3"))
            assert [f.part for f in seen.findings] == [Part.SPACE]
            assert seen.tables
            await copy.close()
    except NoDisk as why:
        pytest.skip(str(why))


async def test_little_room_and_a_long_log_are_found(sqlite: Database, file: Path, beside: Settings) -> None:
    """Before the disk is full; and when a reader that stays lets the log grow."""
    await sync(sqlite, a_tenant("acme"))
    with file.with_name(f"{file.name}-wal").open("ab") as log:
        log.truncate(300 * 1024 * 1024)  # a hole: it takes no room
    (finding,) = (await examine(sqlite, beside)).findings
    assert finding.message.startswith("the log beside the file has 314,572,800 bytes")
