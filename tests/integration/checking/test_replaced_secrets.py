"""The file of a secret that appears or changes has its tenant checked at once, and what changes nothing does not."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from monitor.checking.replaced_secrets import ReplacedSecrets
from monitor.clock import utc_now
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL
from tests.installation import LOADER, Installation, installation


@dataclass
class Watching:
    """A service with three tenants, all checked lately, that looks at their files."""

    installed: Installation
    busy: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        sync = self.installed.tenant_sync
        self._replaced = ReplacedSecrets(self.installed.db, LOADER, lambda: sync.loads, lambda: self.busy)

    async def look(self) -> list[str]:
        """Who is due then. The clock is ahead of the files' times, so all of them rest."""
        await self._replaced.run_once(self.installed.clock.now)
        return await self.due()

    async def due(self) -> list[str]:
        async with self.installed.db.reading() as conn:
            found = select(CREDENTIAL.c.tenant_id).where(CREDENTIAL.c.next_due <= self.installed.clock.now)
            return sorted((await conn.execute(found)).scalars())

    async def state(self, tenant_id: str) -> str:
        async with self.installed.db.reading() as conn:
            found = await conn.execute(select(CREDENTIAL.c.state).where(CREDENTIAL.c.tenant_id == tenant_id))
            return str(found.scalar_one())

    async def next_check(self) -> None:
        self.installed.clock.forward(hours=4)
        await self.installed.check_due()

    def file(self, name: str) -> Path:
        return self.installed.folder / name


@pytest.fixture
async def watching(sqlite: Database, tmp_path: Path) -> AsyncIterator[Watching]:
    async with watching_on(sqlite, tmp_path) as watching:
        yield watching


@asynccontextmanager
async def watching_on(database: Database, folder: Path) -> AsyncIterator[Watching]:
    async with installation(database, folder) as installed:
        installed.clock.now = utc_now() + timedelta(hours=1)
        for tenant_id in ("acme", "globex", "initech"):
            installed.add_v3_tenant(tenant_id)
        await installed.sync()
        await installed.check_due()
        watching = Watching(installed)
        assert await watching.look() == []
        yield watching


async def test_a_secret_is_checked_when_its_file_appears(watching: Watching) -> None:
    """`misconfigured` ends with it, and not hours later."""
    text = watching.file("acme-secret").read_text()
    watching.file("acme-secret").unlink()
    assert await watching.look() == []
    await watching.next_check()
    assert await watching.state("acme") == "misconfigured"
    watching.file("acme-secret").write_text(text)
    assert await watching.look() == ["acme"]
    await watching.installed.check_due()
    assert await watching.state("acme") == "ok"
    assert await watching.look() == []


async def test_another_secret_is_checked_at_once(watching: Watching) -> None:
    """Also a text that is plainly none, of which the operator is to hear soon; one that is not changed is not."""
    watching.file("acme-secret").write_text("another secret of the client")
    watching.file("globex-secret").write_text('{"key": "x"}')
    assert await watching.look() == ["acme", "globex"]


async def test_so_it_is_on_postgres(postgres: Database, tmp_path: Path) -> None:
    async with watching_on(postgres, tmp_path) as watching:
        await test_another_secret_is_checked_at_once(watching)


async def test_what_changes_nothing_causes_no_check(watching: Watching) -> None:
    """All files touched at once, as programs for configuration do; a new token, as every hour; an empty file."""
    for path in watching.installed.folder.iterdir():
        os.utime(path, (1, 1))
    watching.installed.issue_token("initech")
    watching.file("acme-secret").write_text("")
    assert await watching.look() == []
    assert await watching.look() == []


async def test_a_token_that_is_waited_for_is_checked_at_once(watching: Watching) -> None:
    token = watching.file("initech-token").read_text()
    watching.file("initech-token").write_text("Basic no-token-at-all")
    await watching.next_check()
    assert await watching.state("initech") == "misconfigured"
    watching.file("initech-token").write_text(token)
    assert await watching.look() == ["initech"]


async def test_a_file_that_came_while_the_service_was_down_is_found(watching: Watching) -> None:
    """At its start; a tenant whose file is still wrong is left to its interval."""
    text = watching.file("acme-secret").read_text()
    for tenant_id in ("acme", "globex"):
        watching.file(f"{tenant_id}-secret").write_text("Basic no-secret")
    await watching.next_check()
    watching.file("acme-secret").write_text(text)
    watching.start()
    assert await watching.look() == ["acme"]


async def test_a_tenant_that_is_being_checked_is_checked_once_more(watching: Watching) -> None:
    """That check may have read the file before."""
    async with watching.installed.db.reading() as conn:
        watching.busy.update((await conn.execute(select(CREDENTIAL.c.id))).scalars())
    watching.file("acme-secret").write_text("another secret of the client")
    assert await watching.look() == []
    watching.busy.clear()
    assert await watching.look() == ["acme"]


async def test_new_tenants_are_looked_at_too(watching: Watching) -> None:
    """From the reload on that brings them."""
    watching.installed.add_v3_tenant("hooli")
    await watching.installed.sync()
    await watching.installed.check_due()
    assert await watching.look() == []
    watching.file("hooli-secret").write_text("another secret of the client")
    assert await watching.look() == ["hooli"]


async def test_of_many_at_once_so_many_are_read_in_one_run(sqlite: Database, tmp_path: Path) -> None:
    """Each read holds up everything else; what has changed goes before what is only looked at for the first time."""
    async with installation(sqlite, tmp_path) as installed:
        installed.clock.now = utc_now() + timedelta(hours=1)
        for number in range(700):
            (tmp_path / f"t{number:03}").write_text("0123456789abcdef0123456789abcdef-1")
            installed.add_row(f"t{number:03}")
        await installed.sync()
        async with sqlite.writing() as conn:
            later = installed.clock.now + timedelta(hours=3)
            await conn.execute(update(CREDENTIAL).values(next_due=later, last_checked_at=installed.clock.now))
        watching = Watching(installed)
        assert await watching.look() == []
        watching.file("t699").write_text("another-key-of-greenhouse-1")
        assert await watching.look() == ["t699"]
        for number in range(699):
            watching.file(f"t{number:03}").write_text("another-key-of-greenhouse-1")
        assert len(await watching.look()) == 501
        assert len(await watching.look()) == 700
