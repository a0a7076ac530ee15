"""Every page without script: it is the same page, whole, small and within its frame."""

import pytest

from monitor.web.auth.role import AccessRole
from tests.browser.pages import PAGES, REFUSED, VARIANTS, numbered, problems
from tests.browser.reader import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_page_is_sound_without_script(site: Site) -> None:
    """It is the same page; for a viewer, too, and with other rows."""
    async with site.reader(AccessRole.VIEWER, java_script_enabled=False) as reader:
        assert await problems(reader, [*PAGES, *VARIANTS, *await numbered(site), *REFUSED], looks=()) == []


async def test_the_frame_is_the_same_on_every_page(site: Site) -> None:
    """It counts the held emails, and marks the section that the page belongs to."""
    async with site.reader(java_script_enabled=False) as reader:
        for path in [*PAGES, *await numbered(site)]:
            await reader.open(path)
            assert "41 held" in await reader.page.locator(".bar nav").inner_text(), path
            current = await reader.page.locator(".bar [aria-current]").count()
            assert current == (path != "/api/docs"), path


async def test_no_page_is_large(site: Site) -> None:
    """Also that of a tenant with five thousand changes; the API's is all that there is to say."""
    async with site.reader(java_script_enabled=False) as reader:
        for path in [*PAGES, *VARIANTS, *await numbered(site)]:
            answer = await reader.page.request.get(path)
            assert len(await answer.body()) < (120_000 if path == "/api/docs" else 90_000), path


async def test_a_check_is_offered_only_where_one_can_be_made(site: Site) -> None:
    """Not for a tenant that is paused, was removed or has nothing to check with."""
    async with site.reader() as reader:
        for tenant, offered in (("initech", 1), ("newfound", 1), ("umbrella", 0), ("oldfield", 0), ("wonka", 0)):
            await reader.open(f"/tenants/{tenant}")
            assert await reader.page.get_by_role("button", name="Check now").count() == offered, tenant
