"""A fast server: one prepared answer for every request of the full table.

    python -m tests.bench.server < answers.json

Prints its ports, for http and for https, and ends when its standard input is closed.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

from tests.bench.answers import Exchange
from tests.mail import server_tls

_ID = "00000000-0000-4000-8000-000000000000"
_HEAD = (
    "HTTP/1.1 {status} Answer\r\nContent-Type: application/json; charset=utf-8\r\nX-RateLimit-Limit: 1000000\r\n"
    "X-RateLimit-Remaining: 999999\r\nX-Request-ID: " + _ID + "\r\n"
    "Content-Length: {length}\r\n\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_NOT_IN_THE_TABLE = _HEAD.format(status=500, length=0).encode()


class Addresses(NamedTuple):
    clear: str
    encrypted: str


@contextmanager
def fast_server(table: Sequence[Exchange], cores: frozenset[int]) -> Iterator[Addresses]:
    """Run it on these cores while the context lasts. Any request that is not in the table gets 500."""
    answers = {f"{e.entry.method} {e.entry.target}": _prepared(e).decode("latin-1") for e in table}
    command = [sys.executable, "-m", "tests.bench.server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, cores)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(answers) + "\n")
        process.stdin.flush()
        clear, encrypted = process.stdout.readline().split()
        yield Addresses(f"http://127.0.0.1:{clear}", f"https://localhost:{encrypted}")
        process.stdin.close()


def _prepared(exchange: Exchange) -> bytes:
    return _HEAD.format(status=exchange.status, length=len(exchange.body)).encode() + exchange.body


class _Connection(asyncio.Protocol):
    """One request after the other; pipelined requests are not supported."""

    numbers = count()  # an id that was heard before marks an answer that was not given to this request

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, _, body = self._read.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if len(head) == len(self._read) or len(body) < (int(length[1]) if length else 0):
            return
        self._read = b""
        answer = self._answers.get(head.partition(b" HTTP/")[0], _NOT_IN_THE_TABLE)
        self._transport.write(answer.replace(_ID.encode(), b"%036x" % next(self.numbers), 1))


async def _main() -> None:
    answers = {line.encode(): answer.encode("latin-1") for line, answer in json.loads(sys.stdin.readline()).items()}
    listen = asyncio.get_running_loop().create_server
    servers = [await listen(lambda: _Connection(answers), "127.0.0.1", 0, ssl=tls) for tls in (None, server_tls())]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
