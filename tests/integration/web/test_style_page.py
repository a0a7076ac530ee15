"""`/style` over real HTTP."""

import re

from monitor.store.database import Database
from monitor.web.pages import style
from monitor.web.templating import MARKS
from tests.unit.web.test_style_sheet import defined
from tests.website import website

LARGEST = 60_000


async def test_it_shows_every_class_and_every_shape(sqlite: Database) -> None:
    """So that a change of the sheet can be looked at on one page."""
    async with website(sqlite, more_pages=[style.router]) as web:
        await web.signed_in()
        page = (await web.browser.get("/style")).text
    shown = {name for value in re.findall(r'class="([^"]*)"', page) for name in value.split()}
    assert defined() - shown == set()
    assert set(MARKS) - set(re.findall(r'href="#mark-(\w+)"', page)) == set()
    for swatch in style.swatches():
        assert f'fill="var(--{swatch.token})"' in page
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert len(page) < LARGEST


async def test_only_the_demo_has_it(sqlite: Database) -> None:
    """It says nothing about anybody's tenants."""
    async with website(sqlite) as web:
        await web.signed_in()
        assert (await web.browser.get("/style")).status_code == 404
    async with website(sqlite, more_pages=[style.router]) as web:
        assert (await web.browser.get("/style")).headers["location"] == "/sign-in?to=/style"
