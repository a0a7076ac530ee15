"""The link that the demo prints first."""

from datetime import timedelta

from monitor.cli.demo.pages import operator_link
from monitor.clock import utc_now
from monitor.store.database import Database
from tests.installation import Clock
from tests.website import website


async def test_a_newcomer_may_read_before_they_open_the_link(sqlite: Database) -> None:
    """It signs in as an operator, hours later too, but once."""
    clock = Clock(utc_now())
    async with website(sqlite, clock=clock) as web:
        path = (await operator_link(sqlite, web.url, "dana")).removeprefix(web.url)
        clock.now += timedelta(hours=9)
        assert "Sign in as <bdi>dana</bdi>" in (await web.browser.get(path)).text
        assert (await web.open_link(path)).headers["location"] == "/"
        assert await web.who() == '"dana operator link"'
        assert (await web.open_link(path)).status_code == 410
