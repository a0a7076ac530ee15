"""The tenants file as `serve` keeps an eye on it: read when it changes, told of once, tried again where it must."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from structlog.testing import capture_logs

from checks.catalogue.endpoints import WriteProbes
from checks.manifest import load
from monitor.errors import ConfigurationError
from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.sync import RemovalRefused, TenantSync
from monitor.tenants.sync_queries import active_ids
from tests.installation import POLICY, START

Logged = list[MutableMapping[str, Any]]
A_TICK = 0.02  # seconds; more than the grain of a file's times


@pytest.fixture
def logged() -> Iterator[Logged]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tenants.yaml"


@pytest.fixture
def watched(sqlite: Database, file: Path) -> TenantSync:
    shelf = ManifestRegistry(load("gem"))
    return TenantSync(file, sqlite, lambda: shelf, WriteProbes.OFF, POLICY, Metrics("test"))


def write(file: Path, *tenant_ids: str) -> None:
    """Replace the file, as people and exports do."""
    rows = [
        {
            "id": tenant_id,
            "name": tenant_id.title(),
            "credential": {"kind": "harvest-key", "label": "Key", "key": "env:KEY"},
        }
        for tenant_id in tenant_ids
    ]
    spoil(file, yaml.safe_dump({"tenants": rows}))


def spoil(file: Path, content: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(content, "utf-8")
    os.replace(new, file)


async def stored(database: Database) -> set[str]:
    async with database.reading() as conn:
        return set(await active_ids(conn))


def count(logged: Logged, event: str) -> int:
    return sum(line["event"] == event for line in logged)


@asynccontextmanager
async def refusing_tenants(database: Database) -> AsyncIterator[None]:
    """A SQLite database that takes no new tenant for as long as the context lasts."""
    async with database.writing() as conn:
        await conn.execute(
            text("CREATE TRIGGER refuse BEFORE INSERT ON tenant BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        )
    yield
    async with database.writing() as conn:
        await conn.execute(text("DROP TRIGGER refuse"))


async def test_a_file_that_did_not_change_is_not_read_again(watched: TenantSync, file: Path, logged: Logged) -> None:
    """One load for one file, however often it is looked at."""
    write(file, "acme")
    for _ in range(3):
        await watched.look(START)
    assert count(logged, "loaded_tenants_file") == 1


async def test_a_reload_that_the_database_failed_is_tried_again_though_the_file_stays(
    watched: TenantSync,
    file: Path,
    sqlite: Database,
) -> None:
    """Every look fails while the database does, aloud; the first one after that has the new tenant."""
    write(file, "acme")
    await watched.load(START)
    write(file, "acme", "globex")
    async with refusing_tenants(sqlite):
        for _ in range(2):
            with pytest.raises(SQLAlchemyError, match="disk full"):
                await watched.look(START)
        assert await stored(sqlite) == {"acme"}
    await watched.look(START)
    assert await stored(sqlite) == {"acme", "globex"}


# What can be wrong with the file itself, and a word of what is said.
BROKEN = [("tenants: [", "is not YAML"), ("tenants: []", "one tenant or more"), ("rows: 1", "tenants"), ("", "tenants")]


@pytest.mark.parametrize(("content", "word"), BROKEN)
async def test_what_is_wrong_with_the_file_is_told_once_until_it_changes(
    watched: TenantSync,
    file: Path,
    sqlite: Database,
    logged: Logged,
    content: str,
    word: str,
) -> None:
    """Three looks tell it once, and the stored tenants go on; broken anew it is told anew; mended it is loaded."""
    write(file, "acme")
    await watched.load(START)
    for times in (1, 2):
        spoil(file, content)
        for _ in range(3):
            await watched.look(START)
        assert count(logged, "refused_tenants_file") == times
    assert word in next(line["problem"] for line in logged if line["event"] == "refused_tenants_file")
    assert await stored(sqlite) == {"acme"}
    write(file, "acme", "globex")
    await watched.look(START)
    assert await stored(sqlite) == {"acme", "globex"}


async def test_a_file_that_is_gone_is_told_once_and_read_when_it_is_back(
    watched: TenantSync,
    file: Path,
    sqlite: Database,
    logged: Logged,
) -> None:
    """Also where the file that comes back is the very one that went."""
    write(file, "acme")
    await watched.load(START)
    file.rename(file.with_name("away"))
    for _ in range(3):
        await watched.look(START)
    assert count(logged, "refused_tenants_file") == 1
    assert await stored(sqlite) == {"acme"}
    file.with_name("away").rename(file)
    await watched.look(START)
    assert count(logged, "loaded_tenants_file") == 2


async def test_a_changed_mode_alone_has_the_file_read_again(watched: TenantSync, file: Path, logged: Logged) -> None:
    """A file refused because it could not be read, and made readable, keeps content, size and time of change."""
    write(file, "acme")
    await watched.look(START)
    await asyncio.sleep(A_TICK)
    before = file.stat()
    file.chmod(0o640)
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)
    await watched.look(START)
    await watched.look(START)
    assert count(logged, "loaded_tenants_file") == 2


async def test_a_change_that_keeps_size_and_time_is_seen(
    watched: TenantSync,
    file: Path,
    sqlite: Database,
) -> None:
    """Written in place with a name as long, and the old time put back, as some tools that copy do."""
    write(file, "acme", "globex")
    await watched.load(START)
    await asyncio.sleep(A_TICK)
    before = file.stat()
    file.write_text(file.read_text("utf-8").replace("globex", "initec"), "utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)
    await watched.look(START)
    assert await stored(sqlite) == {"acme", "initec"}


async def test_a_file_that_kubernetes_updates_is_seen(
    watched: TenantSync, sqlite: Database, file: Path, logged: Logged
) -> None:
    """A ConfigMap's file is a link through a linked folder, and an update turns the folder's link alone."""
    for number, tenant_ids in enumerate([["acme"], ["acme", "globex"]]):
        version, turned = file.parent / f"..version-{number}", file.parent / "..new"
        version.mkdir()
        write(version / file.name, *tenant_ids)
        turned.symlink_to(version.name)
        turned.rename(file.parent / "..data")
        if not file.is_symlink():
            file.symlink_to(f"..data/{file.name}")
        await watched.look(START)
        assert await stored(sqlite) == set(tenant_ids)
    assert count(logged, "loaded_tenants_file") == 2


@contextmanager
def pipe_at(path: Path) -> Iterator[None]:
    """A named pipe nobody writes to. Whoever is caught reading it is let go at the end, so that the test ends."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    try:
        yield
    finally:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


