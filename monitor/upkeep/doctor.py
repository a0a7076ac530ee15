"""Checks an installation, before `serve` or while it runs: changes nothing, and sends no request to Greenhouse."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from checks.connection_failure import ConnectionFailure
from checks.credential import Secret, Token
from checks.errors import ManifestError, ReadFailed
from checks.manifest import Manifest
from checks.wire.connection import Connector
from monitor.assembly import Assembly
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, StoreError, UnresolvedReference
from monitor.store import migrations
from monitor.store.database import Database, database_as_it_is
from monitor.store.migrations import SchemaState
from monitor.tenants.credential_loader import StoredText, require_texts_in_place, stored_texts
from monitor.tenants.fingerprint_key import existing_key
from monitor.tenants.scope_acceptance_queries import is_accepted
from monitor.tenants.targets import CheckTarget, CheckTargets
from monitor.upkeep import doctor_findings, file_modes, installed_files
from monitor.upkeep.finding import DoctorArea, HealthFinding, Severity

_URL = "HARVEST_MONITOR_DATABASE_URL"


@dataclass(slots=True)
class DoctorReport:
    """`credentials` counts them by kind; `commands_not_run` counts `command:` references that were skipped.

    `reached` has the servers of Greenhouse that were tried, and whether a connection came about.
    """

    findings: list[HealthFinding] = field(default_factory=list)
    credentials: dict[str, int] = field(default_factory=dict)
    commands_not_run: int = 0
    reached: dict[str, bool] = field(default_factory=dict)

    def of(self, severity: Severity) -> list[HealthFinding]:
        return [finding for finding in self.findings if finding.severity is severity]


class Doctor:
    """With `run_commands`, the commands of the tenants file are run, as a check would.

    With `network`, connections to Greenhouse are tried: up to the TLS handshake, without a request.
    """

    def __init__(self, settings: Settings, now: datetime, *, run_commands: bool, network: bool) -> None:
        self._settings = settings
        self._now = now
        self._run_commands = run_commands
        self._network = network
        self._assembly = Assembly(settings)
        # Without the installation's key, which a loader needs for fingerprints only: asking for it could create it.
        # Nor does it wait for files that may be about to return: of thousands, each would take a second.
        self._loader = replace(self._assembly.loader(b""), replacing_seconds=0)
        self._report = DoctorReport()

    async def run(self) -> DoctorReport:
        report = self._report
        report.findings += installed_files.of_distribution()
        report.findings += doctor_findings.of_settings(self._settings)
        report.findings += file_modes.of_installation(self._settings, os.environ)
        targets = self._targets()
        derived = doctor_findings.derived(targets) if targets else []
        report.findings += [finding async for finding in self._database(derived)]
        if targets is not None:
            report.credentials = doctor_findings.counted(targets)
            report.findings += doctor_findings.of_tenants(targets)
            report.findings += [*doctor_findings.of_keys(targets, self._now), *doctor_findings.of_clients(targets)]
            for target in targets.all:
                report.findings += [finding async for finding in self._references(target)]
            secrets = [stored.reference for target in targets.all for stored in stored_texts(target.credential)]
            report.findings += file_modes.folders_of(DoctorArea.CREDENTIALS, file_modes.paths_in(secrets))
        if self._network:
            report.findings += [finding async for finding in self._way(targets)]
        return report

    async def _way(self, targets: CheckTargets | None) -> AsyncIterator[HealthFinding]:
        """To both servers of Greenhouse, as a check would take it."""
        settings = self._settings
        told: list[ConnectionFailure] = []  # a proxy that is not there fails for both servers
        for address in dict.fromkeys((settings.harvest_url, settings.auth_url)):
            connector = Connector(address.startswith("http://"), self._assembly.connection)
            failure = await connector.reach(address)
            self._report.reached[address] = failure is None
            if failure is not None and failure not in told:
                told.append(failure)
                unused = address != settings.harvest_url and targets is not None and not doctor_findings.v3(targets)
                yield doctor_findings.of_way(failure, unused)

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
            await db.ping()
            if await self._is_current(db):
                # One finding is enough for a key that every user can read: it would be refused for that.
                if not file_modes.key_is_exposed(self._settings):
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
        except (ManifestError, ReadFailed) as problem:
            self._report.findings.append(HealthFinding.of_error(DoctorArea.MANIFEST, str(problem)))
            return None
        try:
            return self._assembly.targets(registry)
        except (ConfigurationError, ReadFailed) as problem:
            self._report.findings.append(HealthFinding.of_error(DoctorArea.TENANTS, str(problem)))
            return None

    async def _references(self, target: CheckTarget) -> AsyncIterator[HealthFinding]:
        whose = (target.tenant.id, target.credential.label)
        texts = stored_texts(target.credential)
        loaded: dict[str, Secret] = {}
        for stored in texts:
            if stored.reference.startswith("command:") and not self._run_commands:
                self._report.commands_not_run += 1
                continue
            problems = await self._problems(target.tenant.id, stored, loaded)
            self._report.findings += file_modes.of_secret(stored.reference, *whose)
            for problem in problems:
                yield HealthFinding.of_error(DoctorArea.CREDENTIALS, f"{stored.field}: {problem}", *whose)
        try:
            require_texts_in_place(texts, loaded)
        except UnresolvedReference as problem:
            yield HealthFinding.of_error(DoctorArea.CREDENTIALS, str(problem), *whose)

    async def _problems(self, tenant_id: str, stored: StoredText, loaded: dict[str, Secret]) -> list[str]:
        """What is wrong with one text by itself; it is added to `loaded` if it can be read."""
        try:
            secret = loaded[stored.what] = await self._loader.load_text(tenant_id, stored)
        except UnresolvedReference as problem:
            return [str(problem)]
        stale = doctor_findings.of_token(secret, self._now) if isinstance(secret, Token) else None
        return [f"{stored.reference}: {stale}"] if stale else []
