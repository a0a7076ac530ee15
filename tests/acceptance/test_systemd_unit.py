"""README's unit, as it stands there: what systemd says of it, and how the service fares under a real systemd."""

import json
from pathlib import Path

import pytest

from tests.command import until
from tests.readme import block
from tests.real_part import real_part
from tests.systemd import Machine, analyze

UNIT = block("ini", "[Unit]")
COMMAND = "/opt/harvest-monitor/bin/harvest-monitor"
CONFIG = "/etc/harvest-monitor/harvest-monitor.toml"
AS_SERVICE = f"HARVEST_MONITOR_CONFIG={CONFIG} setpriv --reuid=harvest-monitor --regid=harvest-monitor --init-groups"
MOST_EXPOSED = 3.0  # of 10, which is a unit without any protection
SCENARIO = """
accounts:
  - name: acme
    key: {grants: {from: gem, without: [GET /v1/offers]}, text: sandbox-acme-1}
    settings: {limit: 100000}
"""
TENANTS = """
tenants:
  - id: acme
    name: Acme Corp
    credential: {kind: harvest-key, label: Key, key: "file:/etc/harvest-monitor/keys/acme"}
  - id: globex
    name: Globex
    credential: {kind: harvest-key, label: Key, key: "command:/bin/cat /etc/harvest-monitor/keys/acme"}
"""
SETTINGS = """
tenants = "/etc/harvest-monitor/tenants.yaml"
database_url = "sqlite:////var/lib/harvest-monitor/harvest-monitor.sqlite3"
harvest_url = "http://127.0.0.1:8765"
notices = "off"
requests_per_second = 0
"""


def test_the_unit_is_valid_and_exposes_little(tmp_path: Path) -> None:
    """systemd knows every line of it, and calls it well protected."""
    unit = tmp_path / "harvest-monitor.service"
    unit.write_text(UNIT.replace(COMMAND, "/bin/true"), "utf-8")
    with real_part():
        verified = analyze("verify", str(unit))
        exposed = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", "--no-pager", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    assert exposed.returncode == 0, exposed.stdout + exposed.stderr


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Machine:
    """README's steps with the sandbox as Greenhouse, up to the moment when the unit is started."""
    (user,) = (line for line in block("sh", "sudo python3").splitlines() if "useradd" in line)
    folders, _ = block("sh", "sudo install -d").splitlines()
    machine.does("\n".join([user, folders]).replace("sudo ", ""))
    texts = {
        "/srv/sandbox.yaml": SCENARIO,
        "/etc/harvest-monitor/tenants.yaml": TENANTS,
        CONFIG: SETTINGS,
        "/etc/systemd/system/harvest-monitor.service": UNIT,
        "/etc/systemd/system/harvest-monitor.service.d/quick.conf": "[Service]\nRestartSec=100ms\n",
    }
    for file, text in texts.items():
        machine.does(f"mkdir --parents {Path(file).parent}; cat > {file}", text)
    machine.does("install -m 640 -g harvest-monitor /dev/stdin /etc/harvest-monitor/keys/acme", "sandbox-acme-1\n")
    sandbox = f"{COMMAND} sandbox --scenario /srv/sandbox.yaml --port 8765 --mail-port 0"
    machine.does(f"systemctl daemon-reload; systemd-run --quiet --unit=sandbox --property=DynamicUser=yes {sandbox}")
    until(lambda: machine.run("grep -q :223D /proc/net/tcp").returncode == 0)  # port 8765 is open
    return machine


def checked(machine: Machine) -> dict[str, str]:
    """The state of each tenant that was checked, by the journal; nothing before both were."""
    lines = machine.does("journalctl --unit=harvest-monitor --output=cat").splitlines()
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    states = {line["tenant"]: line["state"] for line in logged if line["event"] == "checked"}
    return states if len(states) == 2 else {}


def test_the_service_works_under_systemd(installed: Machine) -> None:
    """It checks a tenant whose key is in a file and one whose key a command prints, without any privilege; its user's
    `doctor` finds no problem."""
    installed.does("systemctl enable --now harvest-monitor")
    assert until(lambda: checked(installed)) == {"acme": "ok", "globex": "ok"}
    shown = installed.shows("harvest-monitor", "MainPID", "StartLimitIntervalUSec", "NRestarts")
    assert (shown["StartLimitIntervalUSec"], shown["NRestarts"]) == ("0", "0")
    status = dict(line.split(":\t", 1) for line in installed.does(f"cat /proc/{shown['MainPID']}/status").splitlines())
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    kept = installed.does("cd /var/lib/harvest-monitor; stat --format='%U %a' . harvest-monitor.*").splitlines()
    assert set(kept) == {"harvest-monitor 700", "harvest-monitor 600"}
    examined = installed.run(f"{AS_SERVICE} {COMMAND} doctor --run-commands")
    assert (examined.returncode, "problem\t" in examined.stdout) == (0, False), examined.stdout + examined.stderr


def test_systemd_starts_it_again_and_stops_it(installed: Machine) -> None:
    """A crash is followed by a new start, however many there were; a stop is clean and stays a stop."""
    pid = int(installed.shows("harvest-monitor", "MainPID")["MainPID"])
    installed.does(f"kill -9 {pid}")
    until(lambda: installed.run("curl --fail --silent http://127.0.0.1:9808/readyz").returncode == 0)
    assert installed.shows("harvest-monitor", "NRestarts") == {"NRestarts": "1"}
    installed.does("systemctl stop harvest-monitor")
    stopped = installed.shows("harvest-monitor", "ActiveState", "Result", "ExecMainStatus")
    assert stopped == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
