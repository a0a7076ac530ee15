"""How far the connection of one request came: what a time-out, or a refused certificate, is explained by."""

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult


class ConnectionStep(Enum):
    RESOLVING = auto()
    CONNECTING = auto()
    HANDSHAKE = auto()
    WAITING = auto()  # for the answer: a request of ours is smaller than what the system takes off us at once


@dataclass(slots=True)
class ConnectionProgress:
    """Of one request to `host`. `certificate` is the one that was refused, as the `ssl` module describes one."""

    host: str = ""
    proxied: bool = False
    step: ConnectionStep = ConnectionStep.CONNECTING
    certificate: Mapping[str, Any] | None = None

    @property
    def at_proxy(self) -> bool:
        """Whether what failed is the way to the proxy, or the proxy itself."""
        return self.proxied and self.step in (ConnectionStep.RESOLVING, ConnectionStep.CONNECTING)


# What happens to a connection happens in the task of the request that needs it, or in one that copies its context.
progress: ContextVar[ConnectionProgress] = ContextVar("progress")


def reached(step: ConnectionStep) -> None:
    if (current := progress.get(None)) is not None:
        current.step = step


class WatchedResolver(aiohttp.ThreadedResolver):
    """The system's resolver."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        reached(ConnectionStep.RESOLVING)
        found = await super().resolve(host, port, family)
        reached(ConnectionStep.CONNECTING)
        return found


class WatchedHandshake(ssl.SSLObject):
    """Keeps the certificate that a handshake failed for: the error names neither its authority nor its names."""

    def do_handshake(self) -> None:
        current = progress.get(None)
        if current is None:
            super().do_handshake()
            return
        # An https proxy has a handshake of its own, before the one with Greenhouse.
        if not current.proxied or self.server_hostname == current.host:
            current.step = ConnectionStep.HANDSHAKE
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError:
            current.certificate = self._presented()
            raise

    def _presented(self) -> Mapping[str, Any] | None:
        # Python gives a refused certificate out nowhere in public before 3.13, and then not as a mapping. Without it
        # the message is shorter, and nothing else is.
        with suppress(AttributeError, IndexError, TypeError, ValueError):
            return dict(self._sslobj.get_unverified_chain()[0].get_info())  # type: ignore[attr-defined]
        return None
