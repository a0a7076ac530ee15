"""What the script adds, and that all of it goes without."""

import re

import pytest
from playwright.async_api import expect

from monitor.web.auth.role import AccessRole
from tests.browser.reader import Reader, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUARTZ_SINCE = "#rows tbody tr:has(a[href*=quartz]) .at time"
KOLKATA = {"timezone_id": "Asia/Kolkata"}  # half an hour beside the full hours


async def rows(reader: Reader) -> list[str]:
    """The names of the tenants in the list."""
    return await reader.page.locator("#rows tbody th a").all_inner_texts()


async def refresh(reader: Reader) -> None:
    """What the script does every 30 seconds."""
    await reader.page.clock.run_for(30_000)


async def test_the_list_follows_what_is_typed(site: Site) -> None:
    """Rows and address change; the page is not loaded anew, the focus stays, and the address shows the same list."""
    async with site.reader() as reader:
        await reader.page.evaluate("window.before = true")
        box = reader.page.get_by_label("Name, id or CSM")
        await box.press_sequentially("wonk")
        await reader.page.wait_for_url("**/?q=wonk&*")
        assert await rows(reader) == ["Wonka"]
        assert await reader.page.evaluate("window.before")
        assert await reader.focused() == "q"
        await box.press_sequentially("zz")
        await reader.page.get_by_text("No tenant fits.").wait_for()
        await box.fill("wonk")
        await reader.page.wait_for_url("**/?q=wonk&*")
        await reader.page.reload()
        assert await rows(reader) == ["Wonka"]


async def test_enter_finds_without_script(site: Site) -> None:
    """From the list's own form, and from the one on top of every page; back leads back, with the filter as it was."""
    async with site.reader(java_script_enabled=False) as reader:
        await reader.page.get_by_label("Name, id or CSM").fill("redleaf")
        await reader.page.keyboard.press("Enter")
        await reader.page.wait_for_url("**/?q=redleaf*")
        assert await rows(reader) == ["Redleaf"]
        await reader.open("/history")
        await reader.page.get_by_label("Find a tenant or CSM").fill("quartz")
        await reader.page.keyboard.press("Enter")
        await reader.page.wait_for_url("**/?q=quartz*")
        assert await rows(reader) == ["Quartzline"]
        await reader.page.go_back()
        await reader.page.go_back()
        assert await rows(reader) == ["Redleaf"]


async def test_filters_and_pages_are_addresses(site: Site) -> None:
    """A tile, a filter and the next page each lead to an address; back leads to the list before."""
    async with site.reader() as reader:
        await reader.follow(reader.page.locator(".tiles .all"))
        assert len(first := await rows(reader)) == 50
        await reader.follow(reader.page.get_by_role("link", name="Next 50"))
        second = await rows(reader)
        assert not set(first) & set(second)
        assert len(first) + len(second) == int(await reader.page.locator(".tiles .all b").inner_text())
        await reader.page.go_back()
        assert await rows(reader) == first
        await reader.page.get_by_label("Permission missing").select_option(label="GET: List jobs")
        await reader.follow(reader.page.get_by_role("button", name="Show"))
        assert len(await rows(reader)) == 1
        assert "missing=GET%3A+List+jobs" in reader.page.url


async def test_times_are_those_of_the_reader(site: Site) -> None:
    """With their zone beside them, and UTC in the title; on what is found by typing, too; or in UTC."""
    async with site.reader(**KOLKATA) as reader:
        moment = reader.page.locator(QUARTZ_SINCE).first
        shown, meant = await moment.inner_text(), await moment.get_attribute("title")
        assert (shown, meant) == ("Fri 19:56", "2026-11-20 14:26:00 UTC")
        assert "Data as of 19:55; all times in GMT+5:30" in await reader.page.locator(".foot").inner_text()
        await reader.page.get_by_label("Name, id or CSM").press_sequentially("quartz")
        await reader.page.wait_for_url("**/?q=quartz&*")
        assert await moment.inner_text() == "Fri 19:56"
        await reader.follow(reader.page.get_by_role("link", name="Show times in UTC"))
        assert await moment.inner_text() == "Fri 14:26"
        assert "Data as of 14:25; all times in UTC" in await reader.page.locator(".foot").inner_text()
    async with site.reader(java_script_enabled=False, **KOLKATA) as reader:
        assert await reader.page.locator(QUARTZ_SINCE).first.inner_text() == "Fri 14:26"