async def test_a_named_pipe_is_refused_in_words_and_at_once(
    watched: TenantSync,
    file: Path,
    sqlite: Database,
    logged: Logged,
) -> None:
    """Reading it would wait for a writer for ever: at the start it is an error, later it is told once."""
    with pipe_at(file):
        async with asyncio.timeout(20):
            with pytest.raises(ConfigurationError, match=r"tenants\.yaml: is no regular file.*name a file"):
                await watched.load(START)
    write(file, "acme")
    await watched.load(START)
    with pipe_at(file):
        async with asyncio.timeout(20):
            await watched.look(START)
            await watched.look(START)
    assert count(logged, "refused_tenants_file") == 1
    assert await stored(sqlite) == {"acme"}


async def test_a_folder_is_refused_in_words(watched: TenantSync, file: Path) -> None:
    """A path that names a folder says so."""
    file.mkdir()
    with pytest.raises(ConfigurationError, match="is no regular file"):
        await watched.load(START)


async def test_a_broken_export_removes_nobody_and_is_told_once(
    watched: TenantSync,
    file: Path,
    sqlite: Database,
    logged: Logged,
) -> None:
    """Five of six gone: refused, with the way to mean it; meant, it is done."""
    everybody = [f"t{number}" for number in range(6)]
    write(file, *everybody)
    await watched.load(START)
    write(file, "t0")
    await watched.look(START)
    await watched.look(START)
    assert count(logged, "refused_tenants_file") == 1
    assert await stored(sqlite) == set(everybody)
    with pytest.raises(RemovalRefused, match="--any-removal"):
        await watched.load(START)
    await watched.load(START, any_removal=True)
    assert await stored(sqlite) == {"t0"}


async def test_a_removal_that_an_operator_allowed_elsewhere_is_no_longer_refused(
    sqlite: Database,
    file: Path,
    logged: Logged,
) -> None:
    """`tenants sync --any-removal` is another process: the service then takes the file, and its gauge goes back."""
    shelf, metrics = ManifestRegistry(load("gem")), Metrics("test")
    watched, command = (
        TenantSync(file, sqlite, lambda: shelf, WriteProbes.OFF, POLICY, seen) for seen in (metrics, Metrics("command"))
    )
    write(file, *(f"t{number}" for number in range(6)))
    await watched.load(START)
    write(file, "t0")
    for _ in range(2):
        await watched.look(START)
    assert b"harvest_monitor_tenants_file_refused 1.0" in metrics.render()[0]
    await command.load(START, any_removal=True)
    for _ in range(2):
        await watched.look(START)
    assert b"harvest_monitor_tenants_file_refused 0.0" in metrics.render()[0]
    assert count(logged, "refused_tenants_file") == 1
    assert count(logged, "loaded_tenants_file") == 3  # at first, by the command, and once more by the service
