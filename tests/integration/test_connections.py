"""Which connections a check opens, according to the interpreter's audit hook."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from monitor.sandbox.sandbox import Sandbox
from tests.background_server import background_sandbox
from tests.command import bare_environment

PROGRAM = """
import json, sys
opened = []

def record(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        frame, callers = sys._getframe(1), set()
        while frame is not None:
            callers.add(frame.f_globals.get("__name__", ""))
            frame = frame.f_back
        opened.append([event, str(arguments[1] if event == "socket.connect" else arguments[0]), sorted(callers)])

sys.addaudithook(record)
from monitor.cli import run
status = run(["check", "--json"])
print(json.dumps(opened), file=sys.stderr)
sys.exit(status)
"""


def test_a_check_connects_only_to_greenhouse(tmp_path: Path) -> None:
    """Every connection that the interpreter opens during a check goes to the address in the settings."""
    sandbox = Sandbox()
    sandbox.add_account("acme", limit=1_000_000)
    (tmp_path / "acme").write_text(sandbox.add_key("acme", "gem").text)
    credential = {"kind": "harvest-key", "label": "Key", "key": f"file:{tmp_path / 'acme'}"}
    (tmp_path / "tenants.yaml").write_text(
        yaml.safe_dump({"tenants": [{"id": "acme", "name": "Acme", "credential": credential}]})
    )
    with background_sandbox(sandbox) as url:
        settings = {"harvest_url": url, "requests_per_second": 0}
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=tmp_path,
            env=bare_environment(tmp_path, settings),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert result.returncode == 0, result.stderr
    opened = json.loads(result.stderr.splitlines()[-1])
    port = int(url.rsplit(":", 1)[1])
    connected = [address for event, address, _ in opened if event == "socket.connect"]
    assert connected
    assert set(connected) == {str(("127.0.0.1", port))}
