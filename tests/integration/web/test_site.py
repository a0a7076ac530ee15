"""One address, or two: what needs no sign-in may have its own."""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from monitor.config.addresses import ListenAddress
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError
from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.web.auth.sign_in import SignIn
from monitor.web.site import serving_site
from tests.installation import Clock
from tests.website import preflights, web_context

OPEN = ("/metrics", "/healthz", "/readyz")
ANY_PORT = ListenAddress("127.0.0.1", 0)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def site(db: Database, main: ListenAddress, open_to_all: ListenAddress | None) -> AbstractAsyncContextManager[str]:
    settings, clock = Settings(), Clock()
    sign_in, context = SignIn.of(settings, db, clock.read), web_context(db, settings, clock)
    return serving_site(Metrics("1"), db.ping, sign_in, context, preflights(db, clock), main, open_to_all)


async def statuses(url: str, *paths: str) -> list[int]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
        return [answer.status_code for answer in await asyncio.gather(*map(client.get, paths))]


async def test_on_one_address_what_is_open_is_beside_the_pages(sqlite: Database) -> None:
    """As long as no other one is set."""
    async with site(sqlite, ANY_PORT, None) as url:
        assert await statuses(url, *OPEN, "/sign-in", "/") == [200, 200, 200, 200, 303]


async def test_on_two_addresses_each_has_its_own(sqlite: Database) -> None:
    """What needs no sign-in is on its address only, and no page is there."""
    port = free_port()
    async with site(sqlite, ANY_PORT, ListenAddress("127.0.0.1", port)) as url:
        assert await statuses(f"http://127.0.0.1:{port}", *OPEN, "/sign-in", "/") == [200, 200, 200, 404, 404]
        assert await statuses(url, *OPEN, "/sign-in", "/") == [404, 404, 404, 200, 303]


async def test_either_address_that_is_taken_ends_the_start(sqlite: Database) -> None:
    """The message names its port, and nothing is left listening on the other."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy, free = ListenAddress("127.0.0.1", taken.getsockname()[1]), ListenAddress("127.0.0.1", free_port())
        for main, open_to_all in ((busy, free), (free, busy)):
            with pytest.raises(ConfigurationError, match=f"port {busy.port}"):
                async with site(sqlite, main, open_to_all):
                    pass
            with socket.socket() as again:
                again.bind(("127.0.0.1", free.port))
