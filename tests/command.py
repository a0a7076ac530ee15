"""Runs the command: the installed one in a process of its own, or in this process."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from monitor import cli
from tests.kept_logs import kept_logs

COMMAND = Path(sys.executable).with_name("harvest-monitor")
SECONDS = 180  # far more than anything takes, even on a busy machine: only what never happens waits this long


def bare_environment(folder: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """An environment with these settings only, without the tester's own HARVEST_MONITOR_* variables."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    given = {f"HARVEST_MONITOR_{name.upper()}": str(value) for name, value in settings.items()}
    return {**kept, "COLUMNS": "100", **given}


def run(
    folder: Path, *arguments: str, command: Path = COMMAND, timeout: float = SECONDS, **settings: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(command), *arguments],
        cwd=folder,
        env=bare_environment(folder, settings),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def run_here(folder: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Like `run`, but in this process, which saves the second that a new one takes to start.

    A fixture of a module may call it, too: no later test finds the logs as this command had set them.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with patch.dict(os.environ, bare_environment(folder, settings), clear=True), chdir(folder):
        with kept_logs(), redirect_stdout(out), redirect_stderr(err):
            status = cli.run(list(arguments))
    printed = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return subprocess.CompletedProcess(arguments, status, *printed)


def run_json(folder: Path, *arguments: str, **settings: object) -> Any:
    """What the command prints with --json: stdout is exactly one document."""
    return json.loads(run_here(folder, *arguments, "--json", **settings).stdout)


@dataclass
class ServeProcess:
    process: subprocess.Popen[str]
    log_file: Path
    _known: list[dict[str, Any]] = field(default_factory=list)
    _offset: int = 0

    @property
    def log(self) -> list[dict[str, Any]]:
        """The JSON lines of its log so far. Each is read once, as `until` asks for the log twenty times a second."""
        with self.log_file.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole + newline)
        self._known += [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
        return self._known

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    @property
    def url(self) -> str:
        return str(until(lambda: self.logged("serving"))[0]["address"])

    def get(self, path: str) -> tuple[int, str]:
        request = urllib.request.Request(self.url + path)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.read().decode()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=SECONDS)


@contextmanager
def serving(
    folder: Path, command: Path = COMMAND, environment: Mapping[str, str] | None = None, **settings: object
) -> Iterator[ServeProcess]:
    """`harvest-monitor serve` in `folder` until the context ends; killed if it still runs then."""
    log_file = folder / f"serve-{time.monotonic_ns()}.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [str(command), "serve"],
            cwd=folder,
            env={**bare_environment(folder, {"listen": "127.0.0.1:0", **settings}), **(environment or {})},
            stdout=log,
            stderr=log,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield ServeProcess(process, log_file)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(timeout=SECONDS)


def until(found: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Waits until `found` returns something true, and returns that; AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return result


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Ports on which nothing listens, and which the system gives to no other process until the context ends."""
    taken = [socket.socket() for _ in range(count)]
    for each in taken:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("127.0.0.1", 0))
    yield [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()


def at_port(text: str, port: object) -> str:
    """Shell from the docs, with the address of our sandbox added to each command that controls a running sandbox."""
    return re.sub(r"(harvest-monitor sandbox (?:fault [a-z]+|[a-z]+))", rf"\1 --url http://127.0.0.1:{port}", text)
