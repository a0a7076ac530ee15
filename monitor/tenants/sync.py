"""Keeps the stored tenants what the tenants file says: read at the start and whenever the file changes."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from checks.catalogue.entry import WriteProbes
from checks.errors import ManifestError
from monitor.drift import DriftPolicy
from monitor.errors import ConfigurationError
from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.tenants import file
from monitor.tenants import sync_queries as stored
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.targets import CheckTargets, draw_up

log = structlog.get_logger()


class RemovalRefused(ConfigurationError):
    """The file as it is would remove too many tenants at once; the stored ones go on."""

    def __init__(self, message: str, tenant_ids: frozenset[str]) -> None:
        super().__init__(message)
        self.tenant_ids = tenant_ids


class TenantSync:
    """`read_manifests` reads the manifests anew, so that a changed manifest is seen together with a changed file."""

    def __init__(
        self,
        path: Path,
        db: Database,
        read_manifests: Callable[[], ManifestRegistry],
        setting: WriteProbes,
        policy: DriftPolicy,
        metrics: Metrics,
    ) -> None:
        self._path = path
        self._db = db
        self._read_manifests = read_manifests
        self._setting = setting
        self._policy = policy
        self._metrics = metrics
        self._seen: tuple[int, ...] | None = None
        self._refused_ids: frozenset[str] | None = None  # of a file that would have removed too many tenants
        self.registry = read_manifests()

    async def load(self, now: datetime, *, any_removal: bool = False) -> stored.Synced:
        """Read the file and write what changed; ConfigurationError, and nothing changed, if it can not be used."""
        signature = self._signature()
        registry = await asyncio.to_thread(self._read_manifests)
        roster = await asyncio.to_thread(self._draw_up, registry)
        async with self._db.writing() as conn:
            before = await stored.active_ids(conn)
            if not any_removal and file.removed_too_many(before, roster.file.ids):
                raise RemovalRefused(_refusal(self._path, len(before - roster.file.ids), len(before)), roster.file.ids)
            synced = await stored.sync(conn, roster.file.tenants, roster.file.problems, now, self._policy)
        self.registry, self._seen, self._refused_ids = registry, signature, None
        self._report(roster, synced)
        return synced

    async def look(self, now: datetime) -> None:
        """Load the file if it changed. What is wrong with it is logged, and the stored tenants go on."""
        signature = self._signature()
        if signature == self._seen and not await self._removal_was_allowed():
            return
        try:
            await self.load(now)
            self._metrics.tenants_file_loaded()
        except (ConfigurationError, ManifestError) as problem:
            self._seen = signature  # the file's own fault: told once, until it changes
            self._refused_ids = problem.tenant_ids if isinstance(problem, RemovalRefused) else None
            self._metrics.tenants_file_refused()
            log.error("refused_tenants_file", problem=str(problem))

    async def _removal_was_allowed(self) -> bool:
        """The file that was refused is as the database is by now: an operator has run `tenants sync --any-removal`."""
        if self._refused_ids is None:
            return False
        async with self._db.reading() as conn:
            return not file.removed_too_many(await stored.active_ids(conn), self._refused_ids)

    def _draw_up(self, registry: ManifestRegistry) -> CheckTargets:
        return draw_up(file.read(self._path), registry, self._setting)

    def _signature(self) -> tuple[int, ...] | None:
        """What changes with the file; None while there is none, as in the moment of its replacement."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

    def _report(self, roster: CheckTargets, synced: stored.Synced) -> None:
        for problem in roster.file.problems:
            log.error("unusable_tenant", tenant=problem.tenant_id, problem=problem.message)
        log.info(
            "loaded_tenants_file",
            tenants=len(roster.file.tenants),
            problems=len(roster.file.problems),
            added=synced.added,
            changed=synced.changed,
            removed=synced.removed,
        )


def _refusal(path: Path, gone: int, total: int) -> str:
    return (
        f"{path}: would remove {gone} of {total} tenants, which looks like a broken export: mend the file, or if it is "
        "meant, run `harvest-monitor tenants sync --any-removal`"
    )
