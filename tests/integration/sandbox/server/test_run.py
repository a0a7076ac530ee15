"""The sandbox on a real socket: what goes over the wire, and what faults do to it."""

import asyncio
import json
import logging
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from monitor.errors import ConfigurationError
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.greenhouse.request import basic
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import Place, running, serve

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def sandbox() -> Sandbox:
    made = Sandbox()
    made.add_account("acme", limit=10**6)
    made.add_key("acme", text="the-key")
    return made


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()


def sent(line: str, *headers: str, body: bytes = b"") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: {basic('the-key')}", *headers, *length]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """One answer with a length: status, headers with lower-case names, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the connection ends, however it does."""
    received = b""
    try:
        while more := await asyncio.wait_for(reader.read(65536), 30):
            received += more
    except ConnectionResetError:
        pass
    return received


def unchunked(body: bytes) -> bytes:
    """A chunked body put together again."""
    whole = b""
    while body:
        length, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(length, 16)], body[int(length, 16) + 2 :]
    return whole


async def test_one_connection_serves_many_requests(sandbox: Sandbox) -> None:
    """Answers are JSON with a length and rate limit headers, and the connection stays open for the next request."""
    async with running(sandbox) as url, connected(url) as (reader, writer):
        for expected in ("999999", "999998"):
            writer.write(sent("GET /v1/jobs?per_page=1"))
            status, headers, body = await answer(reader)
            assert status == 200
            assert len(json.loads(body)) == 1
            assert headers["content-type"] == "application/json; charset=utf-8"
            assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("1000000", expected)


async def test_bodies_arrive_whole_and_chunked(sandbox: Sandbox) -> None:
    """A body may have a length or come in chunks; a GET with a body is refused with an HTML page."""
    user = sandbox.account("acme").records.ids("users")[0]
    behalf = f"On-Behalf-Of: {user}"
    async with running(sandbox) as url, connected(url) as (reader, writer):
        writer.write(sent("POST /v1/departments", behalf, body=b'{"name":"x"}'))
        assert (await answer(reader))[0] == 201
        chunks = b'8\r\n{"name":\r\n4\r\n"x"}\r\n0\r\n\r\n'
        writer.write(sent("POST /v1/departments", behalf, "Transfer-Encoding: chunked") + chunks)
        assert (await answer(reader))[0] == 201
        writer.write(sent("GET /v1/departments", body=b"{}"))
        status, headers, _ = await answer(reader)
    assert (status, headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert [entry.body_length for entry in sandbox.request_log.entries()] == [12, 12, 2]
    assert sandbox.request_log.change_count == 2


async def test_half_a_request_is_not_handled(sandbox: Sandbox) -> None:
    """A client that hangs up in the middle of a body is not in the request log."""
    async with running(sandbox) as url:
        async with connected(url) as (_, writer):
            writer.write(sent("POST /v1/departments", "Content-Length: 100") + b'{"name":')
            await writer.drain()
        async with connected(url) as (reader, writer):
            writer.write(sent("GET /v1/jobs"))
            await answer(reader)
    assert [entry.method for entry in sandbox.request_log.entries()] == ["GET"]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "BREW"])
async def test_an_undocumented_method_is_not_found(sandbox: Sandbox, method: str) -> None:
    """Other methods get 404 after the key was checked, and the connection stays open."""
    async with running(sandbox) as url, connected(url) as (reader, writer):
        writer.write(sent(f"{method} /v1/jobs"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404")
        if method != "HEAD":
            assert await reader.readexactly(32) == b'{"message":"Resource not found"}'
        writer.write(sent("GET /v1/jobs"))
        assert (await answer(reader))[0] == 200


async def test_the_request_log_counts_concurrent_requests(sandbox: Sandbox) -> None:
    """Twenty connections with fifty requests each are a thousand entries, in one order."""

    async def ask_fifty(url: str) -> None:
        async with connected(url) as (reader, writer):
            for _ in range(50):
                writer.write(sent("GET /v1/candidates/0"))
                assert (await answer(reader))[0] == 404

    async with running(sandbox) as url:
        await asyncio.gather(*(ask_fifty(url) for _ in range(20)))
    assert [entry.number for entry in sandbox.request_log.entries()] == list(range(1, 1001))
    assert sandbox.request_log.by_status == {404: 1000}


async def test_a_reset_closes_without_an_answer(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """No byte comes back, and the request is logged without a status."""
    sandbox.add_fault(Fault(kind=FaultKind.RESET))
    async with running(sandbox) as url, connected(url) as (reader, writer):
        writer.write(sent("GET /v1/jobs"))
        assert await rest(reader) == b""
    assert [(entry.status, entry.fault) for entry in sandbox.request_log.entries()] == [(None, "reset")]
    assert caplog.records == []


async def test_a_truncated_answer_ends_early(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """The Content-Length is that of the right answer, and half of it arrives."""
    sandbox.add_fault(Fault(kind=FaultKind.TRUNCATED))
    async with running(sandbox) as url, connected(url) as (reader, writer):
        writer.write(sent("GET /v1/jobs"))
        head, _, body = (await rest(reader)).partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == promised // 2 > 100
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(body)
    assert caplog.records == []


async def test_a_timeout_sends_nothing(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """The connection stays open and silent until the sandbox stops, and stopping does not wait for the client."""
    sandbox.add_fault(Fault(kind=FaultKind.TIMEOUT))
    async with AsyncExitStack() as clients:
        async with asyncio.timeout(30), running(sandbox) as url:
            reader, writer = await clients.enter_async_context(connected(url))
            writer.write(sent("GET /v1/jobs"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
        assert await rest(reader) == b""
    assert [entry.status for entry in sandbox.request_log.entries()] == [None]
    assert caplog.records == []


async def test_slow_and_drip_take_their_time(sandbox: Sandbox) -> None:
    """A slow answer arrives late and complete, a dripping one byte by byte."""
    sandbox.add_fault(Fault(kind=FaultKind.SLOW, seconds=0.1, times=1))
    sandbox.add_fault(Fault(kind=FaultKind.DRIP, seconds=0.01, times=1))
    async with running(sandbox) as url, connected(url) as (reader, writer):
        started = time.monotonic()
        writer.write(sent("GET /v1/jobs/0"))
        assert (await answer(reader))[2] == b'{"message":"Resource not found"}'
        slow = time.monotonic() - started
        writer.write(sent("GET /v1/jobs/0"))
        await reader.readuntil(b"\r\n\r\n")
        pieces = [await reader.read(100) for _ in range(3)]
    assert slow >= 0.1
    assert pieces == [b"{", b'"', b"m"]


async def test_huge_and_gzip_bomb_have_their_size(sandbox: Sandbox) -> None:
    """A huge answer is that many bytes of JSON; a bomb is small and decompresses to as many."""
    size = 300_000
    for kind in (FaultKind.HUGE, FaultKind.GZIP_BOMB):
        sandbox.add_fault(Fault(kind=kind, size=size, times=1))
    bodies = []
    async with running(sandbox) as url:
        for _ in range(2):
            async with connected(url) as (reader, writer):
                writer.write(sent("GET /v1/jobs", "Connection: close"))
                bodies.append(unchunked((await rest(reader)).partition(b"\r\n\r\n")[2]))
    bomb = zlib.decompress(bodies[1], wbits=31)
    assert len(bodies[1]) < size / 100
    for unfolded in (bodies[0], bomb):
        assert len(unfolded) == size
        assert json.loads(unfolded) == []


async def test_a_client_that_disconnects_ends_its_fault(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Hanging up on a drip, a slow or a huge answer leaves nothing behind and makes nobody else wait."""
    for kind in (FaultKind.DRIP, FaultKind.SLOW, FaultKind.HUGE):
        sandbox.add_fault(Fault(kind=kind, seconds=60, size=2**24, times=1))
    async with running(sandbox) as url:
        for _ in range(3):
            async with connected(url) as (_, writer):
                writer.write(sent("GET /v1/jobs"))
                await writer.drain()
                await asyncio.sleep(0.02)
        async with connected(url) as (reader, writer):
            writer.write(sent("GET /v1/jobs"))
            assert (await answer(reader))[0] == 200
    assert sandbox.request_log.request_count == 4
    assert caplog.records == []


async def test_it_serves_until_cancelled(sandbox: Sandbox) -> None:
    """`serve` reports its address once it listens, and frees the port when it is cancelled."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(sandbox, Place("127.0.0.1", 0, 0), ready.set_result))
    url = await asyncio.wait_for(ready, 30)
    async with connected(url) as (reader, writer):
        writer.write(sent("GET /v1/jobs"))
        assert (await answer(reader))[0] == 200
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1 port {url.rpartition(':')[2]}"):
            await serve(sandbox, Place("127.0.0.1", int(url.rpartition(":")[2]), 0), ready.set_result)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))


async def test_two_sandboxes_run_side_by_side(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Each has a separate port and request log, and neither writes to the program's log."""
    caplog.set_level(logging.DEBUG)
    other = Sandbox()
    async with running(sandbox) as first, running(other) as second:
        assert first != second
        for url in (first, second):
            async with connected(url) as (reader, writer):
                writer.write(sent("GET /v1/jobs"))
                await answer(reader)
    assert [sandbox.request_log.by_status, other.request_log.by_status] == [{200: 1}, {401: 1}]
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
