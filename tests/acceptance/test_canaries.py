"""Keys and personal data are marked; no output contains a mark."""

import asyncio
import base64
import json
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import WriteProbes
from checks.credential import Secret
from checks.errors import GateRefusal
from checks.origin import OutgoingRequest, origin
from checks.v1.gate import Gate
from monitor.sandbox.faults.http import Fault
from monitor.sandbox.sandbox import Sandbox
from tests.background_server import background_sandbox
from tests.command import run, run_here, serving, until
from tests.raw_server import always, answer, raw_server

PERSON = "Canarynia"
KEY = "c4na4yc4na4yc4na4yc4na4y-{}"
PASSWORD = "c4naryMailWord"
MARKS = [PERSON, "c4na4y", PASSWORD, base64.b64encode(b"c4na4yc4na4yc4na4y").decode()[:16]]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[tuple[Path, str, Sandbox]]:
    """Three tenants with marked keys: one healthy, one that loses permissions, one whose key is refused."""
    sandbox = Sandbox(marker=PERSON)
    rows = []
    for number, name in enumerate(("acme", "globex", "umbrella")):
        sandbox.add_account(name, limit=1_000_000)
        key = sandbox.add_key(name, "gem", text=KEY.format(number))
        (tmp_path / name).write_text(key.text)
        (tmp_path / name).chmod(0o600)
        csm = {"name": "Dana", "email": f"{name}@vendor.example"}
        credential = {"kind": "harvest-key", "label": "Key", "key": f"file:{tmp_path / name}"}
        rows.append({"id": name, "name": name.title(), "csm": csm, "credential": credential})
    sandbox.key("umbrella").kill()
    (tmp_path / "tenants.yaml").write_text(yaml.safe_dump({"tenants": rows}))
    with background_sandbox(sandbox) as url:
        yield tmp_path, url, sandbox


def settings(folder: Path, url: str) -> dict[str, object]:
    return {
        "harvest_url": url,
        "requests_per_second": 0,
        "interval": "3s",
        "confirm_after": "1s",
        "settle": "1s",
        "notices": "csm",
        "write_probes": "all",
        "mail_from": "monitor@vendor.example",
        "operator_mail": "ops@vendor.example",
        "smtp_url": f"mailbox:{folder / 'mail'}",
        "log_level": "debug",
    }


def assert_clean(what: str, content: str | bytes) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    for mark in MARKS:
        assert mark.encode() not in raw, f"{mark} is in {what}"


def assert_files_clean(folder: Path) -> int:
    """Checks every file below the folder except the key files; returns how many that were."""
    own = {folder / name for name in ("acme", "globex", "umbrella")}
    files = [path for path in folder.rglob("*") if path.is_file() and path not in own]
    for path in files:
        assert_clean(str(path), path.read_bytes())
    return len(files)


def process_list() -> bytes:
    return subprocess.run(["ps", "axwwe"], capture_output=True, check=True).stdout


def test_no_mark_gets_into_database_logs_metrics_emails_or_the_process_list(
    folder: tuple[Path, str, Sandbox],
) -> None:
    """With losses, refusals, a write that is answered with a record, and answers with personal data."""
    home, url, sandbox = folder
    sandbox.change(None, nested_without_parent="empty_list")
    fault = {"kind": "status", "account": "acme", "method": "PUT", "prefix": "/v1/candidates/merge", "status": 200}
    sandbox.add_fault(Fault.model_validate(fault))
    with serving(home, **settings(home, url)) as service:
        until(lambda: any(line["tenant"] == "globex" for line in service.logged("checked")))
        sandbox.key("globex").untick("GET /v1/offers", "POST /v1/candidates/{id}/attachments")
        until(lambda: len(list((home / "mail").glob("*.eml"))) >= 3)
        assert_clean("/metrics", service.get("/metrics")[1])
        assert_clean("the process list", process_list())
        assert service.stop() == 0
    assert sandbox.request_log.request_count > 100
    assert assert_files_clean(home) > 6
    for arguments in (["history", "--json"], ["tenants", "show", "globex"], ["notices", "list"], ["writes", "status"]):
        assert_clean(" ".join(arguments), _all_output(run(home, *arguments, **settings(home, url))))


def _all_output(result: "subprocess.CompletedProcess[str]") -> str:
    return result.stdout + result.stderr


def test_no_mark_gets_into_what_a_check_prints(folder: tuple[Path, str, Sandbox]) -> None:
    """As JSON and as text, with every log line."""
    home, url, _ = folder
    for arguments in (["check", "--json"], ["check"]):
        result = run(home, *arguments, **{**settings(home, url), "confirm_after": 0})
        assert "globex" in result.stdout
        assert_clean(" ".join(arguments), _all_output(result))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("smtp_url", f"smtp://monitor:{PASSWORD}@mail.vendor.example:587?tls=maybe"),
        ("database_url", f"mysql://monitor:{PASSWORD}@db/x"),
        ("http_proxy", f"ftp://user:{PASSWORD}@proxy:1"),
        ("installation_key", "/proc/self/mem"),
    ],
)
def test_no_password_gets_into_a_message_about_a_wrong_setting(
    folder: tuple[Path, str, Sandbox], variable: str, value: str
) -> None:
    """A wrong setting is named; its value is not shown."""
    home, url, _ = folder
    result = run_here(home, "check", **{**settings(home, url), variable: value})
    assert result.returncode == 2
    assert f"HARVEST_MONITOR_{variable.upper()}" in result.stderr or variable == "installation_key"
    assert_clean("the message", _all_output(result))


def test_a_literal_key_in_the_tenants_file_is_refused_without_being_shown(
    folder: tuple[Path, str, Sandbox],
) -> None:
    """Neither the message on the terminal nor the JSON document quotes it."""
    home, url, _ = folder
    row = {"id": "x", "name": "X", "credential": {"kind": "harvest-key", "label": "Key", "key": KEY.format(9)}}
    (home / "tenants.yaml").write_text(yaml.safe_dump({"tenants": [row]}))
    for arguments in (["check"], ["check", "--json"]):
        result = run(home, *arguments, **settings(home, url))
        assert result.returncode == 2
        assert_clean("the refusal", _all_output(result))


def test_no_traceback_through_the_gate_shows_a_key() -> None:
    """The gate's refusal has no key in its text or traceback."""
    secret = Secret(KEY.format(1))
    gate = Gate(catalogue(), origin("https://harvest.greenhouse.io"), "x")
    header = "Basic " + base64.b64encode(f"{secret.reveal()}:pw".encode()).decode()
    target = "/v1/users?per_page=1&skip_count=true&created_after=2100-01-01T00:00:00Z"
    request = OutgoingRequest("GET", f"https://harvest.greenhouse.io{target}", [("authorization", header)], b"")
    with pytest.raises(GateRefusal) as refusal:
        gate.check(request, WriteProbes.OFF)
    assert_clean("the traceback", "".join(traceback.format_exception(refusal.value)))
    assert_clean("repr", repr([secret, refusal.value]))


async def test_no_personal_data_of_any_answer_gets_out(folder: tuple[Path, str, Sandbox]) -> None:
    """A server puts a person into every answer, even to writes and in refusals: nothing of it is kept or shown."""
    home, url, _ = folder
    person = json.dumps({"id": 4711, "first_name": PERSON, "message": PERSON, "errors": [{"message": PERSON}]})
    for status in ("200 OK", "403 Forbidden", "422 Unprocessable Content", "500 Internal Server Error"):
        body = answer(status, person.encode(), f"X-Request-Id: {PERSON} 1", f"Location: https://{PERSON}.example/")
        async with raw_server(always(body)) as server:
            given = {**settings(home, url), "harvest_url": f"http://127.0.0.1:{server.port}", "confirm_after": 0}
            for arguments in (["check", "--json"], ["check"]):
                result = await asyncio.to_thread(run, home, *arguments, **given)
                assert "globex" in result.stdout
                assert_clean(f"{arguments} at {status}", _all_output(result))
        assert any(PERSON.encode() in body for _ in server.requests)
    assert assert_files_clean(home) > 0
