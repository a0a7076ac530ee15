"""Serves a sandbox on a port: uvicorn's HTTP protocol on our own event loop.

uvicorn's own server is not used: it installs signal handlers, exits the process when a port is taken, and takes 0.2 s
to stop, which a test suite that starts hundreds of sandboxes would feel.
"""

import asyncio
from asyncio import Transport
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from monitor.errors import ConfigurationError
from monitor.sandbox.app import application
from monitor.sandbox.sandbox import Sandbox


class _Protocol(H11Protocol):
    """Lets faults reach the connection: its transport stands in the state of every request."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.app_state = {"transport": transport}


async def serve(sandbox: Sandbox, host: str, port: int, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until cancelled. `ready` is told the base URL once requests are taken; port 0 takes a free one."""
    async with _listening(sandbox, host, port) as url:
        if ready is not None:
            ready(url)
        await asyncio.Event().wait()


@asynccontextmanager
async def running(sandbox: Sandbox) -> AsyncIterator[str]:
    """Serve on a free port of 127.0.0.1 for as long as the context lasts; gives the base URL."""
    async with _listening(sandbox, "127.0.0.1", 0) as url:
        yield url


@asynccontextmanager
async def _listening(sandbox: Sandbox, host: str, port: int) -> AsyncIterator[str]:
    state = ServerState()
    config = _config(sandbox)
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(
            lambda: _Protocol(config=config, server_state=state, app_state={}), host, port, backlog=2048
        )
    except (OSError, OverflowError) as problem:
        raise ConfigurationError(f"the sandbox can not listen on {host} port {port}: {problem}") from None
    try:
        yield _url(host, listener.sockets[0].getsockname()[1])
    finally:
        listener.close()
        await _hang_up(state)


def _config(sandbox: Sandbox) -> Config:
    """No proxy headers: the control asks who the client is, and believes the connection alone. No logging set up
    either: loggers are the process's, which may serve other things."""
    config = Config(
        application(sandbox),
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )
    config.load()
    return config


async def _hang_up(state: ServerState) -> None:
    """Drop every connection; requests that wait on theirs notice and end by themselves."""
    for connection in list(state.connections):
        connection.transport.abort()
    while state.tasks:
        await asyncio.wait(state.tasks)
    await asyncio.sleep(0)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
