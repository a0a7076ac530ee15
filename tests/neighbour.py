"""A sandbox beside the test, on a thread of its own, so that processes and blocking tests can reach it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server import running


@contextmanager
def neighbour(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox's address for as long as the context lasts."""
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        async with running(sandbox) as url:
            address.append(url)
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
