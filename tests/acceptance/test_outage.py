"""Greenhouse fails for all tenants, seen by real processes: no event is recorded, and the operator is notified."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor.sandbox.faults.http import Fault
from monitor.sandbox.sandbox import Sandbox
from tests.background_server import background_sandbox
from tests.command import ServeProcess, run, until
from tests.service import ServiceHarness

TENANTS = 8


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[ServiceHarness]:
    sandbox = Sandbox()
    with background_sandbox(sandbox) as url:
        harness = ServiceHarness(tmp_path, sandbox, url)
        for number in range(TENANTS):
            harness.add_tenant(f"t{number}")
        yield harness


def changes(service: ServeProcess, state: str) -> list[dict[str, Any]]:
    """The breaker's changes to this state so far."""
    return [line for line in service.logged("breaker_turned") if line["state"] == state]


def test_the_service_pauses_notifies_the_operator_and_goes_on_automatically(harness: ServiceHarness) -> None:
    """From the first refusals to the first successful checks: one email, no event, and every tenant healthy again."""
    harness.sandbox.add_fault(Fault.model_validate({"kind": "status", "status": 403}))
    with harness.serve(interval="1h") as service:
        until(lambda: changes(service, "paused"))
        assert harness.sandbox.request_log.next_number < 5 * TENANTS
        harness.sandbox.faults.clear()
        assert 'harvest_monitor_breaker_turns_total{reason="blocked",state="paused"} 1.0' in service.get("/metrics")[1]
        until(lambda: changes(service, "closed"))
        until(lambda: len({line["tenant"] for line in service.logged("checked") if line["state"] == "ok"}) == TENANTS)
        assert 'harvest_monitor_breaker_state{state="closed"} 1.0' in service.get("/metrics")[1]
        until(lambda: list((harness.folder / "mail").glob("*checks-are-paused-*-tenants-blocked-*.eml")))
        assert service.stop() == 0

    with closing(sqlite3.connect(harness.folder / "harvest-monitor.sqlite3")) as stored:
        states = stored.execute("SELECT DISTINCT state, suspect_state, last_outcome FROM credential").fetchall()
        assert states == [("ok", None, "compliant")]
        assert stored.execute("SELECT count(*) FROM drift_event").fetchone() == (0,)
    assert len(list((harness.folder / "mail").glob("*.eml"))) == 1


def test_a_command_gives_up_and_says_so(harness: ServiceHarness) -> None:
    """None of eight tenants, three at a time, can be reached: the last are not tried, and it does not wait."""
    harness.sandbox.add_fault(Fault.model_validate({"kind": "reset"}))
    result = run(harness.folder, "check", "--json", **{**harness.settings, "concurrency": 3, "log_format": "json"})
    assert (result.returncode, '"pause_seconds": null' in result.stderr) == (3, True)
    found = json.loads(result.stdout)
    details = {check["tenant"]: check["credential"]["detail"] for check in found["checks"]}
    assert set(details.values()) == {"connection_closed", "paused"}
    reached = [check for check in found["checks"] if check["credential"]["detail"] == "connection_closed"]
    why = f"the connection to {harness.url.removeprefix('http://')} was closed before the answer was complete"
    assert {check["credential"]["failure"] for check in reached} == {why}
    logged = [json.loads(line) for line in result.stderr.splitlines() if '"greenhouse_not_reached"' in line]
    assert sorted(line["tenant"] for line in logged) == sorted(check["tenant"] for check in reached)
    assert {line["why"] for line in logged} == {why}
    untried = [check for check in found["checks"] if check["requests"] == 0]
    assert untried
    assert {(check["credential"]["state"], check["outcome"]) for check in untried} == {("unreachable", "undecided")}
    assert {finding["reason"] for finding in untried[0]["permissions"]} >= {"paused"}
    (error,) = found["errors"]
    assert "tenants were in trouble (" in error["message"]
    assert "unreachable" in error["message"]
