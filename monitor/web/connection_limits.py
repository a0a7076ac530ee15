"""How long a connection may take over its request, and how many there may be: clients that send half a request, over as
many connections as they can open, must not use up the file handles that checks need.

uvicorn waits for a request without end, and counts connections only to answer 503 (0.54).
"""

import asyncio
import resource
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

log = structlog.get_logger()

_SHARE_OF_HANDLES = 4


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`most` connections at a time; for the head and the body of a request, and idle between two, so many seconds.

    By default idle for longer than the 60 s of common proxies, so that they close first and lose no request.
    """

    most: int = 500
    head_within: float = 10
    body_within: float = 30
    idle_for: int = 75

    @property
    def most_with_these_handles(self) -> int:
        """At most a quarter of the file handles that the process may have."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return self.most if soft == resource.RLIM_INFINITY else min(self.most, soft // _SHARE_OF_HANDLES)


LIMITS = ConnectionLimits()


class ServedConnections(ServerState):
    """The connections of one server. Where there is one too many, the one that waits longest for a request goes."""

    def __init__(self, limits: ConnectionLimits) -> None:
        super().__init__()
        self.limits = limits
        self._most = limits.most_with_these_handles
        self._waiting: dict[BoundedConnection, None] = {}

    def begins_to_wait(self, connection: "BoundedConnection") -> None:
        self.waits_no_longer(connection)
        self._waiting[connection] = None
        if len(self.connections) > self._most:
            log.warning("dropped_web_connection", why=f"more than {self._most} connections")
            longest = next(iter(self._waiting))
            self.waits_no_longer(longest)
            longest.drop()

    def waits_no_longer(self, connection: "BoundedConnection") -> None:
        self._waiting.pop(connection, None)


class _Awaited(Enum):
    """What is overdue from the client if it does not come in time."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()


class BoundedConnection(H11Protocol):
    """One connection, which is dropped if what it has begun to send does not come in time."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert isinstance(server_state, ServedConnections)
        self._all = server_state
        self._awaited = _Awaited.NOTHING
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await(_Awaited.HEAD)
        self._all.begins_to_wait(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._follow()
        if self._is_between_requests:
            self._all.begins_to_wait(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.waits_no_longer(self)
        self._await(_Awaited.NOTHING)
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # It closes only once the client has taken the whole answer, which may be never.
        self.loop.call_later(self._all.limits.head_within, self.drop)

    def drop(self) -> None:
        self.transport.abort()

    @property
    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _follow(self) -> None:
        """After anything that uvicorn has read or answered."""
        if self._is_between_requests:
            # While uvicorn counts for how long the connection is idle, nothing of a request has come.
            self._await(_Awaited.HEAD if self.timeout_keep_alive_task is None else _Awaited.NOTHING)
            return
        self._all.waits_no_longer(self)
        self._await(_Awaited.BODY if self.cycle.more_body else _Awaited.NOTHING)

    def _await(self, awaited: _Awaited) -> None:
        if awaited is self._awaited:
            return  # another byte gives no more time
        self._awaited = awaited
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if awaited is not _Awaited.NOTHING:
            limits = self._all.limits
            seconds = limits.head_within if awaited is _Awaited.HEAD else limits.body_within
            self._timer = self.loop.call_later(seconds, self.drop)
