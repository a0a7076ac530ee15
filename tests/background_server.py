"""A server on a thread of its own, so that other processes and blocking tests can reach it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import running

Address = TypeVar("Address")


@contextmanager
def background_server(server: Callable[[], AbstractAsyncContextManager[Address]]) -> Iterator[Address]:
    """Runs the server until the context ends, and yields its address."""
    ready = threading.Event()
    found: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, Address]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with server() as address:
            found.append((asyncio.get_running_loop(), stop, address))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(60)
        yield found[0][2]
    finally:
        for loop, stop, _ in found:
            loop.call_soon_threadsafe(stop.set)
        thread.join(60)


@contextmanager
def background_sandbox(sandbox: Sandbox) -> Iterator[str]:
    """Serves the sandbox until the context ends, and yields its address."""
    with background_server(lambda: running(sandbox)) as url:
        yield url
