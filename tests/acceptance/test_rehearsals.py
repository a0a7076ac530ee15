"""docs/rehearsals.md: the setup runs in a real shell, and faults show as the page describes."""

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import COMMAND, SECONDS, at_port, bare_environment, free_ports, until
from tests.rehearsals import Rehearsal, blocks, rehearsals

QUICKER = {'interval = "10s"': 'interval = "5s"', 'confirm_after = "8s"': 'confirm_after = "1s"'}
QUICKER |= {'settle = "12s"': 'settle = "1s"'}


@dataclass
class Shell:
    """The shell in which everything is typed; the page's ports are replaced."""

    folder: Path
    process: subprocess.Popen[str]
    ports: dict[str, str]

    def type(self, text: str) -> None:
        assert self.process.stdin
        text = at_port(text, self.ports["8765"])
        for old, new in self.ports.items():
            text = text.replace(old, new)
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    @property
    def log(self) -> str:
        file = self.folder / "serve.log"
        return file.read_text("utf-8") if file.exists() else ""

    def get(self, port: str, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    @property
    def subjects(self) -> str:
        return "\n".join(mail["subject"] for mail in json.loads(self.get("8765", "/_sandbox/mails"))["mails"])

    def wait_for(self, rehearsal: Rehearsal) -> None:
        """Waits for everything that a row says you see."""
        until(lambda: all(piece in self.log for piece in rehearsal.logged))
        until(lambda: all(name in self.get("9808", "/metrics") for name in rehearsal.metrics))
        until(lambda: all(words in self.subjects for words in rehearsal.mails))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    environment = bare_environment(tmp_path, {})
    environment["PATH"] = f"{COMMAND.parent}:{environment['PATH']}"
    with free_ports(3) as ports, (tmp_path / "shell.log").open("w") as out:
        process = subprocess.Popen(
            ["/bin/bash"], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=out, stderr=out, text=True,
            start_new_session=True,
        )  # fmt: skip
        made = Shell(tmp_path, process, dict(zip(("8765", "8766", "9808"), map(str, ports), strict=True)))
        try:
            yield made
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=SECONDS)


def test_the_setup_serves_and_faults_show_as_described(shell: Shell) -> None:
    """A permission and a scope unticked, a write probe accepted: visible in log, metrics and emails until they end."""
    setup, *_ = blocks()
    for old, new in QUICKER.items():
        assert old in setup
        setup = setup.replace(old, new)
    shell.type(setup)
    until(lambda: shell.log.count("outcome=compliant") >= 7)

    rows = [rehearsals()[name] for name in ("permission unticked", "scope unticked", "a write probe is accepted")]
    for row in rows:
        for command in row.commands:
            shell.type(command)
    for row in rows:
        shell.wait_for(row)
    for row in rows:
        shell.type(row.endings[0])
    until(lambda: "permission restored" in shell.subjects)

    shell.type(blocks()[1] + "exit 0")
    assert shell.process.wait(timeout=SECONDS) == 0
    assert "stopped" in shell.log
    assert "error" not in (shell.folder / "shell.log").read_text("utf-8").lower()
