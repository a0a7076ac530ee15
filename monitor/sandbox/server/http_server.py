"""Serves an ASGI application in the running event loop, with uvicorn's HTTP protocol.

uvicorn's own server is not used: it installs signal handlers, ends the process when a port is taken, and needs 0.2 s to
stop.
"""

import asyncio
from asyncio import Transport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from monitor.errors import ConfigurationError, system_words

Application = Any
"""An ASGI 3 application, as uvicorn takes it."""


class _Protocol(H11Protocol):
    """Puts the connection's transport into the state of every request: faults close it in the middle of an answer."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.app_state = {"transport": transport}


@asynccontextmanager
async def listening(application: Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve for as long as the context lasts; gives the base URL. Port 0 picks a free one.

    ConfigurationError if the address cannot be listened on.
    """
    state = ServerState()
    config = _config(application)
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(
            lambda: _Protocol(config=config, server_state=state, app_state={}), host, port, backlog=2048
        )
    except (OSError, OverflowError) as problem:
        raise ConfigurationError(
            f"cannot listen on {host} port {port} ({system_words(problem)}): choose another"
        ) from None
    try:
        yield _url(host, listener.sockets[0].getsockname()[1])
    finally:
        await _accept_pending()
        listener.close()
        await _hang_up(state)


def _config(application: Application) -> Config:
    """Proxy headers are ignored: only the connection says who the client is."""
    config = Config(
        application,
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
    )
    # uvicorn's Server would call this; the protocol reads what it loads.
    config.load()
    return config


async def _accept_pending() -> None:
    """Accept pending connections: asyncio never closes one whose listener is closed while it is being accepted."""
    for _ in range(3):
        await asyncio.sleep(0)


async def _hang_up(state: ServerState) -> None:
    """Abort every connection; requests that wait on one notice and end by themselves."""
    for connection in list(state.connections):
        connection.transport.abort()
    while state.tasks:
        await asyncio.wait(state.tasks)
    await asyncio.sleep(0)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
