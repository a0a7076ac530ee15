"""`db check`: a sound database passes, every kind of damage is found, and nothing is changed."""

import secrets
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
from monitor.store.tables import CREDENTIAL, DRIFT_EVENT, INCIDENT, TENANT
from monitor.tenants.fingerprint_key import key_path, registered_key
from monitor.upkeep import consistency_queries, damage_queries
from monitor.upkeep.audit.chain import AuditKey
from monitor.upkeep.audit.signer import HistorySigner
from monitor.upkeep.database_check import DatabaseCheck, DatabaseReport
from monitor.upkeep.finding import DatabasePart, HealthFinding
from monitor.web.auth.role import AccessRole
from monitor.web.auth.session_actions import LinkHolder, create_link
from monitor.web.auth.token_actions import NewToken, create_token
from tests.bursts import group_all
from tests.disk import small_disk
from tests.installation import NOTICES
from tests.real_part import real_part
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
    """Three tenants after a day: one healthy, one that lost a permission (notified), one whose replaced key failed."""
    await registered_key(database, settings, T0)
    await sync(database, a_tenant("acme"), a_tenant("globex"), a_tenant("initech"))
    for credential_id in (1, 2, 3):
        await checked(database, GOOD, T0, credential_id)
    for minutes in (0, 1):
        await checked(database, BAD, T0 + 4 * HOUR + minutes * MINUTE, 2)
    await checked(
        database, BAD, T0 + 4 * HOUR, 3, excess=[Excess("GET: scorecards", "GET /v1/scorecards", certain=True)]
    )
    await checked(database, BAD, T0 + 4 * HOUR + MINUTE, 3)
    await check(database, served({"jobs": "g", "offers": "u"}), T0 + 5 * HOUR, credential_id=3, fingerprint=OTHER_KEY)
    await check(database, failed(CredentialState.BLOCKED), T0 + 6 * HOUR, credential_id=3, fingerprint=OTHER_KEY)
    await Composer(database, NOTICES, Renderer()).run_once(T0 + 7 * HOUR)
    await checked(database, GOOD, NOW - HOUR, 1)
    await group_all(database)
    return database


async def checked(database: Database, verdicts: dict[str, str], at: Any, credential_id: int, **more: Any) -> None:
    await check(database, replace(served(verdicts, **more), started_at=at), at, credential_id=credential_id)


async def examine(database: Database, settings: Settings, now: Any = NOW, quick: bool = False) -> DatabaseReport:
    opened = database_as_it_is(database.url)
    try:
        return await DatabaseCheck(opened, settings, now, quick=quick, started=lambda part: None).run()
    finally:
        await opened.close()


# Sound databases.


async def test_a_sound_database_is_found_sound(lived_in: Database, settings: Settings) -> None:
    """Nothing is found if only the service has written, and every part was checked."""
    report = await examine(lived_in, settings)
    assert report.findings == []
    assert report.skipped.keys() == (set() if lived_in.is_sqlite else {DatabasePart.FILE})
    assert (report.revision, report.last_check) == (report.newest, NOW - HOUR)
    assert (await examine(lived_in, settings, quick=True)).findings == []


async def test_every_stored_count_is_compared(lived_in: Database) -> None:
    """The database counts as drift does; each of the compared counts is above zero for some credential."""
    names = ("granted", "missing", "undecided", "unchecked", "suspects", "carried", "excess")
    excess = [Excess("GET: scorecards", "GET /v1/scorecards", certain=True)]
    await checked(lived_in, {"jobs": "m", "offers": "m"}, NOW, 2, excess=excess)
    async with lived_in.reading() as conn:
        assert await known_queries.miscounts(conn) == []
        counts = (await conn.execute(select(*(func.max(CREDENTIAL.c[name]) for name in names)))).one()
    assert min(counts) > 0, dict(zip(names, counts, strict=True))


