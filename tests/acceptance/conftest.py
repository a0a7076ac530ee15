"""A SQLite database with its tables, for the tests that are not about databases."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from monitor.store.database import Database


@pytest.fixture
async def sqlite(_migrated_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "harvest-monitor.sqlite3"
    shutil.copy(_migrated_file, path)
    database = Database(URL.create("sqlite+aiosqlite", database=str(path)))
    yield database
    await database.close()
