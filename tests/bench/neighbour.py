"""For comparison: Debian's prometheus-blackbox-exporter probing the same server, one GET each and no verdict."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from tests.bench.answers import Exchange
from tests.bench.figures import Figure, Part
from tests.bench.load import timed
from tests.bench.machine import Cores, cpu_seconds
from tests.bench.sizes import Sizes

PACKAGE = "prometheus-blackbox-exporter"
_HEADERS = {"Authorization": f"Basic {'0' * 64}", "Accept": "application/json"}
_PROBE = {"prober": "http", "timeout": "10s", "http": {"headers": _HEADERS, "preferred_ip_protocol": "ip4"}}
_LISTENS_WITHIN_SECONDS = 10


def measure(address: str, table: Sequence[Exchange], sizes: Sizes, cores: Cores, folder: Path) -> Part:
    title = f"For comparison: {PACKAGE}, {sizes.probes:,} probes of the same server"
    program = shutil.which(PACKAGE)
    if program is None:
        return Part("neighbour", title, [], [f"Skipped: {PACKAGE} is not installed (`apt-get install {PACKAGE}`)."])
    gets = [e.entry.target for e in table if e.entry.method == "GET" and e.status == 200]
    os.sched_setaffinity(0, cores.other)
    with _exporter(program, folder, cores.measured) as (exporter, pid):
        return asyncio.run(_measure(title, exporter, pid, [address + target for target in gets], sizes.probes))


async def _measure(title: str, exporter: str, pid: int, targets: Sequence[str], probes: int) -> Part:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def probe(number: int) -> None:
            asked = {"module": "json", "target": targets[number % len(targets)]}
            async with session.get(f"{exporter}/probe", params=asked) as answer:
                assert b"\nprobe_success 1\n" in await answer.read()

        before = cpu_seconds(pid)
        timing = await timed(probe, range(probes))
        cpu = cpu_seconds(pid) - before
    return Part(
        "neighbour",
        title,
        [
            Figure("probes a second", probes / timing.seconds, "/s"),
            Figure("processor time for each probe", cpu / probes * 1e6, "µs"),
        ],
        ["Each probe is one GET on its own connection, answered with metrics; nothing is judged, stored or guarded."],
    )


@contextmanager
def _exporter(program: str, folder: Path, cores: frozenset[int]) -> Iterator[tuple[str, int]]:
    """Run it on these cores; yields its address and process id."""
    configuration = folder / "blackbox.json"
    configuration.write_text(json.dumps({"modules": {"json": _PROBE}}), "utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [program, f"--config.file={configuration}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, cores))
    try:
        _wait_for(process, port)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(timeout=_LISTENS_WITHIN_SECONDS)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _LISTENS_WITHIN_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, f"{PACKAGE} ended at once"
            assert time.monotonic() < end, f"{PACKAGE} does not listen"
            time.sleep(0.02)
