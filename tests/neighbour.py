"""A server beside the test, on a thread of its own, so that processes and blocking tests can reach it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server import running

Address = TypeVar("Address")


@contextmanager
def beside(server: Callable[[], AbstractAsyncContextManager[Address]]) -> Iterator[Address]:
    """The server's address for as long as the context lasts."""
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()
    address: list[Address] = []

    async def serve() -> None:
        async with server() as found:
            address.append(found)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield address[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextmanager
def neighbour(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox's address for as long as the context lasts."""
    with beside(lambda: running(sandbox)) as url:
        yield url