async def test_a_tenant_that_was_added_again_is_no_finding(lived_in: Database, settings: Settings) -> None:
    """Its incident ended with its removal, and opens again only with the next check: that is in order."""
    acme, globex, initech = a_tenant("acme"), a_tenant("globex"), a_tenant("initech")
    await sync(lived_in, acme, initech, now=NOW)
    assert (await examine(lived_in, settings, NOW)).findings == []
    await sync(lived_in, acme, globex, initech, now=NOW + MINUTE)
    assert (await examine(lived_in, settings, NOW + MINUTE)).findings == []
    await checked(lived_in, BAD, NOW + 2 * MINUTE, 2)
    async with lived_in.reading() as conn:
        opened = select(INCIDENT.c.opened_at).where(INCIDENT.c.tenant_id == "globex", INCIDENT.c.resolved_at.is_(None))
        assert (await conn.execute(opened)).scalar_one() == NOW + 2 * MINUTE


async def test_the_end_of_a_link_or_a_token_is_no_fact_yet(lived_in: Database, settings: Settings) -> None:
    """It lies ahead, as it should; the database is sound."""
    holder, wanted = LinkHolder("dana", AccessRole.VIEWER), NewToken("x", AccessRole.VIEWER, "dana", 90 * 24 * HOUR)
    await create_link(lived_in, holder, "root", NOW, secrets.token_bytes)
    await create_token(lived_in, wanted, "root", NOW, secrets.token_bytes)
    assert (await examine(lived_in, settings)).findings == []


async def test_the_check_changes_nothing(lived_in: Database, settings: Settings) -> None:
    """Not a row, and not a byte of a file; a write through the read-only connection is refused."""
    before = await everything(lived_in)
    await lived_in.close()
    file = Path(str(lived_in.url.database))
    content = file.read_bytes() if lived_in.is_sqlite else b""
    await examine(lived_in, settings)
    assert not lived_in.is_sqlite or file.read_bytes() == content
    assert await everything(lived_in) == before
    if lived_in.is_sqlite:
        opened = database_as_it_is(lived_in.url)
        with pytest.raises(StoreError, match="readonly"):
            async with opened.writing() as conn:
                await conn.execute(update(TENANT).values(name="x"))
        await opened.close()


# Damaged databases.

DAMAGED = [
    ("UPDATE credential SET granted = 9 WHERE id = 1", "acme", "granted is stored as 9, but the rows add up to 2"),
    ("UPDATE incident SET resolved_at = '2026-11-23 08:00:00+00:00'", "globex", "in trouble (1 missing, 0 credentials"),
    ("UPDATE credential SET missing = 0", "globex", "an incident is open, but nothing is wrong"),
    ("UPDATE permission_state SET verdict = 'granted'", "globex", "missing is stored as 1, but the rows add up to 0"),
    ("UPDATE credential SET next_due = NULL WHERE id = 1", "acme", "no next check is scheduled"),
    ("UPDATE tenant SET removed_at = created_at WHERE id = 'acme'", "acme", "removed or paused, but a next check is"),
    (
        "UPDATE tenant SET status = 'drifted' WHERE id = 'acme'",
        "acme",
        "its status is stored as drifted, but its credentials make it undecided",
    ),
    ("UPDATE tenant SET paused = '{}' WHERE id = 'acme'", "acme", "but its credentials make it paused"),
    (
        "UPDATE tenant SET severity = 0 WHERE id = 'acme'",
        "acme",
        "with severity 0, but its history ends with undecided",
    ),
    ("DELETE FROM status_change WHERE tenant_id = 'acme'", "acme", "but its history ends with None"),
    (
        "UPDATE status_change SET status = 'new'",
        "globex",
        "stored as drifted with severity 1, but its history ends with",
    ),
    ("UPDATE check_summary SET credential_id = 1", "globex", "with another tenant than that of the credential"),
    ("UPDATE cause SET tenant_id = 'acme'", "acme", "of cause with another tenant than that of the drift_event"),
    ("UPDATE drift_event SET incident_id = 2", "globex", "drift_event with another tenant than that of the incident"),
    ("UPDATE notice SET tenant_id = 'acme'", "globex", "of cause with another tenant than that of the notice"),
    ("UPDATE cause SET settled_at = NULL", "globex", "without a notice since 2026-11-23 12:01Z"),
    ("UPDATE notice SET next_attempt_at = NULL", "globex", "would never be sent"),
    ("UPDATE notice SET text = ''", "globex", "is to be sent, but has no text"),
    ("UPDATE notice SET tenant_id = NULL", None, "is for a CSM, but about no tenant"),
    ("UPDATE credential SET state = 'odd' WHERE id = 1", None, "1 row of credential with the state 'odd'"),
    (
        "UPDATE tenant SET created_at = '2027-01-01 00:00:00+00:00'",
        None,
        "rows are dated in the future, up to 2027-01-01 00:00Z (tenant)",
    ),
    (
        "UPDATE burst SET tenants = 9 WHERE id = 1",
        None,
        "events of 9 tenants, but the rows add up to 1 of 1",
    ),
    ("UPDATE drift_event SET burst_id = 2", None, "but the rows add up to 0 of 0"),
    ("UPDATE burst SET kind = 'odd' WHERE id = 1", None, "1 row of burst with the kind 'odd'"),
    ("DELETE FROM tenant WHERE id = 'acme'", None, "1 row of credential with a missing tenant"),
    ("DROP INDEX one_open_incident", None, "the index incident.one_open_incident is missing"),
]


