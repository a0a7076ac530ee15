"""nginx, squid and haproxy, really started, each in a folder of its own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Where it is installed. Without it the test is skipped with a word on a desk, and fails in CI."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        assert "CI" not in os.environ, f"{name} is not installed"
        pytest.skip(f"{name} is not installed: apt-get install {name} (Debian)")
    return found


def free_ports(number: int) -> list[int]:
    """So many ports that nobody listens on now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    try:
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


@contextmanager
def running_daemon(command: Sequence[str | Path], ports: Sequence[int], log: Path) -> Iterator[None]:
    """For as long as the context lasts; it begins once every port is listened on."""
    with log.open("wb") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)
    try:
        for port in ports:
            _wait_for(port, process, log)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + 30
    while True:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=5)):
            return
        assert time.monotonic() < ends_at, log.read_text()
        time.sleep(0.05)
