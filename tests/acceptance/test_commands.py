"""The commands as people and scripts use them: one document on stdout, and meaningful exit statuses."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.sandbox.faults.http import Fault
from monitor.sandbox.sandbox import Sandbox
from tests.background_server import background_sandbox
from tests.command import COMMAND, bare_environment, run, run_here
from tests.paths import FIXTURES


class CommandHarness:
    """A folder with tenants in which `check` runs, and a sandbox."""

    def __init__(self, folder: Path, sandbox: Sandbox, url: str) -> None:
        self.folder, self.sandbox = folder, sandbox
        self.settings: dict[str, object] = {"harvest_url": url, "requests_per_second": 0, "confirm_after": 0}
        self.rows: list[dict[str, Any]] = []

    def add_tenant(self, tenant_id: str, grants: str = "gem") -> None:
        self.sandbox.add_account(tenant_id, limit=1_000_000)
        (self.folder / tenant_id).write_text(self.sandbox.add_key(tenant_id, grants).text)
        self.row(tenant_id, f"file:{self.folder / tenant_id}")

    def row(self, tenant_id: str, key: str, **more: Any) -> None:
        credential = {"kind": "harvest-key", "label": "Gem Harvest API Key", "key": key}
        self.rows.append({"id": tenant_id, "name": tenant_id.title(), "credential": credential, **more})
        (self.folder / "tenants.yaml").write_text(yaml.safe_dump({"tenants": self.rows}))

    def check(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        result = run_here(self.folder, "check", "--json", *arguments, **self.settings)
        return result.returncode, json.loads(result.stdout)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[CommandHarness]:
    sandbox = Sandbox()
    with background_sandbox(sandbox) as url:
        yield CommandHarness(tmp_path, sandbox, url)


def test_the_document_of_a_healthy_tenant_has_the_documented_fields(harness: CommandHarness) -> None:
    """Names, types and order in `check --json`, for a key with every permission."""
    harness.add_tenant("acme")
    result = run(harness.folder, "check", "--json", **harness.settings)
    found = json.loads(result.stdout)
    assert (result.returncode, list(found), found["errors"]) == (0, ["checks", "errors"], [])
    (check,) = found["checks"]
    names = "tenant credential manifest outcome unchecked permissions excess requests duration_seconds"
    assert list(check) == names.split()
    assert (check["tenant"], check["outcome"], check["unchecked"], check["requests"]) == ("acme", "compliant", 17, 114)
    assert check["credential"].keys() == {"label", "kind", "state", "detail", "fingerprint"}
    assert re.fullmatch(r"[0-9a-f]{16}", check["credential"]["fingerprint"])
    assert check["manifest"].keys() == {"name", "version", "digest"}
    assert len(check["permissions"]) == 63
    assert {"id", "group", "label", "verdict", "reason"} <= check["permissions"][0].keys()
    likely = [p["label"] for p in check["permissions"] if p.get("mapping") == "likely"]
    assert len(likely) == 5
    assert not list(harness.folder.glob("*.sqlite3"))


def lose_one(harness: CommandHarness) -> None:
    harness.sandbox.key("acme").untick("GET /v1/offers")


def kill(harness: CommandHarness) -> None:
    harness.sandbox.key("acme").kill()


def block(harness: CommandHarness) -> None:
    harness.sandbox.change("acme", blocked=True)


def retire(harness: CommandHarness) -> None:
    harness.sandbox.change(None, retired="410-html")


def outage(harness: CommandHarness) -> None:
    harness.sandbox.add_fault(Fault.model_validate({"kind": "status", "status": 503}))


def grant_everything(harness: CommandHarness) -> None:
    harness.sandbox.key("acme").tick_only("all")


def accept_a_write(harness: CommandHarness) -> None:
    fault = {"kind": "status", "method": "POST", "prefix": "/v1/applications/0/move", "status": 201}
    harness.sandbox.add_fault(Fault.model_validate(fault))


@pytest.mark.parametrize(
    ("happens", "status", "outcome", "state"),
    [
        (lose_one, 1, "drifted", "ok"),
        (kill, 1, "failed", "invalid"),
        (block, 1, "failed", "blocked"),
        (retire, 3, "failed", "unreachable"),  # only an hour of it is a retirement
        (outage, 3, "failed", "unreachable"),
        (grant_everything, 3, "undecided", "ok"),
        (accept_a_write, 4, "undecided", "ok"),
    ],
)
def test_each_kind_of_failure_has_its_outcome_state_and_exit_status(
    harness: CommandHarness, happens: Callable[[CommandHarness], None], status: int, outcome: str, state: str
) -> None:
    """Missing, revoked, blocked, perhaps retired, Greenhouse down and undecidable are distinguished."""
    harness.add_tenant("acme")
    happens(harness)
    found_status, found = harness.check("--write-probes", "safe")
    (check,) = found["checks"]
    assert (found_status, check["outcome"], check["credential"]["state"]) == (status, outcome, state)


def test_a_reference_that_cannot_be_resolved_is_in_checks_and_in_errors(harness: CommandHarness) -> None:
    """The other tenants are still reported, and the status is that of a misconfigured tenant."""
    harness.add_tenant("acme")
    harness.row("globex", "env:GLOBEX_HARVEST_KEY")
    status, found = harness.check()
    by_tenant = {check["tenant"]: check for check in found["checks"]}
    assert status == 2
    assert by_tenant["acme"]["outcome"] == "compliant"
    assert by_tenant["globex"]["outcome"] == "failed"
    assert by_tenant["globex"]["credential"]["state"] == "misconfigured"
    assert by_tenant["globex"]["credential"]["fingerprint"] is None
    assert [error["tenant"] for error in found["errors"]] == ["globex"]
    assert "GLOBEX_HARVEST_KEY" in found["errors"][0]["message"]


def test_a_manifest_can_be_tried_without_touching_the_settings(harness: CommandHarness) -> None:
    """All tenants are checked under it; what it does not know of their rows has no effect, and is told."""
    lumen = str(FIXTURES / "manifests" / "lumen.yaml")
    harness.add_tenant("acme")
    declined = [{"permission": "GET: Get schools", "reference": "ticket 1"}]
    harness.row("globex", f"file:{harness.folder / 'acme'}", features=["eeoc", "rooms"], declined=declined)
    tried = run_here(harness.folder, "check", "--json", "--manifest", lumen, **harness.settings)
    found = json.loads(tried.stdout)
    assert found["errors"] == []
    checks = {check["tenant"]: check for check in found["checks"]}
    assert {check["manifest"]["name"] for check in checks.values()} == {"lumen"}
    assert "offices.list_offices" not in {one["id"] for one in checks["acme"]["permissions"]}
    assert "offices.list_offices" in {one["id"] for one in checks["globex"]["permissions"]}
    assert "not in the manifest lumen, so without effect: feature eeoc, declined GET: Get schools" in tried.stderr


def test_a_manifest_that_is_tried_is_not_recorded(harness: CommandHarness) -> None:
    """Its verdicts would stand beside those of the manifest that the settings name; nothing is sent."""
    harness.add_tenant("acme")
    status, found = harness.check("--manifest", "gem", "--record")
    assert (status, found["checks"]) == (2, [])
    assert found["errors"][0]["message"].startswith("--manifest and --record do not go together")
    assert harness.sandbox.request_log.request_count == 0
    assert not list(harness.folder.glob("*.sqlite3"))


def test_a_bad_row_is_in_errors_only(harness: CommandHarness) -> None:
    """A row that cannot be used has no check; its message names file, line and tenant."""
    harness.add_tenant("acme")
    harness.row("globex", "env:KEY", features=["eeco"])
    status, found = harness.check()
    assert status == 2
    assert [check["tenant"] for check in found["checks"]] == ["acme"]
    assert "globex" in found["errors"][0]["message"]
    status, found = harness.check("acme")
    assert (status, found["errors"]) == (0, [])


@pytest.mark.parametrize(
    "arguments",
    [["check", "--json", "--nonsense"], ["check", "--json", "--write-probes", "maybe"], ["check", "--json", "nobody"]],
    ids=" ".join,
)
def test_a_usage_error_prints_the_same_document(harness: CommandHarness, arguments: list[str]) -> None:
    """A program that parses stdout gets the document with the error in it, and status 2."""
    harness.add_tenant("acme")
    result = run_here(harness.folder, *arguments, **harness.settings)
    found = json.loads(result.stdout)
    assert (result.returncode, found["checks"]) == (2, [])
    assert len(found["errors"]) == 1


def test_a_missing_tenants_file_is_an_error_in_the_document(harness: CommandHarness) -> None:
    """No tenants file: status 2, the file named, nothing sent."""
    status, found = harness.check()
    assert status == 2
    assert "tenants.yaml" in found["errors"][0]["message"]
    assert harness.sandbox.request_log.request_count == 0


def test_progress_goes_to_stderr_and_the_result_to_stdout(harness: CommandHarness) -> None:
    """In a pipe each finished credential is one line of progress; stdout has only the result."""
    harness.add_tenant("acme")
    lose_one(harness)
    result = run(harness.folder, "check", **harness.settings)
    assert "1/1 acme: drifted" in result.stderr
    assert "missing Offers › GET: List offers" in result.stdout
    assert "\x1b" not in result.stdout + result.stderr


def test_reading_commands_create_no_database(tmp_path: Path) -> None:
    """Without a database `history` says so and creates nothing."""
    result = run(tmp_path, "history")
    assert (result.returncode, result.stdout) == (2, "")
    assert "there is no database" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_error(harness: CommandHarness) -> None:
    """`harvest-monitor manifest show --json | head -1` ends without a traceback."""
    process = subprocess.Popen(
        f"{COMMAND} manifest show gem --json | head -n 1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=harness.folder,
        env=bare_environment(harness.folder, {}) | {"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("{\n", "")


def test_manifests_are_shown_validated_and_compared(tmp_path: Path) -> None:
    """With the built-in manifest, and with copies that have one changed line or one mistake."""
    shown = json.loads(run_here(tmp_path, "manifest", "show", "gem", "--json").stdout)
    assert len(shown["permissions"]) == 65
    source = (Path(__file__).parents[2] / "checks/manifests/gem.yaml").read_text("utf-8")
    (tmp_path / "next.yaml").write_text(source.replace('label: "GET: List offers"', 'label: "GET: List all offers"'))
    same = run_here(tmp_path, "manifest", "diff", "gem", "gem")
    other = run_here(tmp_path, "manifest", "diff", "gem", "next.yaml")
    assert (same.returncode, same.stdout) == (0, "")
    assert other.returncode == 1
    assert "GET: List offers -> GET: List all offers" in other.stdout
    (tmp_path / "bad.yaml").write_text(source.replace("endpoint: GET /v1/offers\n", "endpoint: DELETE /v1/offers\n"))
    bad = run_here(tmp_path, "manifest", "validate", "bad.yaml")
    assert bad.returncode == 2
    assert re.search(r"bad\.yaml:\d+: permissions\[41\]\.endpoint: 'DELETE /v1/offers' is not an endpoint", bad.stderr)


def test_record_stores_what_the_check_found(harness: CommandHarness) -> None:
    """With --record the database has verdicts and drift, and a regain is an event of the next check."""
    harness.add_tenant("acme")
    lose_one(harness)
    assert harness.check("--record")[0] == 1
    harness.sandbox.key("acme").tick("GET /v1/offers")
    assert harness.check("--record")[0] == 0
    recorded = run_here(harness.folder, "history", "--json", **harness.settings)
    assert [event["kind"] for event in json.loads(recorded.stdout)["events"]] == ["found", "regained"]
    shown = json.loads(run_here(harness.folder, "tenants", "list", "--json", **harness.settings).stdout)
    assert [(t["id"], t["state"], t["granted"], t["missing"]) for t in shown["tenants"]] == [("acme", "ok", 46, 0)]


def test_a_paused_tenant_is_checked_only_by_name(harness: CommandHarness) -> None:
    """Otherwise a line on stderr says who was left out; with --record it is not checked at all."""
    harness.add_tenant("acme")
    harness.add_tenant("globex")
    harness.rows.pop()
    harness.row("globex", f"file:{harness.folder / 'globex'}", paused={"reference": "ticket 4711"})
    everyone = run_here(harness.folder, "check", "--json", **harness.settings)
    assert [check["tenant"] for check in json.loads(everyone.stdout)["checks"]] == ["acme"]
    assert "paused in the tenants file, so not checked: globex; name one" in everyone.stderr
    status, named = harness.check("globex")
    assert (status, [check["tenant"] for check in named["checks"]]) == (0, ["globex"])
    status, recorded = harness.check("globex", "--record")
    assert (status, recorded["checks"]) == (2, [])
    assert recorded["errors"] == [
        {
            "tenant": "globex",
            "message": "not checked: the tenant is paused, so nothing is recorded of it; leave out --record",
        }
    ]
    shown = run_here(harness.folder, "tenants", "show", "globex", **harness.settings).stdout
    assert re.match(r"Globex \(globex\) is paused since .*\n.*\n  paused in the tenants file: ticket 4711\n", shown)


def test_a_write_alarm_of_a_recorded_check_stops_the_service_as_well(harness: CommandHarness) -> None:
    """The halt is stored: the next recorded check sends no write, and `writes status` shows it."""
    harness.add_tenant("acme")
    accept_a_write(harness)
    assert harness.check("--record", "--write-probes", "safe")[0] == 4
    before = harness.sandbox.request_log.request_count
    harness.check("--record", "--write-probes", "safe")
    later = harness.sandbox.request_log.entries(after=before)
    assert {entry.method for entry in later} == {"GET"}
    assert run_here(harness.folder, "writes", "status", **harness.settings).returncode == 1
