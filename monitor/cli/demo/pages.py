"""The demo's pages: their address, and the link that signs its viewer in."""

import asyncio
import secrets
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


async def free_port(wanted: int = PORT) -> int:
    """The wanted port, or another if it is taken."""
    try:
        return await _bound(wanted)
    except OSError:
        return await _bound(0)


async def _bound(port: int) -> int:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, HOST, port, start_serving=False)
    number = int(server.sockets[0].getsockname()[1])
    server.close()
    return number


async def operator_link(db: Database, url: str, name: str) -> str:
    """An address that signs in as an operator, once."""
    holder = LinkHolder(name, AccessRole.OPERATOR)
    secret = await create_link(db, holder, name, utc_now(), secrets.token_bytes, LINK_VALID_FOR)
    return f"{url}/sign-in/link/{secret}"
