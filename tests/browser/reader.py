"""Somebody who reads the pages with a browser, and what the browser complains of meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request
from sqlalchemy import URL

from monitor.store.database import Database
from monitor.web.auth.role import AccessRole
from tests.browser.world import MAIL, NOW
from tests.installation import Clock
from tests.website import Website, website

WIDE, PHONE, NARROWEST = 1280, 360, 320
_REFUSED = (
    "Failed to load resource: the server responded with a status of 4",
    "Failed to load resource: net::ERR_FAILED",
)
"""What a page of ours was answered, and what a test stopped, are no faults of a page."""


@dataclass
class Site:
    web: Website
    browser: Browser

    @property
    def clock(self) -> Clock:
        return self.web.clock

    @asynccontextmanager
    async def reader(
        self, role: AccessRole | None = AccessRole.OPERATOR, name: str = "dana", width: int = WIDE, **options: Any
    ) -> AsyncIterator["Reader"]:
        """Signed in with a link, unless `role` is None; the zone is UTC, unless `options` say otherwise."""
        context = await self.browser.new_context(
            base_url=self.web.url,
            viewport={"width": width, "height": 900},
            **{"locale": "en-GB", "timezone_id": "UTC"} | options,
        )
        # A page that does not answer fails its test soon.
        context.set_default_timeout(10_000)
        reader = Reader(await context.new_page(), self.web.url)
        try:
            if role is not None:
                await reader.page.goto(await self.web.link(role, name))
                await reader.page.get_by_role("button", name="Sign in").click()
                await reader.page.wait_for_url(f"{self.web.url}/")
            yield reader
            assert (reader.complaints, reader.elsewhere) == ([], [])
        finally:
            await context.close()


@dataclass
class Reader:
    """`complaints` are errors in the console, which hold what the content security policy stopped, too."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._requested)

    async def open(self, path: str) -> int:
        """The status of the answer."""
        answer = await self.page.goto(path)
        assert answer is not None
        return answer.status

    async def follow(self, link: Locator) -> None:
        """Click, and wait for the page that follows."""
        async with self.page.expect_navigation():
            await link.click()

    async def main(self) -> str:
        """The words of the page, as they are shown."""
        return " ".join((await self.page.locator("main").inner_text()).split())

    async def focused(self) -> str:
        """What has the focus: an id, a name, an address or words."""
        script = "(a => a.id || a.name || a.getAttribute('href') || a.textContent.trim())(document.activeElement)"
        return str(await self.page.evaluate(script))

    async def resize(self, width: int) -> None:
        await self.page.set_viewport_size({"width": width, "height": 900})

    async def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(
            await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_REFUSED):
            self.complaints.append(message.text)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.url + "/", "data:")):
            self.elsewhere.append(request.url)


@asynccontextmanager
async def served(browser: Browser, file: Path) -> AsyncIterator[Site]:
    db = Database(URL.create("sqlite+aiosqlite", database=str(file)))
    try:
        async with website(db, clock=Clock(NOW), **MAIL) as web:
            yield Site(web, browser)
    finally:
        await db.close()
