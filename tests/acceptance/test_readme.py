"""Runs the commands of README and docs/v3.md exactly as written: a deployment, and a customer on Harvest v3."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import COMMAND, SECONDS, at_port, bare_environment, free_ports, run, run_json, serving, until
from tests.paths import ROOT
from tests.readme import DEPLOYMENT, block

WALK_THROUGH = (ROOT / "docs" / "v3.md").read_text("utf-8").split("\n## Try it\n")[1].split("\n## ")[0]
SHOWN_BELOW = re.compile(r"^```sh\n((?:(?!```).*\n)+)```\n\n((?:    .*\n)+)", re.M)
FOR_ROOT = re.compile(r"\b(sudo|useradd|pip)\b|(?<![\w.])/(etc|opt|usr|var)/")
NEXT = "--- the next block ---"
QUICK = {"requests_per_second": 0, "confirm_after": "1s", "settle": "1s"}


@dataclass(frozen=True)
class OtherTerminal:
    """The sandbox that a newcomer starts in another terminal, and what it printed."""

    port: int
    mail_port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def printed(self, pattern: str) -> str:
        return str(until(lambda: re.findall(pattern, self.log.read_text("utf-8"), re.M))[0])

    def lift_the_rate_limit(self) -> None:
        """With the real limit, a check that leaves half of it to the customer takes a minute."""
        body = json.dumps({"account": None, "settings": {"limit": 100_000}}).encode()
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_sandbox/settings", body, headers), timeout=SECONDS)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    environment = bare_environment(tmp_path, QUICK)
    return environment | {"PATH": f"{COMMAND.parent}:{environment['PATH']}"}


@pytest.fixture
def sandbox(tmp_path: Path, environment: dict[str, str]) -> Iterator[OtherTerminal]:
    with free_ports(2) as (port, mail_port), in_another_terminal(tmp_path, environment, port, mail_port) as other:
        yield other


@contextmanager
def in_another_terminal(
    folder: Path, environment: dict[str, str], port: int, mail_port: int
) -> Iterator[OtherTerminal]:
    log = folder / "sandbox.log"
    with log.open("w") as output:
        command = [str(COMMAND), "sandbox", "--port", str(port), "--mail-port", str(mail_port)]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield OtherTerminal(port, mail_port, log)
        finally:
            process.kill()
            process.wait(timeout=SECONDS)


def here(text: str, folder: Path) -> str:
    """The text without root: our own folders, and no other user."""
    text = re.sub(r"sudo (-u \S+ --preserve-env=\S+ )?| -g harvest-monitor", "", text)
    return text.replace("/etc/", f"{folder}/etc/").replace("/var/lib/", f"{folder}/var/lib/")


def bash(script: str, folder: Path, environment: dict[str, str], pasted: str = "") -> str:
    assert not FOR_ROOT.search(script), "this would change the tester's machine"
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        input=pasted,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3 * SECONDS,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: a check found drift
    return done.stdout


def seconds_left_out(text: str) -> list[str]:
    return [re.sub(r" in \d+ s\)$", ")", line.removeprefix("    ")) for line in text.splitlines()]


def store_secrets(folder: Path, environment: dict[str, str], sandbox: OtherTerminal) -> None:
    """Step 2 for each secret: Acme's key, Globex's client id, secret and token, and the mail server of step 5."""
    store = here(block("sh", "sudo install -d"), folder)
    client = sandbox.printed(r"client (\S+), secret \S+ \(v3\)")
    secret = sandbox.printed(r"client \S+, secret (\S+) \(v3\)")
    secrets = {
        "keys/acme": sandbox.printed(r"acme: .*: key (\S+)$"),
        "keys/globex.client-id": client,
        "keys/globex.client-secret": secret,
        "smtp-url": f"smtp://127.0.0.1:{sandbox.mail_port}?tls=none",
    }
    for name, secret in secrets.items():
        bash(store.replace("keys/acme", name), folder, environment, f"{secret}\n")
        assert (folder / "etc/harvest-monitor" / name).stat().st_mode & 0o777 == 0o640
    token = folder / "etc/harvest-monitor/keys/globex.token"
    run(folder, "sandbox", "token", "--url", sandbox.url, "--account", "acme", "--output", str(token))


def problems(folder: Path, config: Path) -> list[str]:
    """What `doctor` says must be mended; what it only notes stops no deployment."""
    findings = json.loads((done := run(folder, "doctor", "--json", config=config)).stdout)["findings"]
    found = [finding["message"] for finding in findings if finding["severity"] == "problem"]
    assert (done.returncode, len(findings) > len(found)) == (bool(found), True)
    return found


def test_the_deployment_checks_serves_and_sends_email(
    tmp_path: Path, environment: dict[str, str], sandbox: OtherTerminal
) -> None:
    """Steps 2 to 5 with the sandbox: the check prints what README shows, the service emails the operator, and `doctor`
    finds no problem before it starts nor while it runs."""
    sandbox.printed("it accepts mails at")
    sandbox.lift_the_rate_limit()
    (tmp_path / "var/lib/harvest-monitor").mkdir(parents=True)
    store_secrets(tmp_path, environment, sandbox)
    config = tmp_path / "etc/harvest-monitor/harvest-monitor.toml"
    tenants = here(block("yaml", "tenants:"), tmp_path)
    (tmp_path / "etc/harvest-monitor/tenants.yaml").write_text(tenants, "utf-8")
    there = f'harvest_url = "{sandbox.url}"\nauth_url = "{sandbox.url}"\n'
    config.write_text(here(block("toml", "tenants ="), tmp_path) + there, "utf-8")

    check, shown = SHOWN_BELOW.findall(DEPLOYMENT)[-1]
    assert seconds_left_out(bash(here(check, tmp_path), tmp_path, environment)) == seconds_left_out(shown)

    with config.open("a", encoding="utf-8") as settings:
        settings.write(here(block("toml", "smtp_url ="), tmp_path))
    assert problems(tmp_path, config) == []
    with serving(tmp_path, config=config, **QUICK) as service:
        mails = until(lambda: run_json(tmp_path, "sandbox", "mails", "--url", sandbox.url)["mails"])
        listed = run_json(tmp_path, "tenants", "list", config=config)["tenants"]
        assert service.get("/metrics")[0] == 200
        assert problems(tmp_path, config) == []
        assert service.stop() == 0
    assert {line["id"]: line["state"] for line in listed} == {"acme": "ok", "globex": "ok"}
    assert {recipient for mail in mails for recipient in mail["recipients"]} == {"ops@vendor.example"}


def test_the_commands_print_what_the_page_shows(
    tmp_path: Path, environment: dict[str, str], sandbox: OtherTerminal
) -> None:
    """The last lines that each block of docs/v3.md prints are those below it; a reader needs nothing else."""
    (line,) = re.findall(r"^ +(acme: .*\(v3\))$", WALK_THROUGH, re.M)
    sandbox.printed(re.escape(line))
    (folder := tmp_path / "empty").mkdir()
    blocks = SHOWN_BELOW.findall(WALK_THROUGH)
    typed = f"echo '{NEXT}'\n".join(block for block, _ in blocks)
    printed = bash(at_port(typed, sandbox.port).replace("8765", str(sandbox.port)), folder, environment).split(NEXT)
    assert len(printed) == len(blocks) == 2
    for (_, shown), seen in zip(blocks, printed, strict=True):
        expected = seconds_left_out(shown)
        assert seconds_left_out(seen)[-len(expected) :] == expected
    assert {file.stat().st_mode & 0o077 for file in folder.glob("acme.*")} == {0}
