"""Clients that open connections and send half a request, against the real service with few file handles."""

import re
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.command import COMMAND, serving
from tests.service import ServiceHarness, checked

HALF = b"GET /metrics HTTP/1.1\r\nHost: monitor\r\nX-Slow: "


def few_handles(folder: Path) -> Path:
    """The command with at most 256 file handles, and fewer to begin with."""
    command = folder / "harvest-monitor-with-few-handles"
    command.write_text(f'#!/bin/sh\nulimit -Sn 128\nulimit -Hn 256\nexec {COMMAND} "$@"\n')
    command.chmod(0o755)
    return command


def gauge(exposition: str, name: str) -> float:
    found = re.search(rf"^harvest_monitor_{name} (\S+)$", exposition, re.MULTILINE)
    assert found, name
    return float(found[1])


def test_700_half_sent_requests_stop_nothing(harness: ServiceHarness) -> None:
    """Checks go on, health and metrics answer at once, the log stays short, and handles are left."""
    harness.add_tenant("acme")
    settings = {**harness.settings, "interval": "1s"}
    with serving(harness.folder, few_handles(harness.folder), **settings) as service, ExitStack() as opened:
        checked(service, "acme")
        address = ("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
        for number in range(700):
            attacker = opened.enter_context(socket.create_connection(address, timeout=10))
            attacker.sendall(HALF)
            if number % 100 == 0:
                assert service.get("/healthz")[0] == 200
        checks = len(service.logged("checked"))
        checked(service, "acme", more_than=checks + 1)
        assert service.get("/readyz")[0] == 200
        status, metrics = service.get("/metrics")
        assert (status, gauge(metrics, "process_max_fds")) == (200, 256)
        assert gauge(metrics, "process_open_fds") < 128
        assert service.stop() == 0
    # Ten lines about connections in ten seconds, and one with the number of the others.
    assert 0 < len(service.logged("dropped_web_connection")) <= 40
    others = [line for line in service.log if line["event"] not in ("checked", "dropped_web_connection")]
    assert any(re.search(r"… and [0-9,]+ more like it in 10 s: dropped_web_connection", o["event"]) for o in others)
    assert len(others) < 60, [line["event"] for line in others]
