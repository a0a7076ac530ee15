"""Serves an ASGI application on our own event loop, by uvicorn."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from monitor.errors import ConfigurationError, system_words
from monitor.web.connection_limits import LIMITS, BoundedConnection, ConnectionLimits, ServedConnections
from monitor.web.head_requests import head_as_get

BACKLOG = 128  # as many are accepted at once, before the first of them can be dropped
HANG_UP_AFTER_SECONDS = 2  # a request that waits for a hanging database does not keep the process from stopping

Application = Any
"""An ASGI 3 application, as uvicorn takes it."""


class _Server(uvicorn.Server):
    """Leaves the signals to the service, and says when it listens."""

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits) -> None:
        super().__init__(config)
        self.server_state = ServedConnections(limits)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def serving(
    application: Application, host: str, port: int, limits: ConnectionLimits = LIMITS
) -> AsyncIterator[str]:
    """Serve for as long as the context lasts; gives the base URL. Port 0 takes a free one.

    ConfigurationError if the address cannot be listened on.
    """
    sockets = await _bind(host, port)
    server = _Server(_config(application, limits), limits)
    running = asyncio.create_task(server.serve(sockets), name="web")
    await server.listening.wait()
    try:
        yield url_of(host, sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await running


async def _bind(host: str, port: int) -> list[Any]:
    """asyncio resolves the name and binds; uvicorn would end the process where that fails."""
    try:
        bound = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port, start_serving=False)
    except (OSError, OverflowError) as problem:
        raise ConfigurationError(
            f"cannot listen on {host} port {port} ({system_words(problem)}): choose another"
        ) from None
    # Copies go on listening when `bound` closes its own.
    sockets = [each.dup() for each in bound.sockets]
    bound.close()
    return sockets


def _config(application: Application, limits: ConnectionLimits) -> uvicorn.Config:
    """No proxy headers: the connection alone says who the client is."""
    return uvicorn.Config(
        head_as_get(application),
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=limits.idle_for,
        timeout_graceful_shutdown=HANG_UP_AFTER_SECONDS,
    )


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
