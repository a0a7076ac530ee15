"""Looking after the database of a service: what goes by itself, and the commands, beside a running `serve`."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor import cli
from tests.command import run, until
from tests.vendor import Vendor, checked

DATABASE = "harvest-monitor.sqlite3"
Operator = Callable[..., tuple[int, str, str]]
NOBODY_LISTENS = "smtp://127.0.0.1:9?tls=none"


@pytest.fixture
def operator(vendor: Vendor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    """Types commands in the vendor's folder; they run in this process, which starts faster than one of their own."""
    monkeypatch.chdir(vendor.folder)
    for name, value in vendor.settings.items():
        monkeypatch.setenv(f"HARVEST_MONITOR_{name.upper()}", str(value))

    def types(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.run(list(arguments))
        return status, *capsys.readouterr()

    return types


def document(operator: Operator, *arguments: str) -> Any:
    return json.loads(operator(*arguments, "--json")[1])


def grow_old(file: Path) -> None:
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute("UPDATE check_summary SET started_at = '2026-03-01 08:00:00.000000' WHERE id = 1")


def test_a_service_lets_go_of_what_is_old_and_tells(vendor: Vendor, operator: Operator) -> None:
    """At its start, and in the metrics; `db prune` finds nothing left, and the day is still shown."""
    vendor.customer("acme")
    with vendor.serve() as service:
        checked(service, "acme")
    grow_old(vendor.folder / DATABASE)
    assert [rule["rows"] for rule in document(operator, "db", "prune", "--dry-run")["rules"]] == [1, 0, 0, 0]
    with vendor.serve() as service:
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


def test_a_backup_taken_from_a_running_service_goes_on_where_it_was(vendor: Vendor, operator: Operator) -> None:
    """Taken while it checks, refused while it runs, put back when it is stopped: then everybody is checked at once,
    nothing is told twice by itself, and an operator lets the held notice go."""
    vendor.customer("acme")
    copy = str(vendor.folder / "copy.sqlite3")
    with vendor.serve(smtp_url=NOBODY_LISTENS) as service:
        checked(service, "acme")
        vendor.sandbox.key("acme").untick("GET /v1/offers")
        until(lambda: service.logged("mail_server_paused"))
        taken = document(operator, "db", "backup", copy, "--with-key")
        assert operator("db", "restore", copy)[::2] == (
            2,
            f"error: {DATABASE} is in use: stop the service first\n",
        )
        assert service.stop() == 0
    assert Path(taken["key"]).read_text() == (vendor.folder / "harvest-monitor.key").read_text()
    before = document(operator, "history")

    (vendor.folder / DATABASE).write_bytes(b"the disk went bad")
    status, shown, told = operator("db", "restore", copy)
    assert (status, "1 notices that were waiting to be sent are held" in told) == (0, True)
    assert f"the previous database is now {DATABASE}.replaced-" in shown

    with vendor.serve() as service:
        checked(service, "acme", more_than=1)
        assert document(operator, "history") == before
        assert vendor.mails("acme") == []
        assert operator("notices", "release", "--all")[:2] == (0, "1 notices released\n")
        until(lambda: vendor.mails("acme"))


def test_a_database_is_looked_at_beside_the_service(vendor: Vendor, operator: Operator) -> None:
    """Sound while it is written to, copied and pruned; the exit status and both forms say what was found."""
    vendor.customer("acme")
    assert operator("db", "check")[0] == 2
    with vendor.serve() as service:
        checked(service, "acme")
        vendor.sandbox.key("acme").untick("GET /v1/offers")
        for number in range(2):
            status, shown, told = operator("db", "check")
            assert (status, told) == (0, "growth per day is known once the database is a day old\n"), shown
            assert "records\tsound\n" in shown
            assert operator("db", "backup", f"copy-{number}.sqlite3", "--with-key")[0] == 0
            assert operator("db", "prune")[0] == 0
        until(lambda: vendor.mails("acme"))
        assert document(operator, "db", "check")["sound"]
        assert service.stop() == 0
    with closing(sqlite3.connect(vendor.folder / DATABASE)) as conn, conn:
        conn.execute("UPDATE incident SET resolved_at = '2026-01-01 08:00:00.000000'")
    status, shown, _ = operator("db", "check", "--quick")
    assert status == 1
    assert "records\tacme\tin trouble (1 missing, 0 credentials failing), and no incident is open\t" in shown
    found = document(operator, "db", "check")
    assert (found["sound"], [finding["tenant"] for finding in found["findings"]]) == (False, ["acme"])
    assert operator("check", "acme", "--record")[0] == 1
    assert operator("db", "check")[0] == 0


def test_a_service_does_not_start_with_another_key(vendor: Vendor, operator: Operator) -> None:
    """Every credential would look replaced: it says which file to put back, and goes on only if it is told to."""
    vendor.customer("acme")
    with vendor.serve() as service:
        checked(service, "acme")
    key = vendor.folder / "harvest-monitor.key"
    key.write_text("0" * 64)
    refused = run(vendor.folder, "serve", **vendor.settings)
    assert (refused.returncode, "restore the right one" in refused.stderr) == (2, True)
    assert operator("check", "--record")[0] == 2
    assert operator("db", "accept-key", "--reason", "it was on the lost disk")[0] == 0
    with vendor.serve() as service:
        checked(service, "acme")
    assert [event["kind"] for event in vendor.history()] == ["replaced"]


def test_what_is_no_matter_of_sqlite_is_left_to_postgres_own_tools(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`db backup` and `db restore` say the command to use instead, without the password."""
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", "postgresql://monitor:s3cret-marked@db.example/store")
    for name, tool in (("backup", "pg_dump"), ("restore", "pg_restore")):
        status, shown, told = operator("db", name, "copy", "--json")
        assert (status, shown) == (2, "")
        assert tool in told
        assert "monitor@db.example/store" in told
        assert "s3cret-marked" not in told
