"""A look at an installation before and beside `serve`: it changes nothing, and sends nothing to Greenhouse."""

import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from checks.credential import OAuthClient, Secret, Token, basic_authorization, client_authorization
from checks.errors import CredentialError, ManifestError
from checks.manifest import Manifest, load
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, StoreError
from monitor.store import migrations
from monitor.store.database import Database, database_as_it_is
from monitor.store.migrations import SchemaState
from monitor.tenants.credential_loader import CredentialLoader, references
from monitor.tenants.file_reader import read_tenants_file
from monitor.tenants.fingerprint_key import existing_key
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.scope_acceptance_queries import is_accepted
from monitor.tenants.targets import CheckTarget, CheckTargets, build_targets
from monitor.upkeep import doctor_findings
from monitor.upkeep.doctor_findings import Area, DoctorFinding, told

_URL = "HARVEST_MONITOR_DATABASE_URL"


@dataclass(slots=True)
class Diagnosis:
    """`not_run` counts commands that were left alone, `credentials` what there is, by kind and way."""

    findings: list[DoctorFinding] = field(default_factory=list)
    credentials: dict[str, int] = field(default_factory=dict)
    not_run: int = 0


class Doctor:
    """`run_commands` has the commands of the tenants file run, as a check would."""

    def __init__(self, settings: Settings, now: datetime, *, run_commands: bool) -> None:
        self._settings = settings
        self._now = now
        self._run_commands = run_commands
        self._loader = CredentialLoader(b"", settings.command_timeout.total_seconds())
        self._seen = Diagnosis()

    async def look(self) -> Diagnosis:
        self._seen.findings += doctor_findings.of_settings(self._settings)
        targets = self._targets()
        self._seen.findings += [
            finding async for finding in self._database(doctor_findings.derived(targets) if targets else [])
        ]
        if targets is not None:
            self._seen.credentials = doctor_findings.counted(targets)
            self._seen.findings += doctor_findings.of_tenants(targets)
            self._seen.findings += [*doctor_findings.of_keys(targets, self._now), *doctor_findings.of_clients(targets)]
            for target in targets.all:
                self._seen.findings += [finding async for finding in self._references(target)]
        return self._seen

    async def _database(self, derived: list[Manifest]) -> AsyncIterator[DoctorFinding]:
        """Also which of these manifests nobody has accepted; where there are no tables yet, that is not asked."""
        url = self._settings.database
        path = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        if path is not None and not path.exists():
            if not os.access(path.parent, os.W_OK):
                problem = f"the folder {path.parent} for the database does not exist or can not be written"
                yield DoctorFinding(
                    Area.DATABASE, problem, f"let the service's user write there, or name another {_URL}"
                )
            return
        db = database_as_it_is(url)
        try:
            if await self._is_current(db):
                await existing_key(db, self._settings)
                async with db.reading() as conn:
                    new = [manifest for manifest in derived if not await is_accepted(conn, manifest.digest)]
                for finding in doctor_findings.of_derived(new):
                    yield finding
        except (StoreError, ConfigurationError) as problem:
            yield told(Area.DATABASE, str(problem))
        finally:
            await db.close()

    async def _is_current(self, db: Database) -> bool:
        """False for one that a start brings up to date; StoreError for one that it can not."""
        try:
            async with db.reading() as conn:
                state = await conn.run_sync(migrations.schema_state)
        except (SQLAlchemyError, OSError) as error:
            problem = f"the database {db.name} can not be looked at ({type(error).__name__})"
            raise StoreError(f"{problem}: see that {_URL} names one that can be read") from None
        if db.is_sqlite and state in (SchemaState.EMPTY, SchemaState.BEHIND):
            return False
        db.refuse_unless_current(state)
        return True

    def _targets(self) -> CheckTargets | None:
        try:
            registry = ManifestRegistry(load(self._settings.manifest))
        except ManifestError as problem:
            self._seen.findings.append(told(Area.MANIFEST, str(problem)))
            return None
        try:
            return build_targets(read_tenants_file(self._settings.tenants), registry, self._settings.write_probes)
        except ConfigurationError as problem:
            self._seen.findings.append(told(Area.TENANTS, str(problem)))
            return None

    async def _references(self, target: CheckTarget) -> AsyncIterator[DoctorFinding]:
        for name, (reference, kind) in references(target.credential).items():
            if reference.startswith("command:") and not self._run_commands:
                self._seen.not_run += 1
                continue
            for problem in [*_readable_by_all(reference), *await self._problems(target, name, reference, kind)]:
                yield told(Area.CREDENTIALS, f"{name}: {problem}", target.tenant.id, target.credential.label)

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
    """CredentialError for a secret that no request could carry."""
    if name == "key":
        basic_authorization(secret)
    if name == "client_id":
        client_authorization(OAuthClient(secret, secret))
