"""Runs a sandbox: Greenhouse's side on one port, its mail server on another."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from monitor.sandbox.mail.server import delivering
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.app import application
from monitor.sandbox.server.http_server import listening


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sandbox listens; port 0 picks a free one. STARTTLS is offered with `mail_certificate`, a PEM file."""

    host: str
    port: int
    mail_port: int
    mail_certificate: Path | None = None


async def serve(sandbox: Sandbox, place: Place, ready: Callable[[str], None]) -> None:
    """Serve until cancelled. `ready` gets the base URL once requests and mails are accepted."""
    async with (
        listening(application(sandbox), place.host, place.port) as url,
        delivering(sandbox.mailbox, place.host, place.mail_port, place.mail_certificate),
    ):
        ready(url)
        await asyncio.Event().wait()


def running(sandbox: Sandbox) -> AbstractAsyncContextManager[str]:
    """Serve Greenhouse's side on a free port of 127.0.0.1 for as long as the context lasts; gives the base URL."""
    return listening(application(sandbox), "127.0.0.1", 0)
