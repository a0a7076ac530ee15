"""Clients that are slow on purpose, at a real port: each is dropped in time, and everybody else is answered."""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.web.app import application
from monitor.web.connection_limits import LIMITS, ConnectionLimits
from monitor.web.serve import serving
from tests.website import website

SHORT = ConnectionLimits(most=20, head_within=0.4, body_within=0.4, idle_for=1)
HALF = b"GET /healthz HTTP/1.1\r\nHost: monitor\r\nX-Slow: "
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: monitor\r\n\r\n"
LONG = 64 * 1024 * 1024
SOON = 5.0


async def reachable() -> None:
    pass


def app() -> FastAPI:
    made = application(Metrics("1"), reachable)

    @made.post("/taken")
    async def taken(request: Request) -> Response:
        return Response(str(len(await request.body())))

    @made.get("/long")
    async def long() -> Response:
        return Response(bytes(LONG))

    return made


class Client:
    """One connection; `ended` gives after how many seconds the server ended it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def status(self) -> int:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b": 0")
        await self.reader.readexactly(int(length.partition(b":")[2]))
        return int(head.split(b" ")[1])

    async def ended(self) -> float:
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(SOON):
            try:
                while await self.reader.read(1000):
                    pass
            except ConnectionError:
                pass
        return asyncio.get_running_loop().time() - began


Connect = Callable[[], Awaitable[Client]]


@asynccontextmanager
async def served(limits: ConnectionLimits = SHORT) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as opened, serving(app(), "127.0.0.1", 0, limits) as url:

        async def connect() -> Client:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            opened.callback(writer.close)
            return Client(reader, writer)

        yield connect


async def drip(client: Client) -> None:
    while True:
        client.send(b"a")
        await asyncio.sleep(0.05)


async def test_a_request_that_does_not_come_ends_its_connection() -> None:
    """No byte, half a head, a byte of it at a time, a second one, and half a body: each within its time."""
    async with served() as connect:
        silent, half, slow, second, body = [await connect() for _ in range(5)]
        half.send(HALF)
        slow.send(HALF)
        second.send(WHOLE)
        assert await second.status() == 200
        second.send(HALF)
        body.send(b"POST /taken HTTP/1.1\r\nHost: monitor\r\nContent-Length: 10\r\n\r\nfive!")
        dripping = asyncio.create_task(drip(slow))
        times = await asyncio.gather(*(client.ended() for client in (silent, half, slow, second, body)))
        dripping.cancel()
        assert max(times) < 2 < SOON, times


async def test_a_connection_between_two_requests_may_be_idle_for_longer_but_not_for_ever() -> None:
    """Longer than a head may take; then it is closed without a word."""
    async with served() as connect:
        client = await connect()
        for _ in range(2):
            client.send(WHOLE)
            assert await client.status() == 200
            await asyncio.sleep(SHORT.head_within * 1.5)
        assert await client.ended() < 2


async def test_a_client_that_never_takes_its_answer_is_dropped() -> None:
    """What lies ready for it in our memory is let go of."""
    async with served() as connect:
        client = await connect()
        client.writer.transport.pause_reading()
        client.send(b"GET /long HTTP/1.1\r\nHost: monitor\r\n\r\n")
        await asyncio.sleep(SHORT.idle_for + SHORT.head_within + 0.6)
        client.writer.transport.resume_reading()
        received = 0
        async with asyncio.timeout(SOON):
            try:
                while data := await client.reader.read(1_000_000):
                    received += len(data)
            except ConnectionError:
                pass
        assert received < LONG


async def test_half_sent_requests_take_no_place_from_whole_ones() -> None:
    """Five times as many as there are places: health and metrics answer at once, and the oldest have gone."""
    async with served(ConnectionLimits(most=20)) as connect:
        attackers = [await connect() for _ in range(100)]
        for attacker in attackers:
            attacker.send(HALF)
        for path in (b"/healthz", b"/metrics", b"/readyz"):
            probe = await connect()
            probe.send(b"GET " + path + b" HTTP/1.1\r\nHost: monitor\r\n\r\n")
            async with asyncio.timeout(SOON):
                assert await probe.status() == 200
        times = await asyncio.gather(*(attacker.ended() for attacker in attackers[:75]))
        assert max(times) < 1
        assert not any(attacker.reader.at_eof() for attacker in attackers[-10:])


def test_connections_leave_most_file_handles_to_checks() -> None:
    """At most 500, and at most a quarter of what the process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert LIMITS.most_with_these_handles == min(500, soft // 4)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        assert LIMITS.most_with_these_handles == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_client_that_goes_away_within_its_request_is_no_fault(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a form, half a call: nothing in the log that asks to be reported."""
    async with website(sqlite) as site:
        for path in ("/sign-in/link", "/writes/confirm"):
            _, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(site.url).port)
            head = f"POST {path} HTTP/1.1\r\nHost: monitor\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 100\r\n"
            writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\nlink=half".encode())
            await asyncio.sleep(0.1)
            writer.transport.abort()
        await asyncio.sleep(0.2)
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []
