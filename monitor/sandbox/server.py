"""Serves a sandbox on a port."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from monitor.sandbox.app import application
from monitor.sandbox.sandbox import Sandbox
from monitor.web.server import listening


async def serve(sandbox: Sandbox, host: str, port: int, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until cancelled. `ready` is told the base URL once requests are taken; port 0 takes a free one."""
    async with listening(application(sandbox), host, port) as url:
        if ready is not None:
            ready(url)
        await asyncio.Event().wait()


def running(sandbox: Sandbox) -> AbstractAsyncContextManager[str]:
    """Serve on a free port of 127.0.0.1 for as long as the context lasts; gives the base URL."""
    return listening(application(sandbox), "127.0.0.1", 0)
