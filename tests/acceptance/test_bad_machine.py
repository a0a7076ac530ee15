"""A machine that misbehaves: frozen, its clock set, its disk full, its database locked."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from monitor.errors import StoreError
from monitor.sandbox.faults.http import Fault
from monitor.store.database import open_database
from tests.command import ServeProcess, run, until
from tests.disk import Disk, small_disk
from tests.faketime import FakeTime
from tests.postgres import Postgres, running_postgres
from tests.real_part import real_part
from tests.service import ServiceHarness, checked

A_DAY = {"interval": "1d"}


@pytest.fixture
def faketime(tmp_path: Path) -> Iterator[FakeTime]:
    with real_part():
        yield FakeTime(tmp_path)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with real_part(), running_postgres() as server:
        yield server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with real_part(), small_disk(tmp_path / "disk") as made:
        yield made


def asked(harness: ServiceHarness) -> int:
    return harness.sandbox.request_log.by_account["acme"]


def summaries(database: Path) -> int:
    with closing(sqlite3.connect(database)) as conn:
        return int(conn.execute("SELECT count(*) FROM check_summary").fetchone()[0])


def test_a_service_frozen_past_its_deadline_sends_and_records_nothing_more(harness: ServiceHarness) -> None:
    """The frozen check ends without another request or a row; then the credential is checked again, once."""
    harness.add_tenant("acme")
    harness.sandbox.add_fault(Fault.model_validate({"kind": "slow", "seconds": 0.05, "times": 40}))
    with harness.serve(**A_DAY, deadline="2s", request_timeout="1s") as service:
        until(lambda: asked(harness) >= 10)
        service.process.send_signal(signal.SIGSTOP)
        time.sleep(3.5)
        before = asked(harness)
        service.process.send_signal(signal.SIGCONT)
        until(lambda: service.logged("fenced_check"))
        (line,) = checked(service, "acme")
        assert asked(harness) - before == line["requests"]
        assert line["outcome"] == "compliant"
        assert summaries(harness.folder / "harvest-monitor.sqlite3") == 1


def test_checks_and_emails_go_on_when_the_clock_is_set(harness: ServiceHarness, faketime: FakeTime) -> None:
    """Back over the end of daylight saving, a year ahead, and right again: then a loss is emailed within seconds."""
    harness.add_tenant("acme")
    with harness.serve(environment={**faketime.environment, "TZ": "America/New_York"}) as service:
        for number, offset in enumerate(("-40d", "+400d", "+0"), 1):
            checked(service, "acme", more_than=len(service.logged("checked")))
            faketime.set(offset)
            until(lambda number=number: len(service.logged("clock_jumped")) == number)
            checked(service, "acme", more_than=len(service.logged("checked")))
        harness.sandbox.key("acme").untick("GET /v1/offers")
        until(lambda: harness.emails("acme"))
        assert f"harvest_monitor_clock_jumps_total {number}.0" in service.get("/metrics")[1]
        assert service.stop() == 0


def pauses(service: ServeProcess) -> None:
    until(lambda: service.logged("checks_paused"))
    until(lambda: "harvest_monitor_database_trouble 1.0" in service.get("/metrics")[1])


def goes_on(service: ServeProcess) -> None:
    until(lambda: service.logged("checks_go_on"))
    checked(service, "acme", more_than=len(service.logged("checked")))
    assert "harvest_monitor_database_trouble 0.0" in service.get("/metrics")[1]


def test_a_full_disk_pauses_only_checks(harness: ServiceHarness, disk: Disk) -> None:
    """One clear error; reading, health and metrics go on; with free space checks go on, and the database is sound."""
    database = disk.folder / "monitor.sqlite3"
    harness.add_tenant("acme")
    with harness.serve(database_url=f"sqlite:///{database}") as service:
        checked(service, "acme")
        disk.fill()
        pauses(service)
        (line,) = service.logged("checks_paused")
        assert str(database) in line["problem"]
        assert "free space" in line["problem"]
        assert service.get("/healthz")[0] == service.get("/readyz")[0] == 200
        assert harness.tenants(database_url=f"sqlite:///{database}")["acme"]["state"] == "ok"
        before = asked(harness)
        time.sleep(0.2)
        assert asked(harness) == before
        disk.make_room()
        goes_on(service)
        assert service.stop() == 0
    with closing(sqlite3.connect(database)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_a_write_that_changes_nothing_finds_out_about_a_full_disk(disk: Disk) -> None:
    """Otherwise trouble would end while nothing is due, and begin again with the next check."""
    database = await open_database(URL.create("sqlite+aiosqlite", database=str(disk.folder / "monitor.sqlite3")))
    disk.fill()
    for _ in range(2):
        with pytest.raises(StoreError, match="free space on its disk"):
            await database.try_write()
    disk.make_room()
    await database.try_write()
    await database.close()


def test_a_service_does_not_start_on_a_read_only_disk(harness: ServiceHarness, disk: Disk) -> None:
    """It sends nothing that it could not record; the message says what to do."""
    database = disk.folder / "monitor.sqlite3"
    harness.add_tenant("acme")
    with harness.serve(database_url=f"sqlite:///{database}") as service:
        checked(service, "acme")
        assert service.stop() == 0
    disk.remount("ro")
    before = asked(harness)
    with harness.serve(database_url=f"sqlite:///{database}") as service:
        assert service.process.wait(timeout=30) == 2
        assert f"{database} cannot be used" in service.log_file.read_text()
    assert asked(harness) == before
    disk.remount("rw")
    with harness.serve(database_url=f"sqlite:///{database}") as service:
        checked(service, "acme")


def test_a_locked_database_delays_and_loses_nothing(harness: ServiceHarness) -> None:
    """While another program has the lock, health and readiness are served; then the check is recorded."""
    harness.add_tenant("acme")
    with harness.serve() as service:
        checked(service, "acme")
        with closing(sqlite3.connect(harness.folder / "harvest-monitor.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            seen = len(service.logged("checked"))
            harness.sandbox.key("acme").untick("GET /v1/offers")
            time.sleep(0.2)
            assert service.get("/healthz")[0] == service.get("/readyz")[0] == 200
            other.execute("ROLLBACK")
        checked(service, "acme", more_than=seen + 1)
        until(lambda: harness.history())
        assert [event["kind"] for event in harness.history()] == ["lost"]


def test_a_lock_is_told_of_while_nothing_is_due(harness: ServiceHarness) -> None:
    """Within seconds, and it ends without a check; whoever waited for the lock gets it."""
    harness.add_tenant("acme")
    with harness.serve(**A_DAY) as service:
        checked(service, "acme")
        with closing(sqlite3.connect(harness.folder / "harvest-monitor.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            harness.add_tenant("globex")
            pauses(service)
            (line,) = service.logged("checks_paused")
            assert "has been locked for " in line["problem"]
            assert line["problem"].endswith("seconds: find out which other program keeps it locked")
            other.execute("ROLLBACK")
        until(lambda: service.logged("checks_go_on"))
        checked(service, "globex")
        assert len(checked(service, "acme")) == 1
        assert not service.logged("beat_failed")


def test_a_postgres_that_goes_away_pauses_checks_until_it_is_back(harness: ServiceHarness, postgres: Postgres) -> None:
    """Health is served, readiness is not, and after the server's restart checks go on automatically."""
    settings = {"database_url": postgres.address, "installation_key": harness.folder / "installation.key"}
    harness.add_tenant("acme")
    assert run(harness.folder, "db", "upgrade", **harness.settings, **settings).returncode == 0
    with harness.serve(**settings) as service:
        checked(service, "acme")
        postgres.stop()
        pauses(service)
        assert [service.get(path)[0] for path in ("/healthz", "/readyz")] == [200, 503]
        before = asked(harness)
        harness.sandbox.key("acme").untick("GET /v1/offers")
        postgres.start()
        goes_on(service)
        until(lambda: harness.emails("acme"))
        assert asked(harness) > before
        assert service.stop() == 0