async def test_each_damage_is_found(lived_in: Database) -> None:
    """It is found, with the tenant it concerns and a next step; once it is undone, nothing is found."""
    for statement, tenant, words in DAMAGED:
        found = await with_change(lived_in, statement)
        assert any(f.tenant == tenant and words in f.message for f in found), (statement, found)
        assert all(finding.next_step for finding in found)
    assert await with_change(lived_in, "UPDATE tenant SET name = 'Acme'") == []


async def with_change(database: Database, statement: str) -> list[HealthFinding]:
    """What is found after a change that bypasses the database's own constraints; the change is rolled back."""
    unconstrained = (
        "PRAGMA defer_foreign_keys = ON" if database.is_sqlite else "SET LOCAL session_replication_role = replica"
    )
    found: list[HealthFinding] = []
    with suppress(_RolledBack):
        async with database.writing() as conn:
            await conn.execute(text(unconstrained))
            await conn.execute(text(statement))
            found = [
                *await damage_queries.of_tables(conn),
                *await damage_queries.of_references(conn),
                *await consistency_queries.of_records(conn, NOW, timedelta(hours=1)),
            ]
            raise _RolledBack
    return found


class _RolledBack(Exception):
    pass


async def test_rows_that_should_have_been_pruned_are_found(lived_in: Database, settings: Settings) -> None:
    """Pruning that does not keep up. While no service ran nothing could be pruned, and that is in order."""
    later = NOW + timedelta(days=60)
    idle = await examine(lived_in, settings, later)
    assert (idle.findings, {age.rule: age.stale for age in idle.ages}) == (
        [], {KeepRule.CHECKS: 10, KeepRule.NOTICE_TEXTS: 0, KeepRule.REFUSALS: 1, KeepRule.SWEEPS: 0},
    )  # fmt: skip
    await checked(lived_in, GOOD, later, 1)
    busy = await examine(lived_in, settings, later)
    assert [f.message.partition(" older")[0] for f in busy.findings] == ["10 rows of checks", "1 row of refusals"]
    assert busy.ages[0].oldest == T0


async def test_growth_is_known_after_a_day(lived_in: Database, settings: Settings) -> None:
    """From the rows added lately; check_day grows by one row for each credential and day, even while it is empty."""
    tables = {table.name: table for table in (await examine(lived_in, settings)).tables}
    assert tables["check_summary"].rows_a_day == pytest.approx(10 / (29 / 24))
    assert tables["check_day"].rows_a_day == 3
    assert tables["permission_state"].rows_a_day == 0
    assert tables["notice (texts)"].kept_days == 90
    assert tables["notice"].rows == tables["notice (texts)"].rows == 3
    young = await examine(lived_in, settings, T0 + 23 * HOUR)
    assert {table.rows_a_day for table in young.tables} == {None}


async def test_another_key_is_found(lived_in: Database, settings: Settings) -> None:
    """A different key, or none; no new key is made."""
    key = key_path(settings)
    key.write_text("0" * 64)
    (finding,) = (await examine(lived_in, settings)).findings
    assert (finding.part, finding.next_step.startswith("restore the right one")) == (DatabasePart.KEY, True)
    assert "is not the key that made the fingerprints in" in finding.message
    key.unlink()
    (finding,) = (await examine(lived_in, settings)).findings
    assert finding.message.endswith("the installation's key is missing")
    assert not key.exists()


