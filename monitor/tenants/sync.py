"""Keeps the stored tenants equal to the tenants file: loads it at the start and whenever it changes."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

import structlog

from checks.catalogue.entry import WriteProbes
from checks.errors import ManifestError
from monitor.drift import DriftPolicy
from monitor.errors import ConfigurationError
from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.tenants import sync_queries
from monitor.tenants.file_reader import read_tenants_file
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.sync_queries import Synced
from monitor.tenants.targets import CheckTargets, build_targets

log = structlog.get_logger()


class RemovalRefused(ConfigurationError):
    """The file would remove too many tenants at once; the stored ones stay."""

    def __init__(self, message: str, tenant_ids: frozenset[str]) -> None:
        super().__init__(message)
        self.tenant_ids = tenant_ids


class TenantSync:
    """`new_registry` reads the manifests again, so that a changed manifest takes effect with a changed file.

    `loads` counts how often the file was loaded.
    """

    def __init__(
        self,
        path: Path,
        db: Database,
        new_registry: Callable[[], ManifestRegistry],
        setting: WriteProbes,
        policy: DriftPolicy,
        metrics: Metrics,
    ) -> None:
        self._path = path
        self._db = db
        self._new_registry = new_registry
        self._setting = setting
        self._policy = policy
        self._metrics = metrics
        self._last_signature: tuple[int, ...] | None = None
        self._refused_ids: frozenset[str] | None = None  # of a file that would have removed too many tenants
        self.registry = new_registry()
        self.loads = 0

    async def load(self, now: datetime, *, any_removal: bool = False) -> Synced:
        """Read the file and write what changed; ConfigurationError, and nothing changed, if it cannot be used.

        ReadFailed, and nothing changed, if the file or a manifest could not be read this time.
        """
        signature = self._signature()
        # In threads: 10,000 rows take a second or two. A change meanwhile is seen at the next reload, since the
        # signature is older than what is read.
        registry = await asyncio.to_thread(self._new_registry)
        targets = await asyncio.to_thread(self._build_targets, registry)
        async with self._db.writing() as conn:
            before = await sync_queries.active_ids(conn)
            if not any_removal and removes_too_many(before, targets.file.ids):
                message = _refusal(self._path, len(before - targets.file.ids), len(before))
                raise RemovalRefused(message, targets.file.ids)
            synced = await sync_queries.sync(conn, targets.file.tenants, targets.file.problems, now, self._policy)
        self.registry, self._last_signature, self._refused_ids = registry, signature, None
        self.loads += 1
        _log_load(targets, synced)
        return synced

    async def reload_if_changed(self, now: datetime) -> None:
        """Load the file if it changed. A file that cannot be used is logged, and the stored tenants stay."""
        signature = self._signature()
        if signature == self._last_signature and not await self._removal_was_allowed():
            return
        try:
            await self.load(now)
            self._metrics.tenants_file_loaded()
        # A StoreError or ReadFailed goes on to the caller: the old signature stays, and the next reload tries again.
        except (ConfigurationError, ManifestError) as problem:
            self._last_signature = signature  # the fault is in the file: log it once, until the file changes
            self._refused_ids = problem.tenant_ids if isinstance(problem, RemovalRefused) else None
            self._metrics.tenants_file_refused()
            log.error("refused_tenants_file", problem=str(problem))

    async def _removal_was_allowed(self) -> bool:
        """The refused file no longer removes too many: an operator has run `tenants sync --any-removal`."""
        if self._refused_ids is None:
            return False
        async with self._db.reading() as conn:
            return not removes_too_many(await sync_queries.active_ids(conn), self._refused_ids)

    def _build_targets(self, registry: ManifestRegistry) -> CheckTargets:
        return build_targets(read_tenants_file(self._path), registry, self._setting)

    def _signature(self) -> tuple[int, ...] | None:
        """Changes when the file changes; None while the file is missing, as for a moment during its replacement."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        # Copies may keep size and modification time, chmod keeps both, and Kubernetes swaps a linked folder.
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def removes_too_many(before: Collection[str], after: Collection[str]) -> bool:
    """More than max(2, 5 %) of the tenants would go: more likely a broken export than that many customers lost."""
    gone = len(set(before) - set(after))
    return gone > 2 and gone * 20 > len(set(before))


def _refusal(path: Path, gone: int, total: int) -> str:
    return (
        f"{path}: would remove {gone} of {total} tenants, which looks like a broken export: correct the file or, if "
        "this is intended, run `harvest-monitor tenants sync --any-removal`"
    )


def _log_load(targets: CheckTargets, synced: Synced) -> None:
    for problem in targets.file.problems:
        log.error("unusable_tenant", tenant=problem.tenant_id, problem=problem.message)
    log.info(
        "loaded_tenants_file",
        tenants=len(targets.file.tenants),
        problems=len(targets.file.problems),
        added=synced.added,
        changed=synced.changed,
        removed=synced.removed,
    )
