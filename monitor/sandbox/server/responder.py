"""Sends an answer over the wire, whole or spoilt by its fault.

ASGI cannot close a connection in the middle of an answer, so the server passes the connection's transport along in the
scope's state.
"""

import asyncio
import zlib
from asyncio import Transport
from collections.abc import Iterator

from starlette.types import Receive, Scope, Send

from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.greenhouse.responses import Reply
from monitor.sandbox.sandbox import SandboxAnswer

_CHUNK = 64 * 1024


async def deliver(answer: SandboxAnswer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the answer as its fault allows; returns at once if the client disconnects."""
    reply, fault = answer
    if fault is None:
        await _whole(reply, send)
        return
    transport: Transport = scope["state"]["transport"]
    match fault.kind:
        case FaultKind.TIMEOUT:
            await _disconnected(receive)
        case FaultKind.RESET:
            transport.abort()
            await _disconnected(receive)
        case FaultKind.TRUNCATED:
            await _half(reply, send)
            # close() sends the half that is buffered; abort() would drop it.
            transport.close()
            await _disconnected(receive)
        case FaultKind.SLOW:
            await _pause(receive, fault.seconds)
            await _whole(reply, send)
        case FaultKind.DRIP:
            await _drip(reply, fault, receive, send)
        case FaultKind.HUGE:
            await _stream(reply, _padding(fault.size), send)
        case FaultKind.GZIP_BOMB:
            await _stream(reply.adding((b"Content-Encoding", b"gzip")), _compressed(_padding(fault.size)), send)
        case _:
            await _whole(reply, send)


async def _whole(reply: Reply, send: Send) -> None:
    await _start(reply, len(reply.body), send)
    await send({"type": "http.response.body", "body": reply.body})


async def _half(reply: Reply, send: Send) -> None:
    await _start(reply, len(reply.body), send)
    await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})


async def _drip(reply: Reply, fault: Fault, receive: Receive, send: Send) -> None:
    await _start(reply, len(reply.body), send)
    for position in range(len(reply.body)):
        if await _pause(receive, fault.seconds):
            return
        await send({"type": "http.response.body", "body": reply.body[position : position + 1], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _stream(reply: Reply, chunks: Iterator[bytes], send: Send) -> None:
    await _start(reply, None, send)
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        # A client that reads quickly never makes `send` wait: other requests get their turn here.
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def _start(reply: Reply, length: int | None, send: Send) -> None:
    headers = [(b"Content-Type", reply.content_type), *reply.headers]
    if length is not None:
        headers.append((b"Content-Length", b"%d" % length))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})


async def _disconnected(receive: Receive) -> None:
    """Wait until the client or the server has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pause(receive: Receive, seconds: float) -> bool:
    """Wait that long; true if the client disconnected meanwhile."""
    try:
        await asyncio.wait_for(_disconnected(receive), seconds)
    except TimeoutError:
        return False
    return True


def _padding(size: int) -> Iterator[bytes]:
    """A JSON array of exactly that many bytes, white space between two brackets."""
    yield b"["
    for start in range(0, size - 2, _CHUNK):
        yield b" " * min(_CHUNK, size - 2 - start)
    yield b"]"


def _compressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    # 31: the largest window, with gzip's header instead of zlib's.
    packer = zlib.compressobj(level=9, wbits=31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()