async def test_a_changed_history_is_found_at_its_end(lived_in: Database, settings: Settings) -> None:
    """The newest batch is compared with its rows; without the right key nothing can be, and that is said."""
    await HistorySigner(lived_in, AuditKey.derived(await registered_key(lived_in, settings, NOW))).run_once(NOW)
    assert (await examine(lived_in, settings)).findings == []
    async with lived_in.writing() as conn:
        await conn.execute(update(DRIFT_EVENT).values(detail="other"))
    (finding,) = (await examine(lived_in, settings)).findings
    assert (finding.part, "history verify" in finding.next_step) == (DatabasePart.HISTORY, True)
    assert finding.message.startswith("batch 1: rows of drift_event with ids between 1 and ")
    key_path(settings).unlink()
    assert DatabasePart.HISTORY in (await examine(lived_in, settings)).skipped


@pytest.mark.parametrize(("revision", "words"), [("9999", "a later release"), ("0005", "of an earlier release")])
async def test_tables_of_another_release_are_left_as_they_are(
    lived_in: Database, settings: Settings, revision: str, words: str
) -> None:
    """That is the finding; records are not checked, since their rules in that release are unknown."""
    async with lived_in.writing() as conn:
        await conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'"))
    report = await examine(lived_in, settings)
    (finding,) = report.findings
    assert (finding.part, report.revision) == (DatabasePart.TABLES, revision)
    assert words in finding.message
    assert report.skipped.keys() >= {
        DatabasePart.REFERENCES,
        DatabasePart.RECORDS,
        DatabasePart.KEY,
        DatabasePart.UPKEEP,
        DatabasePart.SPACE,
    }


# What can happen only to a SQLite file.


@pytest.fixture
def file(sqlite: Database) -> Path:
    return Path(str(sqlite.url.database))


@pytest.fixture
def file_settings(file: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{file}")


async def test_a_damaged_file_is_found(sqlite: Database, file: Path, file_settings: Settings) -> None:
    """Bad pages are a finding, and the other parts are still checked; a file that is no database is refused."""
    await sync(sqlite, *(a_tenant(f"tenant-{number}") for number in range(300)))
    await sqlite.close()
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size - 5 * 4096)
        opened.write(b"\xff" * 4096)
    report = await examine(sqlite, file_settings)
    assert DatabasePart.FILE not in report.skipped
    assert "restore" in report.of(DatabasePart.FILE)[0].next_step
    file.write_bytes(b"\xff" * 100_000)
    with pytest.raises(StoreError, match="damaged or not a database"):
        await examine(sqlite, file_settings)


async def test_no_file_is_made(sqlite_url: URL, file_settings: Settings) -> None:
    """A wrong name creates no database, and a file without tables is refused."""
    database = Database(sqlite_url)
    with pytest.raises(StoreError, match="unable to open"):
        await examine(database, file_settings)
    path = Path(str(sqlite_url.database))
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="are missing"):
        await examine(database, file_settings)
    await database.close()


async def test_a_file_on_a_read_only_disk_can_be_checked(sqlite: Database, file: Path, tmp_path: Path) -> None:
    """As a backup may be."""
    await sync(sqlite, a_tenant("acme"))
    await sqlite.close()
    with real_part(), small_disk(tmp_path / "disk") as disk:
        shutil.copy(file, disk.folder / "copy.sqlite3")
        disk.remount("ro")
        copy = Database(sqlite.url.set(database=str(disk.folder / "copy.sqlite3")))
        report = await examine(copy, Settings(database_url=f"sqlite:///{disk.folder}/copy.sqlite3"))
        assert [f.part for f in report.findings] == [DatabasePart.SPACE]
        assert report.tables
        await copy.close()


async def test_a_full_disk_and_a_long_log_are_found(sqlite: Database, file: Path, file_settings: Settings) -> None:
    """Before the disk is full; and when a long read makes the log grow."""
    await sync(sqlite, a_tenant("acme"))
    with file.with_name(f"{file.name}-wal").open("ab") as log:
        log.truncate(300 * 1024 * 1024)  # a sparse file: it takes no space
    (finding,) = (await examine(sqlite, file_settings)).findings
    assert finding.message.startswith("the log beside the file has 314,572,800 bytes")
