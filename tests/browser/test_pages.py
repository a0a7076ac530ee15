"""Every page in a browser with script: what each must be, in every width and colour scheme."""

import asyncio

import pytest

from tests.browser.pages import PAGES, REFUSED, numbered, problems
from tests.browser.reader import PHONE, WIDE, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

EMPTY = (
    "/", "/history", "/incidents", "/permissions", "/notices", "/report", "/sweeps", "/writes", "/operators",
)  # fmt: skip


async def test_every_page_is_sound(site: Site) -> None:
    """One h1, no finding of axe, no scrolling sideways, nothing in the console, no request to anywhere else."""
    paths = [*PAGES, *await numbered(site), *REFUSED]
    async with site.reader() as one, site.reader() as another:
        found = await asyncio.gather(problems(one, paths[::2]), problems(another, paths[1::2]))
    assert [*found[0], *found[1]] == []


async def test_pages_without_a_tenant_are_sound(empty_site: Site) -> None:
    """Each says what is not there yet."""
    async with empty_site.reader() as reader:
        assert await problems(reader, EMPTY, looks=((WIDE, "light"), (PHONE, "dark"))) == []
        await reader.open("/")
        assert "No tenant yet. Add one to the tenants file" in await reader.main()


async def test_pages_before_signing_in_are_sound(empty_site: Site) -> None:
    """The page that asks to sign in, with the page that one wanted, and the page of a link."""
    async with empty_site.reader(None) as reader:
        link = await empty_site.web.link()
        assert await problems(reader, ("/sign-in", "/tenants/initech?days=7", link)) == []
