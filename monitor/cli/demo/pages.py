"""The demo's pages: their address, and the link that signs its viewer in."""

import secrets
import socket
from datetime import timedelta

from monitor.clock import utc_now
from monitor.store.database import Database
from monitor.web.auth.role import AccessRole
from monitor.web.auth.session_actions import LinkHolder, create_link

HOST, PORT = "127.0.0.1", 9808
LINK_VALID_FOR = timedelta(days=1)
"""Longer than other links: who reads before they click must not find it expired. It still works once, and only on this
machine, as long as the demo runs.
"""


def free_port(wanted: int = PORT) -> int:
    """The wanted port, or another if it is taken."""
    try:
        return _bound(wanted)
    except OSError:
        return _bound(0)


def _bound(port: int) -> int:
    with socket.socket() as tried:
        # As the service will: a port whose last connections are about to end is free.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind((HOST, port))
        return int(tried.getsockname()[1])


async def operator_link(db: Database, url: str, name: str) -> str:
    """An address that signs in as an operator, once."""
    holder = LinkHolder(name, AccessRole.OPERATOR)
    secret = await create_link(db, holder, name, utc_now(), secrets.token_bytes, LINK_VALID_FOR)
    return f"{url}/sign-in/link/{secret}"
