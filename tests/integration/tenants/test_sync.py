"""How `serve` follows the tenants file: loaded when it changes, problems logged once, retried where needed."""

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

from checks.catalogue.entry import WriteProbes
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
def tenant_sync(sqlite: Database, file: Path) -> TenantSync:
    registry = ManifestRegistry(load("gem"))
    return TenantSync(file, sqlite, lambda: registry, WriteProbes.OFF, POLICY, Metrics("test"))


def write(file: Path, *tenant_ids: str) -> None:
    """Replace the file, as editors and exports do."""
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
    """A SQLite database that accepts no new tenant while the context lasts."""
    async with database.writing() as conn:
        await conn.execute(
            text("CREATE TRIGGER refuse BEFORE INSERT ON tenant BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        )
    yield
    async with database.writing() as conn:
        await conn.execute(text("DROP TRIGGER refuse"))


async def test_an_unchanged_file_is_not_read_again(tenant_sync: TenantSync, file: Path, logged: Logged) -> None:
    """One file is loaded once, however often it is checked."""
    write(file, "acme")
    for _ in range(3):
        await tenant_sync.reload_if_changed(START)
    assert count(logged, "loaded_tenants_file") == 1


async def test_a_reload_that_failed_in_the_database_is_retried_without_a_change_of_the_file(
    tenant_sync: TenantSync,
    file: Path,
    sqlite: Database,
) -> None:
    """Every reload raises while the database fails; the first one after that adds the new tenant."""
    write(file, "acme")
    await tenant_sync.load(START)
    write(file, "acme", "globex")
    async with refusing_tenants(sqlite):
        for _ in range(2):
            with pytest.raises(SQLAlchemyError, match="disk full"):
                await tenant_sync.reload_if_changed(START)
        assert await stored(sqlite) == {"acme"}
    await tenant_sync.reload_if_changed(START)
    assert await stored(sqlite) == {"acme", "globex"}


# What can be wrong with the file itself, and a word of the message.
BROKEN = [("tenants: [", "is not YAML"), ("tenants: []", "one tenant or more"), ("rows: 1", "tenants"), ("", "tenants")]


@pytest.mark.parametrize(("content", "word"), BROKEN)
async def test_a_mistake_in_the_file_is_logged_once_until_the_file_changes(
    tenant_sync: TenantSync,
    file: Path,
    sqlite: Database,
    logged: Logged,
    content: str,
    word: str,
) -> None:
    """Three reloads log it once and keep the stored tenants; broken again, it is logged again; corrected, it loads."""
    write(file, "acme")
    await tenant_sync.load(START)
    for times in (1, 2):
        spoil(file, content)
        for _ in range(3):
            await tenant_sync.reload_if_changed(START)
        assert count(logged, "refused_tenants_file") == times
    assert word in next(line["problem"] for line in logged if line["event"] == "refused_tenants_file")
    assert await stored(sqlite) == {"acme"}
    write(file, "acme", "globex")
    await tenant_sync.reload_if_changed(START)
    assert await stored(sqlite) == {"acme", "globex"}


async def test_a_missing_file_is_logged_once_and_loaded_when_it_is_back(
    tenant_sync: TenantSync,
    file: Path,
    sqlite: Database,
    logged: Logged,
) -> None:
    """Also if exactly the same file comes back."""
    write(file, "acme")
    await tenant_sync.load(START)
    file.rename(file.with_name("away"))
    for _ in range(3):
        await tenant_sync.reload_if_changed(START)
    assert count(logged, "refused_tenants_file") == 1
    assert await stored(sqlite) == {"acme"}
    file.with_name("away").rename(file)
    await tenant_sync.reload_if_changed(START)
    assert count(logged, "loaded_tenants_file") == 2


async def test_a_changed_mode_alone_reloads_the_file(tenant_sync: TenantSync, file: Path, logged: Logged) -> None:
    """An unreadable file that is made readable keeps content, size and modification time."""
    write(file, "acme")
    await tenant_sync.reload_if_changed(START)
    await asyncio.sleep(A_TICK)
    before = file.stat()
    file.chmod(0o640)
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)
    await tenant_sync.reload_if_changed(START)
    await tenant_sync.reload_if_changed(START)
    assert count(logged, "loaded_tenants_file") == 2


async def test_a_change_that_keeps_size_and_time_is_noticed(
    tenant_sync: TenantSync,
    file: Path,
    sqlite: Database,
) -> None:
    """Written in place with a name of the same length and the old modification time, as some copy tools do."""
    write(file, "acme", "globex")
    await tenant_sync.load(START)
    await asyncio.sleep(A_TICK)
    before = file.stat()
    file.write_text(file.read_text("utf-8").replace("globex", "initec"), "utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)
    await tenant_sync.reload_if_changed(START)
    assert await stored(sqlite) == {"acme", "initec"}


async def test_an_update_by_kubernetes_is_noticed(
    tenant_sync: TenantSync, sqlite: Database, file: Path, logged: Logged
) -> None:
    """A ConfigMap's file is a link through a linked folder, and an update changes only the folder's link."""
    for number, tenant_ids in enumerate([["acme"], ["acme", "globex"]]):
        version, new_link = file.parent / f"..version-{number}", file.parent / "..new"
        version.mkdir()
        write(version / file.name, *tenant_ids)
        new_link.symlink_to(version.name)
        new_link.rename(file.parent / "..data")
        if not file.is_symlink():
            file.symlink_to(f"..data/{file.name}")
        await tenant_sync.reload_if_changed(START)
        assert await stored(sqlite) == set(tenant_ids)
    assert count(logged, "loaded_tenants_file") == 2


@contextmanager
def pipe_at(path: Path) -> Iterator[None]:
    """A named pipe nobody writes to. A reader that hangs is released at the end, so that the test ends."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    try:
        yield
    finally:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


async def test_a_named_pipe_is_refused_at_once(
    tenant_sync: TenantSync,
    file: Path,
    sqlite: Database,
    logged: Logged,
) -> None:
    """Reading it would wait for a writer forever: at the start it is an error, later it is logged once."""
    with pipe_at(file):
        async with asyncio.timeout(20):
            with pytest.raises(ConfigurationError, match=r"tenants\.yaml: is not a regular file.*name a file"):
                await tenant_sync.load(START)
    write(file, "acme")
    await tenant_sync.load(START)
    with pipe_at(file):
        async with asyncio.timeout(20):
            await tenant_sync.reload_if_changed(START)
            await tenant_sync.reload_if_changed(START)
    assert count(logged, "refused_tenants_file") == 1
    assert await stored(sqlite) == {"acme"}


async def test_a_folder_is_refused(tenant_sync: TenantSync, file: Path) -> None:
    """The message says that the path is not a file."""
    file.mkdir()
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        await tenant_sync.load(START)


async def test_a_broken_export_removes_nobody_and_is_logged_once(
    tenant_sync: TenantSync,
    file: Path,
    sqlite: Database,
    logged: Logged,
) -> None:
    """Removing five of six is refused, and the message says how to allow it; allowed, it is done."""
    everybody = [f"t{number}" for number in range(6)]
    write(file, *everybody)
    await tenant_sync.load(START)
    write(file, "t0")
    await tenant_sync.reload_if_changed(START)
    await tenant_sync.reload_if_changed(START)
    assert count(logged, "refused_tenants_file") == 1
    assert await stored(sqlite) == set(everybody)
    with pytest.raises(RemovalRefused, match="--any-removal"):
        await tenant_sync.load(START)
    await tenant_sync.load(START, any_removal=True)
    assert await stored(sqlite) == {"t0"}


async def test_a_removal_that_an_operator_allowed_is_no_longer_refused(
    sqlite: Database,
    file: Path,
    logged: Logged,
) -> None:
    """`tenants sync --any-removal` is another process: the service then loads the file, and its gauge is 0 again."""
    registry, metrics = ManifestRegistry(load("gem")), Metrics("test")
    tenant_sync, command = (
        TenantSync(file, sqlite, lambda: registry, WriteProbes.OFF, POLICY, seen)
        for seen in (metrics, Metrics("command"))
    )
    write(file, *(f"t{number}" for number in range(6)))
    await tenant_sync.load(START)
    write(file, "t0")
    for _ in range(2):
        await tenant_sync.reload_if_changed(START)
    assert b"harvest_monitor_tenants_file_refused 1.0" in metrics.render()[0]
    await command.load(START, any_removal=True)
    for _ in range(2):
        await tenant_sync.reload_if_changed(START)
    assert b"harvest_monitor_tenants_file_refused 0.0" in metrics.render()[0]
    assert count(logged, "refused_tenants_file") == 1
    assert count(logged, "loaded_tenants_file") == 3  # at first, by the command, and once more by the service
