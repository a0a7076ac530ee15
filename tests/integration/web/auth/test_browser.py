"""Sign-in in a real browser: what it really sends with forms of ours, and with those of another site."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from monitor.store.database import Database
from monitor.web.auth.role import AccessRole
from monitor.web.serve import serving
from tests.chromium import chromium_path
from tests.real_part import real_part
from tests.website import website

FORM = """reason => {
    document.body.insertAdjacentHTML('beforeend', '<form method="post" action="/act"><textarea name="reason">');
    document.querySelector('textarea').value = reason;
    document.querySelector('textarea').form.submit();
}"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Without Chromium, its tests are skipped on a desk and fail in CI."""
    with real_part():
        path = chromium_path()
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        await started.close()


async def test_sign_in_act_and_go_on_after_the_session_ended(sqlite: Database, browser: Browser) -> None:
    """By the button of a link; the form of an ended session is sent again from the page that kept it, after a sign-in
    on another page, and only then is anything done."""
    reason = 'line 1\n<b>"line 2"</b>'
    async with website(sqlite) as site:
        page = await browser.new_page()
        await page.goto(site.url + await site.link(AccessRole.OPERATOR))
        await page.get_by_role("button", name="Sign in").click()
        await page.goto(f"{site.url}/sessions")

        site.clock.forward(days=8)
        await page.evaluate(FORM, reason)
        await page.get_by_role("heading", name="You are signed out").wait_for()
        assert site.done == []

        async with page.expect_popup() as opened:
            await page.get_by_role("link", name="Sign in").click()
        other = await opened.value
        await other.get_by_label("Link").fill(site.url + await site.link(AccessRole.OPERATOR))
        await other.get_by_role("button", name="Sign in").click()
        await other.wait_for_url(f"{site.url}/")
        assert site.done == []

        await page.get_by_role("button", name="Send it again").click()
        await page.get_by_text("done").wait_for()
        assert site.done == ["dana: " + reason.replace("\n", "\r\n")]


async def test_another_site_cannot_use_the_session(sqlite: Database, browser: Browser) -> None:
    """Neither from another host nor from another port of this one, which shares our cookies."""
    async with website(sqlite) as site:

        async def evil(scope: Scope, receive: Receive, send: Send) -> None:
            form = f'<form method="post" action="{site.url}/act"><button>win a prize</button></form>'
            await HTMLResponse(form)(scope, receive, send)

        page = await browser.new_page()
        await page.goto(site.url + await site.link(AccessRole.OPERATOR))
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"{site.url}/")
        async with serving(evil, "127.0.0.1", 0) as url:
            for address in (url, url.replace("127.0.0.1", "localhost")):
                await page.goto(address)
                await page.get_by_role("button").click()
                await page.get_by_text("does not come from a page").wait_for()
        assert site.done == []
        await page.goto(f"{site.url}/who")
        assert "dana operator link" in await page.content()
