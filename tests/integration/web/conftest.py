"""The small installation of tests.web_world: written once, and copied for each test."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from monitor.store.database import Database
from tests.web_world import fill

MARK = "=<img src=x onerror=alert(1)>\"'&\u202e"
"""What every name in the database `marked` begins with: a formula, markup, quotes, and a mark that turns the writing
around.
"""


@pytest.fixture(scope="session")
def migrated_file(_migrated_file: Path) -> Path:
    """A SQLite database with its tables, to be copied."""
    return _migrated_file


@pytest.fixture(scope="session")
def _filled_file(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(_migrated_file, tmp_path_factory.mktemp("filled") / "filled.sqlite3", "")


@pytest.fixture(scope="session")
def _marked_file(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(_migrated_file, tmp_path_factory.mktemp("marked") / "marked.sqlite3", MARK)


@pytest.fixture
async def filled(_filled_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(_url(Path(shutil.copy(_filled_file, tmp_path / "filled.sqlite3"))))
    yield opened
    await opened.close()


@pytest.fixture
async def marked(_marked_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(_url(Path(shutil.copy(_marked_file, tmp_path / "marked.sqlite3"))))
    yield opened
    await opened.close()


def _written(template: Path, path: Path, mark: str) -> Path:
    shutil.copy(template, path)

    async def write() -> None:
        database = Database(_url(path))
        await fill(database, mark=mark)
        await database.shorten_log()
        await database.close()

    asyncio.run(write())
    return path


def _url(path: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(path))
