"""`status`: the service in ten lines, from a database that is there."""

import asyncio
import json
import shutil
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, insert, update

from checks.report import WriteAlarm
from monitor import cli
from monitor.checking import write_halt_queries
from monitor.clock import utc_now
from monitor.drift import EventKind
from monitor.store.database import Database
from monitor.store.tables import CHECK, CREDENTIAL, NOTICE
from monitor.upkeep.gauge_queries import snapshot
from tests.composer import ComposerHarness
from tests.fleet import STANDING, settle_fleet
from tests.integration.cli.conftest import Documented
from tests.store import T0
from tests.terminal import on_terminal, too_wide


async def settle_now(database: Database, fleet: dict[str, str]) -> None:
    """As a service that runs leaves them: checked now, and due later."""
    now = utc_now()
    await settle_fleet(database, fleet, now)
    async with database.writing() as conn:
        await conn.execute(update(CREDENTIAL).values(next_due=now + timedelta(hours=1)))
        await conn.execute(update(CHECK).values(started_at=now))


def test_ten_lines_say_that_it_is_well(
    installed: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headline first; the exit status is 0."""
    asyncio.run(settle_now(installed, {"acme": "healthy", "globex": "undecided"}))
    assert cli.run(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0] == "All well. 1 of 2 tenants are healthy."
    assert [line.split()[0] for line in lines[1:]] == [
        *("Tenants", "Changes", "Sweep", "Emails", "Brake", "Writes", "Checks", "Data", "Next")
    ]
    assert lines[1] == "Tenants  2: 1 undecided, 1 healthy"
    assert lines[2] == "Changes  2 tenants in 24 h: +1 undecided, +1 healthy"
    assert lines[7] == "Checks   0 overdue; breaker not known here, see metrics"
    assert too_wide(on_terminal(monkeypatch, 80, lambda: cli.run(["status"])), 80) == []


def test_what_needs_a_person_comes_first_and_is_exit_status_1(
    installed: Database, capsys: pytest.CaptureFixture[str], documented: Documented
) -> None:
    """Held emails, then a write halt, which ranks higher; each with what to do."""

    async def hold() -> None:
        world = ComposerHarness(installed)
        await world.burst(EventKind.LOST, 3)
        await world.run()

    asyncio.run(hold())
    capsys.readouterr()
    assert cli.run(["status"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("Held: 3 emails. No CSM is told until an operator decides.\n")
    assert "Brake    holds 3 emails\n" in said
    assert "Next     Check one of them now, then release or drop the held emails.\n" in said

    async def halt() -> None:
        async with installed.writing() as conn:
            alarm = WriteAlarm("POST /v1/candidates", 201, utc_now(), "req-1", "42", "all")
            await write_halt_queries.halt(conn, alarm, "burst0", 1)

    asyncio.run(halt())
    found = documented("status", status=1)
    assert (found["well"], found["headline"]["rule"], found["headline"]["tone"]) == (False, "H1", "bad")
    assert found["write_halt"]["tenant"] == "Burst0"
    assert found["emails"]["held"] == 3


def test_json_is_one_document_with_these_keys(installed: Database, documented: Documented) -> None:
    """Whoever adds one adds it here; what is not known is null."""
    asyncio.run(settle_now(installed, {"acme": "healthy"}))
    found = documented("status")
    assert list(found) == [
        *("well", "headline", "tenants", "changes_24h", "sweep", "emails", "write_halt", "breaker"),
        *("checks_overdue", "suspects", "ours_to_mend", "last_check_at", "data_age_seconds"),
    ]
    assert found["breaker"] is None
    assert found["tenants"] == {
        "failing": 0,
        "drifted": 0,
        "undecided": 0,
        "new": 0,
        "healthy": 1,
        "paused": 0,
    }


def test_tenants_that_nobody_ever_checked_are_not_well(installed: Database, documented: Documented) -> None:
    """Due, and no check was ever made: the service does not run."""
    asyncio.run(settle_fleet(installed, {"acme": "new"}, utc_now() - timedelta(hours=1)))
    found = documented("status", status=1)
    assert found["headline"]["rule"] == "H4"
    assert found["headline"]["text"].startswith("No tenant was ever checked")


def test_a_pause_that_was_reported_and_is_not_over_is_said(installed: Database, documented: Documented) -> None:
    """Until a check after it was made in full, or its end was reported."""
    now = utc_now()
    asyncio.run(settle_now(installed, {"acme": "healthy"}))
    columns = {"audience": "operator", "status": "sent", "recipient": "ops@vendor.example", "subject": "", "text": ""}

    async def note(why: str, minutes_ago: int) -> None:
        at = now - timedelta(minutes=minutes_ago)
        row = {**columns, "html": "", "why": why, "message_id": f"{why} {minutes_ago}", "created_at": at}
        async with installed.writing() as conn:
            await conn.execute(insert(NOTICE).values(row))

    async def checked(minutes_ago: int, detail: str) -> None:
        async with installed.writing() as conn:
            await conn.execute(update(CHECK).values(started_at=now - timedelta(minutes=minutes_ago), detail=detail))

    asyncio.run(note("checks paused", 30))
    assert documented("status")["breaker"] is None  # a check was made since
    asyncio.run(checked(20, "paused"))
    found = documented("status", status=1)
    assert found["breaker"]["state"] == "paused"
    assert found["headline"]["text"].startswith("Greenhouse does not answer as it should since ")
    asyncio.run(note("checks go on", 10))
    assert documented("status")["breaker"] is None


def test_a_database_that_cannot_be_read_is_exit_status_3(
    installed: Database,
    documented: Documented,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Absent, without tables, or no database: told, with one document under --json, and nothing is created."""
    (tmp_path / "empty.sqlite3").touch()
    (tmp_path / "text.sqlite3").write_text("this is no database, only a text that somebody put here" * 100)
    for name in ("absent", "empty", "text"):
        path = tmp_path / f"{name}.sqlite3"
        before = path.read_bytes() if path.exists() else None
        monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{path}")
        capsys.readouterr()
        assert cli.run(["status"]) == 3, name
        said = capsys.readouterr()
        assert (said.out, str(path) in said.err) == ("", True), name
        assert documented("status", status=3)["well"] is None, name
        assert (path.read_bytes() if path.exists() else None) == before, name


@given(st.lists(st.sampled_from(sorted(STANDING)), max_size=6))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_status_and_list_and_gauges_agree(
    installed: Database, monkeypatch: pytest.MonkeyPatch, statuses: list[str]
) -> None:
    """However the tenants stand, every place that counts them has the same figures."""
    with TemporaryDirectory() as folder:
        path = shutil.copy(str(installed.url.database), Path(folder) / "drawn.sqlite3")  # which nobody wrote to
        monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{path}")
        gauges = asyncio.run(_gauges(path, {f"t{number}": status for number, status in enumerate(statuses)}))
        listed, _ = output("tenants", "list", "--json")
        counted, _ = output("status", "--json")
        _, summary = output("tenants", "list")
    drawn = Counter(statuses)
    assert Counter(tenant["status"] for tenant in json.loads(listed)["tenants"]) == drawn
    assert {status: number for status, number in json.loads(counted)["tenants"].items() if number} == drawn
    assert {status: number for status, number in gauges.items() if number} == drawn
    for status, number in drawn.items():
        assert f"{number} {status}" in summary


async def _gauges(path: Path, fleet: dict[str, str]) -> dict[str, int]:
    database = Database(URL.create("sqlite+aiosqlite", database=str(path)))
    try:
        await settle_fleet(database, fleet, T0)
        async with database.reading() as conn:
            return dict((await snapshot(conn, T0, timedelta(minutes=5))).tenants_by_status)
    finally:
        await database.close()


def output(*arguments: str) -> tuple[str, str]:
    with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()) as told:
        cli.run(list(arguments))
    return said.getvalue(), told.getvalue()
