"""The registered installation key, on SQLite and on Postgres."""

import asyncio
from pathlib import Path

import pytest

from monitor.config.settings import Settings
from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.store.tables import INSTALLATION, OPERATOR_ACTION
from monitor.tenants.fingerprint_key import installation_key, key_check, registered_key
from monitor.tenants.fingerprint_key_queries import accept_key
from tests.store import T0, rows


def settings_with(key: Path) -> Settings:
    return Settings(installation_key=key)


async def test_the_key_of_the_first_use_is_registered(database: Database, tmp_path: Path) -> None:
    """It is registered once, as a digest that reveals nothing, and is the same at every later start."""
    settings = settings_with(tmp_path / "key")
    key = await registered_key(database, settings, T0)
    assert await registered_key(database, settings, T0) == key == installation_key(settings)
    (row,) = await rows(database, INSTALLATION)
    assert row == {"id": 1, "key_check": key_check(key), "noted_at": T0}
    assert key.hex()[:16] not in row["key_check"]


async def test_another_key_is_refused(database: Database, tmp_path: Path) -> None:
    """The message names the file and the way out, and the registered key stays."""
    await registered_key(database, settings_with(tmp_path / "key"), T0)
    before = await rows(database, INSTALLATION)
    installation_key(settings_with(tmp_path / "other"))
    with pytest.raises(ConfigurationError, match=r"other: this is not the key .*`harvest-monitor db accept-key`"):
        await registered_key(database, settings_with(tmp_path / "other"), T0)
    assert await rows(database, INSTALLATION) == before


async def test_a_missing_key_is_not_replaced(database: Database, tmp_path: Path) -> None:
    """A database that was restored without its key asks for it; no new key is created silently."""
    settings = settings_with(tmp_path / "key")
    await registered_key(database, settings, T0)
    (tmp_path / "key").unlink()
    with pytest.raises(ConfigurationError, match="is missing: restore the right one"):
        await registered_key(database, settings, T0)
    assert not (tmp_path / "key").exists()


async def test_an_operator_can_accept_another_key(database: Database, tmp_path: Path) -> None:
    """From then on it is the registered key; who accepted it is recorded with the reason."""
    await registered_key(database, settings_with(tmp_path / "key"), T0)
    other = settings_with(tmp_path / "other")
    async with database.writing() as conn:
        await accept_key(conn, key_check(installation_key(other)), "ops", "lost disk", T0)
    assert await registered_key(database, other, T0) == installation_key(other)
    (action,) = await rows(database, OPERATOR_ACTION)
    assert (action["who"], action["action"], action["reason"]) == ("ops", "db accept-key", "lost disk")


async def test_of_processes_with_different_keys_only_one_starts(workers: list[Database], tmp_path: Path) -> None:
    """Services that start at once on one database, each with its own key: the first one wins."""
    settings = [settings_with(tmp_path / str(number)) for number in range(len(workers))]
    starts = [registered_key(worker, own, T0) for worker, own in zip(workers, settings, strict=True)]
    ended = await asyncio.gather(*starts, return_exceptions=True)
    assert sum(isinstance(end, bytes) for end in ended) == 1
    assert sum(isinstance(end, ConfigurationError) for end in ended) == len(workers) - 1
