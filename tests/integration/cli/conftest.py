"""An installation whose commands run in this process, on a SQLite file."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor import cli
from monitor.config import settings_loader
from monitor.config.settings import PREFIX, Settings
from monitor.store.database import Database

Documented = Callable[..., Any]


@pytest.fixture
def installed(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Its database, with tables and nothing else."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{tmp_path / 'harvest-monitor.sqlite3'}")
    database = Database(settings_loader.load().database)
    yield database
    asyncio.run(database.close())


@pytest.fixture
def documented(capsys: pytest.CaptureFixture[str]) -> Documented:
    """The document that a command prints with --json, and nothing else; `status` is its exit status."""

    def ask(*arguments: str, status: int = 0) -> Any:
        capsys.readouterr()
        assert cli.run([*arguments, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return ask