async def test_the_letter_is_copied_whole(site: Site) -> None:
    """And the button says so; where the browser forbids it, it says what to do; without script it is not there."""
    async with site.reader(permissions=["clipboard-read", "clipboard-write"]) as reader:
        await reader.open("/tenants/initech")
        await reader.page.get_by_role("button", name="Copy").click()
        await reader.page.get_by_role("button", name="Copied").wait_for()
        letter = await reader.page.locator("#request").text_content()
        assert letter
        assert await reader.page.evaluate("navigator.clipboard.readText()") == letter
        await reader.page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject())")
        await reader.page.get_by_role("button", name="Copied").click()
        await reader.page.get_by_role("button", name="Select and copy it by hand").wait_for()
    async with site.reader(java_script_enabled=False) as reader:
        await reader.open("/tenants/initech")
        assert await reader.page.get_by_role("button", name="Copy").count() == 0


async def test_the_page_keeps_itself_fresh(own_site: Site) -> None:
    """Every half minute, with what the server says by then, in the reader's zone."""
    async with own_site.reader(**KOLKATA) as reader:
        await reader.page.clock.install()
        await reader.open("/")
        own_site.clock.forward(minutes=5)
        await refresh(reader)
        await reader.page.get_by_text("Data as of 20:00").wait_for()


async def test_the_page_does_not_change_under_the_reader(own_site: Site) -> None:
    """Nothing is fetched while a field has the focus, something is unfolded or words are selected; then it is."""
    async with own_site.reader() as reader:
        await reader.page.clock.install()
        fetched: list[str] = []
        reader.page.on(
            "request", lambda request: fetched.append(request.url) if request.resource_type == "fetch" else None
        )
        details = "document.querySelector('details').open"
        for path, begin, end in (
            ("/", "document.querySelector('.filter input').focus()", "document.activeElement.blur()"),
            ("/tenants/initech", f"{details} = true", f"{details} = false"),
            ("/", "getSelection().selectAllChildren(document.querySelector('h1'))", "getSelection().empty()"),
        ):
            await reader.open(path)
            fetched.clear()
            await reader.page.evaluate(begin)
            await refresh(reader)
            assert fetched == [], begin
            await reader.page.evaluate(end)
            await refresh(reader)
            assert fetched == [reader.page.url], end


async def test_a_page_that_cannot_be_refreshed_says_so(own_site: Site) -> None:
    """In its title, once; when the server is back, so is the page."""
    async with own_site.reader() as reader:
        await reader.page.clock.install()
        await reader.open("/")
        title = await reader.page.title()
        await reader.page.route("**/*", lambda route: route.abort())
        for _ in range(2):
            await refresh(reader)
            await expect(reader.page).to_have_title(f"Not fresh · {title}")
        await reader.page.unroute("**/*")
        await refresh(reader)
        await expect(reader.page).to_have_title(title)


async def test_the_end_of_a_session_shows_in_the_title(own_site: Site) -> None:
    """What is shown stays, with its time, for reading."""
    async with own_site.reader(AccessRole.VIEWER) as reader:
        await reader.page.clock.install()
        await reader.open("/")
        own_site.clock.forward(days=8)
        await refresh(reader)
        await expect(reader.page).to_have_title(re.compile("^Not fresh · "))
        assert "Data as of 14:25; all times in UTC" in await reader.page.locator(".foot").inner_text()
