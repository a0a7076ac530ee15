"""One browser and one filled database for each worker; tests of pages run on one event loop with both."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright
from sqlalchemy import URL

from monitor.store.database import Database
from tests.browser.reader import Site, served
from tests.browser.world import fill
from tests.chromium import chromium_path
from tests.real_part import real_part


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """Without it, its tests are skipped on a desk and fail in CI."""
    with real_part():
        yield chromium_path()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # Without a sandbox of its own: the pages are ours, and root may have no other.
        launched = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest.fixture(scope="session")
def world_file(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled once in a run: of several workers, the others wait for the first."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    file, unfinished = shared / "world.sqlite3", folder / "unfinished.sqlite3"
    with (shared / "world.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            shutil.copy(_migrated_file, unfinished)
            asyncio.run(_fill(unfinished))
            unfinished.rename(file)
    return file


async def _fill(file: Path) -> None:
    db = Database(URL.create("sqlite+aiosqlite", database=str(file)))
    await fill(db)
    await db.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(browser: Browser, world_file: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """For tests that change nothing."""
    file = tmp_path_factory.mktemp("read") / "world.sqlite3"
    shutil.copy(world_file, file)
    async with served(browser, file) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def own_site(browser: Browser, world_file: Path, tmp_path: Path) -> AsyncIterator[Site]:
    """For tests that change something, stop the server or move the clock."""
    shutil.copy(world_file, tmp_path / "world.sqlite3")
    async with served(browser, tmp_path / "world.sqlite3") as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def empty_site(browser: Browser, _migrated_file: Path, tmp_path: Path) -> AsyncIterator[Site]:
    """Before the first tenant."""
    shutil.copy(_migrated_file, tmp_path / "empty.sqlite3")
    async with served(browser, tmp_path / "empty.sqlite3") as site:
        yield site
