"""Checks an installation, before `serve` or while it runs: changes nothing, and sends nothing to Greenhouse."""

import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from checks.credential import OAuthClient, Secret, Token, basic_authorization, client_authorization
from checks.errors import CredentialError, ManifestError
from checks.manifest import Manifest
from checks.v3.stored_client import require_plain
from monitor.assembly import Assembly
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, StoreError
from monitor.store import migrations
from monitor.store.database import Database, database_as_it_is
from monitor.store.migrations import SchemaState
from monitor.tenants.credential_loader import references
from monitor.tenants.fingerprint_key import existing_key
from monitor.tenants.scope_acceptance_queries import is_accepted
from monitor.tenants.targets import CheckTarget, CheckTargets
from monitor.upkeep import doctor_findings
from monitor.upkeep.finding import DoctorArea, HealthFinding

_URL = "HARVEST_MONITOR_DATABASE_URL"


@dataclass(slots=True)
class DoctorReport:
    """`credentials` counts them by kind; `commands_not_run` counts `command:` references that were skipped."""

    findings: list[HealthFinding] = field(default_factory=list)
    credentials: dict[str, int] = field(default_factory=dict)
    commands_not_run: int = 0


class Doctor:
    """With `run_commands`, the commands of the tenants file are run, as a check would."""

    def __init__(self, settings: Settings, now: datetime, *, run_commands: bool) -> None:
        self._settings = settings
        self._now = now
        self._run_commands = run_commands
        self._assembly = Assembly(settings)
        # Without the installation's key, which a loader needs for fingerprints only: asking for it could create it.
        self._loader = self._assembly.loader(b"")
        self._report = DoctorReport()

    async def run(self) -> DoctorReport:
        report = self._report
        report.findings += doctor_findings.of_settings(self._settings)
        targets = self._targets()
        derived = doctor_findings.derived(targets) if targets else []
        report.findings += [finding async for finding in self._database(derived)]
        if targets is not None:
            report.credentials = doctor_findings.counted(targets)
            report.findings += doctor_findings.of_tenants(targets)
            report.findings += [*doctor_findings.of_keys(targets, self._now), *doctor_findings.of_clients(targets)]
            for target in targets.all:
                report.findings += [finding async for finding in self._references(target)]
        return report

    async def _database(self, derived: list[Manifest]) -> AsyncIterator[HealthFinding]:
        """Also finds which of the derived manifests nobody has accepted, if there are tables to ask."""
        url = self._settings.database
        path = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        if path is not None and not path.exists():
            if not os.access(path.parent, os.W_OK):
                problem = f"the folder {path.parent} for the database does not exist or is not writable"
                next_step = f"let the service's user write there, or name another in {_URL}"
                yield HealthFinding(DoctorArea.DATABASE, problem, next_step)
            return
        # Read-only: open_database would upgrade a SQLite file.
        db = database_as_it_is(url)
        try:
            if await self._is_current(db):
                await existing_key(db, self._settings)
                async with db.reading() as conn:
                    new = [manifest for manifest in derived if not await is_accepted(conn, manifest.digest)]
                for finding in doctor_findings.of_derived(new):
                    yield finding
        except (StoreError, ConfigurationError) as problem:
            yield HealthFinding.of_error(DoctorArea.DATABASE, str(problem))
        finally:
            await db.close()

    async def _is_current(self, db: Database) -> bool:
        """False if the next start will migrate it; StoreError if a start cannot."""
        try:
            async with db.reading() as conn:
                state = await conn.run_sync(migrations.schema_state)
        except (SQLAlchemyError, OSError) as error:
            problem = f"the database {db.name} cannot be read ({type(error).__name__})"
            raise StoreError(f"{problem}: set {_URL} to one that can be read") from None
        if db.is_sqlite and state in (SchemaState.EMPTY, SchemaState.BEHIND):
            return False
        db.refuse_unless_current(state)
        return True

    def _targets(self) -> CheckTargets | None:
        try:
            registry = self._assembly.registry()
        except ManifestError as problem:
            self._report.findings.append(HealthFinding.of_error(DoctorArea.MANIFEST, str(problem)))
            return None
        try:
            return self._assembly.targets(registry)
        except ConfigurationError as problem:
            self._report.findings.append(HealthFinding.of_error(DoctorArea.TENANTS, str(problem)))
            return None

    async def _references(self, target: CheckTarget) -> AsyncIterator[HealthFinding]:
        whole = True
        whose = (target.tenant.id, target.credential.label)
        for name, (reference, kind) in references(target.credential).items():
            if reference.startswith("command:") and not self._run_commands:
                self._report.commands_not_run += 1
                whole = False
                continue
            problems = await self._problems(target, name, reference, kind)
            whole = whole and not problems
            for problem in [*_readable_by_all(reference), *problems]:
                yield HealthFinding.of_error(DoctorArea.CREDENTIALS, f"{name}: {problem}", *whose)
        if whole and (mixed := await self._mixed(target)):
            yield HealthFinding.of_error(DoctorArea.CREDENTIALS, mixed, *whose)

    async def _mixed(self, target: CheckTarget) -> str | None:
        """What is wrong with the texts together, where each by itself is in order."""
        try:
            await self._loader.load(target.tenant.id, target.credential)
        except ConfigurationError as problem:
            return str(problem)
        return None

    async def _problems(self, target: CheckTarget, name: str, reference: str, kind: type[Secret]) -> list[str]:
        try:
            secret = await self._loader.load_secret(target.tenant.id, reference, kind)
            _sendable(name, secret)
        except (ConfigurationError, CredentialError) as problem:
            return [str(problem)]
        stale = doctor_findings.of_token(secret, self._now) if isinstance(secret, Token) else None
        return [f"{reference}: {stale}"] if stale else []


def _readable_by_all(reference: str) -> Iterator[str]:
    path = reference.removeprefix("file:")
    if path != reference and os.path.isfile(path) and os.stat(path).st_mode & stat.S_IROTH:
        yield f"{reference}: every user of this machine can read the file: chmod o-r {path}"


def _sendable(name: str, secret: Secret) -> None:
    """CredentialError for a secret that no request could carry, or that is plainly something else."""
    if name == "key":
        basic_authorization(secret)
    else:
        require_plain(name.replace("_", " "), secret)
    if name == "client_id":
        client_authorization(OAuthClient(secret, secret))
