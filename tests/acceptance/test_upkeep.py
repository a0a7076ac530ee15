"""Upkeep of a service's database: what it does automatically, and the commands while `serve` runs."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor import cli
from tests.command import run, until
from tests.service import ServiceHarness, checked

DATABASE = "harvest-monitor.sqlite3"
Operator = Callable[..., tuple[int, str, str]]
UNREACHABLE_SERVER = "smtp://127.0.0.1:9?tls=none"


@pytest.fixture
def operator(harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    """Runs commands in the vendor's folder and in this process, which is faster than starting one."""
    monkeypatch.chdir(harness.folder)
    for name, value in harness.settings.items():
        monkeypatch.setenv(f"HARVEST_MONITOR_{name.upper()}", str(value))

    def types(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.run(list(arguments))
        return status, *capsys.readouterr()

    return types


def document(operator: Operator, *arguments: str) -> Any:
    return json.loads(operator(*arguments, "--json")[1])


def age_first_check(file: Path) -> None:
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute("UPDATE check_summary SET started_at = '2026-03-01 08:00:00.000000' WHERE id = 1")


def test_a_service_deletes_expired_data_and_reports_it(harness: ServiceHarness, operator: Operator) -> None:
    """At its start, and in the metrics; `db prune` finds nothing more, and the day is still shown."""
    harness.add_tenant("acme")
    with harness.serve() as service:
        checked(service, "acme")
    age_first_check(harness.folder / DATABASE)
    assert [rule["rows"] for rule in document(operator, "db", "prune", "--dry-run")["rules"]] == [1, 0, 0, 0]
    with harness.serve() as service:
        until(lambda: service.logged("pruned"))
        until(lambda: 'pruned_rows_total{rule="checks"} 1.0' in service.get("/metrics")[1])
        until(lambda: 'harvest_monitor_database_bytes{part="used"}' in service.get("/metrics")[1])
        assert [rule["rows"] for rule in document(operator, "db", "prune")["rules"]] == [0, 0, 0, 0]
    (credential,) = document(operator, "tenants", "days", "acme", "--since", "2026-02-01")["credentials"]
    assert (credential["days"][0]["day"], credential["days"][0]["checks"]) == ("2026-03-01", 1)
    status, shown, _ = operator("tenants", "days", "acme", "--since", "2026-02-01")
    assert status == 0
    assert shown.splitlines()[1].startswith("2026-03-01\tKey\t1\t0\t0\t0\tok\t46\t0\t")
    assert operator("tenants", "days", "nobody")[0] == 2


def test_a_service_continues_from_a_restored_backup(harness: ServiceHarness, operator: Operator) -> None:
    """Backed up while the service runs, restored only when it is stopped: then all are checked at once, no email is
    sent twice automatically, and an operator releases the held notice."""
    harness.add_tenant("acme")
    copy = str(harness.folder / "copy.sqlite3")
    with harness.serve(smtp_url=UNREACHABLE_SERVER) as service:
        checked(service, "acme")
        harness.sandbox.key("acme").untick("GET /v1/offers")
        until(lambda: service.logged("mail_server_paused"))
        backup = document(operator, "db", "backup", copy, "--with-key")
        assert operator("db", "restore", copy)[::2] == (
            2,
            f"error: {DATABASE} is in use: stop the service first\n",
        )
        assert service.stop() == 0
    assert Path(backup["key"]).read_text() == (harness.folder / "harvest-monitor.key").read_text()
    before = document(operator, "history")

    (harness.folder / DATABASE).write_bytes(b"the disk went bad")
    status, shown, error_output = operator("db", "restore", copy)
    assert (status, "held: 1 notice that waited to be sent" in error_output) == (0, True)
    assert f"the previous database is now {DATABASE}.replaced-" in shown

    with harness.serve() as service:
        checked(service, "acme", more_than=1)
        assert document(operator, "history") == before
        assert harness.emails("acme") == []
        assert operator("notices", "release", "--all")[:2] == (0, "1 notice released\n")
        until(lambda: harness.emails("acme"))


def test_a_database_is_checked_while_the_service_runs(harness: ServiceHarness, operator: Operator) -> None:
    """It is sound while it is written, copied and pruned; the exit status and both forms report what was found."""
    harness.add_tenant("acme")
    assert operator("db", "check")[0] == 2
    with harness.serve() as service:
        checked(service, "acme")
        harness.sandbox.key("acme").untick("GET /v1/offers")
        for number in range(2):
            status, shown, error_output = operator("db", "check")
            assert (status, error_output) == (0, "growth per day is known once the database is a day old\n"), shown
            assert "records\tsound\n" in shown
            assert operator("db", "backup", f"copy-{number}.sqlite3", "--with-key")[0] == 0
            assert operator("db", "prune")[0] == 0
        until(lambda: harness.emails("acme"))
        assert document(operator, "db", "check")["sound"]
        assert service.stop() == 0
    with closing(sqlite3.connect(harness.folder / DATABASE)) as conn, conn:
        conn.execute("UPDATE incident SET resolved_at = '2026-01-01 08:00:00.000000'")
    status, shown, _ = operator("db", "check", "--quick")
    assert status == 1
    assert "records\tacme\tin trouble (1 missing, 0 credentials failing), and no incident is open\t" in shown
    found = document(operator, "db", "check")
    assert (found["sound"], [finding["tenant"] for finding in found["findings"]]) == (False, ["acme"])
    assert operator("check", "acme", "--record")[0] == 1
    assert operator("db", "check")[0] == 0


def test_a_service_does_not_start_with_another_key(harness: ServiceHarness, operator: Operator) -> None:
    """Every credential would seem replaced: it says which file to restore, and starts only after `db accept-key`."""
    harness.add_tenant("acme")
    with harness.serve() as service:
        checked(service, "acme")
    key = harness.folder / "harvest-monitor.key"
    key.write_text("0" * 64)
    refused = run(harness.folder, "serve", **harness.settings)
    assert (refused.returncode, "restore the right one" in refused.stderr) == (2, True)
    assert operator("check", "--record")[0] == 2
    assert operator("db", "accept-key", "--reason", "it was on the lost disk")[0] == 0
    with harness.serve() as service:
        checked(service, "acme")
    assert [event["kind"] for event in harness.history()] == ["replaced"]


def test_backups_of_postgres_are_left_to_its_own_tools(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """`db backup` and `db restore` say the command to use instead, without user and password."""
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", "postgresql://monitor:s3cret-marked@db.example/store")
    for name, tool in (("backup", "pg_dump"), ("restore", "pg_restore")):
        status, shown, error_output = operator("db", name, "copy", "--json")
        assert (status, shown) == (2, "")
        assert tool in error_output
        assert "postgresql://db.example:5432/store" in error_output
        assert "s3cret-marked" not in error_output
