"""What on-call sees: pages of the web site, on a desk and on a phone, in the night of a burst and on a good day."""

import asyncio
import html
import re
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, async_playwright
from sqlalchemy import URL, select

from monitor.checking import write_halt_queries
from monitor.store.burst_tables import BURST
from monitor.store.database import Database, open_database
from monitor.web.auth.role import AccessRole
from tests.browser.reader import WIDE, served
from tests.browser.world import NOW, fill, fill_well
from tests.pictures import IMAGES
from tests.website import Website

WORDS = IMAGES / "on-call.txt"
PHONE = 390
Scheme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Picture:
    """Of the top of a page, so high; a phone has more pixels than it says."""

    name: str
    path: str
    width: int
    height: int
    scheme: Scheme = "light"

    @property
    def scale(self) -> float:
        return 1.5 if self.width == PHONE else 1

    @property
    def file(self) -> Path:
        return IMAGES / f"on-call-{self.name}.png"


NIGHT = (
    Picture("overview-light", "/", WIDE, 800),
    Picture("overview-dark", "/", WIDE, 800, "dark"),
    Picture("tenant-light", "/tenants/initech", WIDE, 800),
    Picture("tenant-dark", "/tenants/initech", WIDE, 800, "dark"),
    Picture("burst-light", "/bursts/{burst}", WIDE, 640),
    Picture("burst-dark", "/bursts/{burst}", WIDE, 640, "dark"),
    Picture("overview-phone", "/", PHONE, 780),
    Picture("tenant-phone", "/tenants/initech", PHONE, 780, "dark"),
)
GOOD_DAY = (Picture("well", "/", WIDE, 640),)


async def fill_night(db: Database) -> None:
    await fill(db)
    await lift_halt(db)


async def lift_halt(db: Database) -> None:
    """So that the first thing said is the burst."""
    async with db.writing() as conn:
        await write_halt_queries.lift(conn, "lee", "support: nothing was changed", NOW)


WORLDS = ((fill_night, NIGHT), (fill_well, GOOD_DAY))


def take(chromium: str) -> None:
    """The pictures, and the words of their pages, which a test compares with today's."""
    asyncio.run(_take(chromium))


async def _take(chromium: str) -> None:
    said = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for fill_world, pictures in WORLDS:
            with tempfile.TemporaryDirectory() as folder:
                file = await world(Path(folder), fill_world)
                said.append(await _pictures(browser, file, pictures))
        await browser.close()
    WORDS.write_text("\n".join(said), "utf-8")


async def world(folder: Path, fill_world: Callable[[Database], Awaitable[None]]) -> Path:
    file = folder / "world.sqlite3"
    db = await open_database(URL.create("sqlite+aiosqlite", database=str(file)))
    await fill_world(db)
    await db.close()
    return file


async def _pictures(browser: Browser, file: Path, pictures: tuple[Picture, ...]) -> str:
    async with served(browser, file) as site:
        for one in pictures:
            async with site.reader(width=one.width, color_scheme=one.scheme, device_scale_factor=one.scale) as reader:
                await reader.page.set_viewport_size({"width": one.width, "height": one.height})
                await reader.open(await address(site.web, one))
                await reader.page.screenshot(path=one.file)
        return await words(site.web, pictures)


async def address(web: Website, picture: Picture) -> str:
    """That of a burst has a number: here it is the one of most tenants."""
    async with web.db.reading() as conn:
        burst = (await conn.execute(select(BURST.c.id).order_by(BURST.c.tenants.desc()).limit(1))).scalar_one()
    return picture.path.format(burst=burst)


async def words(web: Website, pictures: tuple[Picture, ...]) -> str:
    """What the pages say, line by line."""
    await web.signed_in(AccessRole.OPERATOR)
    pages = dict.fromkeys([await address(web, one) for one in pictures])
    return "\n".join([f"# {path}\n{_text((await web.browser.get(path)).text)}" for path in pages])


def _text(page: str) -> str:
    main = page.partition("<main")[2].partition(">")[2].partition("</main>")[0]
    main = re.sub(r"<form class=.filter.*?</form>", "", main, flags=re.S)
    lines = re.sub(r"</(tr|li|h\d|p|div|dd|option|summary|pre)>", "\n", re.sub(r"\n", " ", main))
    plain = html.unescape(re.sub(r"<[^>]+>", " ", lines))
    return "".join(f"{' '.join(line.split())}\n" for line in plain.splitlines() if line.strip())
