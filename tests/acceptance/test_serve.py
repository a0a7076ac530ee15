"""The long-running service in its own process: first sweep, drift, emails, reload, signals, crash."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest
import yaml

from monitor.sandbox.faults.http import Fault
from tests.command import ServeProcess, run, run_here, run_json, until
from tests.promql import exported, not_exported
from tests.service import ServiceHarness, checked

ROOT = Path(__file__).parents[2]


def test_a_loss_and_its_regain_are_recorded_exported_and_emailed(harness: ServiceHarness) -> None:
    """The main job: after untick and after tick the CSM gets an email each, and the history has both."""
    harness.add_tenant("acme")
    with harness.serve() as service:
        checked(service, "acme")
        harness.sandbox.key("acme").untick("GET /v1/offers")
        until(lambda: harness.emails("acme"))
        until(lambda: "harvest_monitor_incidents_open 1.0" in service.get("/metrics")[1])
        harness.sandbox.key("acme").tick("GET /v1/offers")
        until(lambda: len(harness.emails("acme")) == 2)
        assert [(e["kind"], e["permission_label"]) for e in harness.history()] == [
            ("lost", "GET: List offers"),
            ("regained", "GET: List offers"),
        ]
        assert service.get("/healthz")[0] == service.get("/readyz")[0] == 200
        assert service.stop() == 0
    assert service.logged("stopped")
    assert harness.sandbox.request_log.change_count == 0


def test_a_running_service_exports_what_the_alerts_use(harness: ServiceHarness) -> None:
    """Once it has read the database, everything is there except sweeps, as there may be none yet."""
    rules = yaml.safe_load((ROOT / "helm/harvest-monitor/alerts/harvest-monitor.rules.yaml").read_text("utf-8"))
    asked = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    harness.add_tenant("acme")
    with harness.serve() as service:
        until(lambda: "harvest_monitor_checks_overdue" in service.get("/metrics")[1])
        series = exported(service.get("/metrics")[1])
    missing = set(not_exported(asked, series))
    assert {name for name in missing if not name.endswith("_sweep_timestamp_seconds")} == set()
    failing = series["harvest_monitor_beats_failed_total"]["beat"]
    docs = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert {beat for beat in failing if f"`{beat}` " not in docs} == set()


def test_the_tenants_file_is_read_again_when_it_changes(harness: ServiceHarness) -> None:
    """A new row is checked at once; a broken file keeps the last good one; a removed row removes its tenant."""
    harness.add_tenant("acme")
    with harness.serve() as service:
        checked(service, "acme")
        harness.add_tenant("globex")
        checked(service, "globex")
        (harness.folder / "tenants.yaml").write_text("tenants: [")
        until(lambda: service.logged("refused_tenants_file"))
        seen = len(checked(service, "globex"))
        checked(service, "globex", more_than=seen)
        harness.rows.pop()
        harness.write()
        until(lambda: "globex" not in harness.tenants())
        assert "acme" in harness.tenants()


def test_a_bad_row_affects_only_itself(harness: ServiceHarness) -> None:
    """One tenant with a literal secret, one with an unset variable: both misconfigured, the third is checked."""
    harness.add_tenant("acme")
    literal = {"kind": "harvest-key", "label": "Key", "key": "5dc54b4a7cdb4e1a9d7b5dc54b4a7cdb-1"}
    unset = {"kind": "harvest-key", "label": "Key", "key": "env:NOT_SET"}
    harness.rows += [
        {"id": "bad", "name": "Bad", "credential": literal},
        {"id": "unset", "name": "U", "credential": unset},
    ]
    harness.write()
    with harness.serve() as service:
        checked(service, "acme")
        until(lambda: harness.tenants().get("unset", {}).get("state") == "misconfigured")
        assert harness.tenants()["bad"]["state"] == "misconfigured"
        assert harness.tenants()["acme"]["state"] == "ok"
    assert "5dc54b4a" not in service.log_file.read_text()


def test_a_slow_tenant_delays_nobody_else(harness: ServiceHarness) -> None:
    """While one customer's Greenhouse answers no request, the other customer's checks go on."""
    for tenant_id in ("slow", "acme"):
        harness.add_tenant(tenant_id)
    harness.sandbox.add_fault(Fault.model_validate({"kind": "timeout", "account": "slow"}))
    with harness.serve(concurrency=2, read_timeout="30s") as service:
        until(lambda: harness.sandbox.request_log.by_account["slow"])
        checked(service, "acme", more_than=2)
        assert {line["tenant"] for line in service.logged("checked")} == {"acme"}


def test_a_reload_that_removes_most_tenants_is_refused_unless_allowed(harness: ServiceHarness) -> None:
    """A broken export removes nobody; `tenants sync --any-removal` does."""
    for number in range(6):
        harness.add_tenant(f"t{number}")
    with harness.serve() as service:
        checked(service, "t5")
        del harness.rows[1:]
        harness.write()
        refused = until(lambda: service.logged("refused_tenants_file"))
        assert "--any-removal" in refused[0]["problem"]
        assert len(harness.tenants()) == 6
        synced = run_here(harness.folder, "tenants", "sync", "--any-removal", **harness.settings)
        assert synced.stdout == "0 added, 0 changed, 5 removed\n"
        assert list(harness.tenants()) == ["t0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_while_checks_run(harness: ServiceHarness, number: int) -> None:
    """Even if a check hangs, it ends within the set time, with status 0."""
    harness.add_tenant("acme")
    harness.sandbox.change("acme", limit=1_000_000)
    with harness.serve(requests_per_second=1, stop_timeout="1s") as service:
        until(lambda: harness.sandbox.request_log.request_count > 0)
        assert service.stop(number) == 0
        assert service.logged("stopped")
    with harness.serve() as service:
        assert checked(service, "acme")[0]["outcome"] == "compliant"


def test_after_a_kill_what_was_due_is_checked_and_nothing_is_recorded_twice(harness: ServiceHarness) -> None:
    """kill -9 before a confirmation: after the restart the loss is in the history once, and emailed once."""
    harness.add_tenant("acme")
    with harness.serve(confirm_after="5s") as service:
        checked(service, "acme")
        harness.sandbox.key("acme").untick("GET /v1/offers")
        until(lambda: any(line["outcome"] == "drifted" for line in service.logged("checked")))
        service.process.kill()
        service.process.wait()
    with harness.serve() as service:
        until(lambda: harness.emails("acme"))
        checked(service, "acme", more_than=2)
    assert [e["kind"] for e in harness.history()] == ["lost"]
    assert len(harness.emails("acme")) == 1


def test_a_first_start_that_cannot_work_says_why_and_sends_nothing(harness: ServiceHarness) -> None:
    """No tenants file, or notices without a sender: status 2, one message, no request."""
    missing = run(harness.folder, "serve", **harness.settings)
    assert (missing.returncode, "tenants.yaml" in missing.stderr) == (2, True)
    harness.add_tenant("acme")
    settings = {name: value for name, value in harness.settings.items() if name != "mail_from"}
    unsigned = run(harness.folder, "serve", **settings)
    assert unsigned.returncode == 2
    assert "HARVEST_MONITOR_MAIL_FROM" in unsigned.stderr
    assert harness.sandbox.request_log.request_count == 0


def test_a_write_alarm_stops_writes_until_it_is_lifted(harness: ServiceHarness) -> None:
    """With a sandbox that acts on empty writes: one alarm, a stored halt, no further write, an email, and a resume."""
    harness.add_tenant("acme")
    harness.sandbox.change("acme", on_behalf_of="off")
    fault = {"kind": "status", "method": "POST", "prefix": "/v1/applications/0/advance", "status": 200}
    harness.sandbox.add_fault(Fault.model_validate(fault))
    with harness.serve(write_probes="safe") as service:
        until(lambda: service.logged("halted_writes"))
        checked(service, "acme", more_than=1)
        status = run_json(harness.folder, "writes", "status", **harness.settings)
        assert status["halted"]
        assert {h["endpoint"] for h in status["halts"]} == {"POST /v1/applications/{id}/advance"}
        writes = [e for e in harness.sandbox.request_log.entries() if e.method != "GET"]
        assert [(e.method, e.target) for e in writes] == [
            ("PATCH", "/v1/applications/0"),
            ("POST", "/v1/applications/0/advance"),
        ]
        assert "harvest_monitor_write_halt 1.0" in until(lambda: _halted(service))
        until(lambda: list((harness.folder / "mail").glob("*write-probes-stopped*.eml")))
        harness.sandbox.faults.clear()
        lifted = run_here(harness.folder, "writes", "resume", "--reason", "nothing was changed", **harness.settings)
        assert lifted.stdout == "1 halt lifted\n"
        until(lambda: any(e.method == "PUT" for e in harness.sandbox.request_log.entries()))


def _halted(service: ServeProcess) -> str | None:
    text = service.get("/metrics")[1]
    return text if "write_halt 1.0" in text else None


def test_it_stops_in_time_even_if_the_database_is_locked(harness: ServiceHarness) -> None:
    """Another process has locked the database while a check is due: SIGTERM still ends the service."""
    harness.add_tenant("acme")
    with harness.serve(stop_timeout="1s") as service:
        checked(service, "acme")
        other = sqlite3.connect(harness.folder / "harvest-monitor.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(4)  # the next check is due, and waits to be claimed
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < 8
        other.close()
    with harness.serve() as service:
        assert checked(service, "acme")[0]["outcome"] == "compliant"
