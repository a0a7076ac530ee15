"""A server that is a bare socket: it keeps the exact bytes it receives, and answers with exact bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Respond = Callable[[int, asyncio.StreamWriter], Awaitable[None]]
"""Called with the number of the request (from 0) and the writer; may answer, answer slowly, reset or stay silent."""


@dataclass
class RawServer:
    respond: Respond
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await _one_request(reader)) is not None:
                self.requests.append(request)
                await self.respond(len(self.requests) - 1, writer)
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def _one_request(reader: asyncio.StreamReader) -> bytes | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + (await reader.readexactly(length) if length else b"")


@asynccontextmanager
async def raw_server(respond: Respond) -> AsyncIterator[RawServer]:
    server = RawServer(respond)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def answer(status: str, body: bytes = b"[]", *headers: str, kind: str = "application/json") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + body


def always(response: bytes) -> Respond:
    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        await writer.drain()

    return respond
