"""A vendor's installation within the test: tenants, a database, a sandbox as Greenhouse, and a clock set by hand."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from checks.answer import Answer
from checks.catalogue.entry import Entry, WriteProbes
from checks.manifest import load
from checks.wire.connection import ConnectionSettings
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.checking import claim_queries
from monitor.checking.check_job import CheckJob
from monitor.checking.check_limits import CheckLimits
from monitor.checking.credential_check import CredentialCheck
from monitor.checking.greenhouse import Greenhouse, RequestLimits
from monitor.checking.recorded_check import RecordedCheck
from monitor.checking.write_halt import SharedWriteHalt
from monitor.clock import elapsed
from monitor.config.settings import NoticesMode
from monitor.drift import DriftPolicy
from monitor.metrics import Metrics
from monitor.notices.content.render import Renderer
from monitor.notices.policy import NoticePolicy
from monitor.sandbox.greenhouse.accounts import ClientGrant
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import running
from monitor.store.database import Database
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.sync import TenantSync

LABEL = "Gem Harvest API Key"
V3_LABEL = "Gem"
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LONG = 30 * 24 * 3600  # what a token lives, so that none ends while the clock is moved
POLICY = DriftPolicy(confirm_after=timedelta(seconds=60), interval=timedelta(hours=4))
LOADER = CredentialLoader(b"fingerprint key of the tests", command_seconds=5)
LIMITS = RequestLimits(requests_per_second=0, total_requests_per_second=0, deadline_seconds=120)
NOTICES = NoticePolicy(
    mode=NoticesMode.CSM,
    settle=timedelta(minutes=15),
    mail_from="Harvest Monitor <monitor@vendor.example>",
    operator_mail="ops@vendor.example",
)


@dataclass
class Clock:
    now: datetime = START

    def read(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


class NullObserver:
    """An observer that ignores everything."""

    def request(self, entry: Entry, answer: Answer) -> None: ...

    def waited(self, reason: str, seconds: float) -> None: ...


@dataclass
class Installation:
    folder: Path
    db: Database
    sandbox: Sandbox
    check_job: CheckJob
    tenant_sync: TenantSync
    clock: Clock
    metrics: Metrics
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add_tenant(self, tenant_id: str, grants: str | Iterable[str] = "gem", **row: Any) -> None:
        """Adds a tenant with an account and a key at the sandbox; the key is in a file."""
        self.sandbox.add_account(tenant_id)
        key = self.sandbox.add_key(tenant_id, grants, label=LABEL)
        (self.folder / tenant_id).write_text(key.text, encoding="ascii")
        self.add_row(tenant_id, **row)

    def add_v3_tenant(
        self,
        tenant_id: str,
        scopes: str | Iterable[str] = "gem",
        *,
        mint: bool = False,
        grant: ClientGrant = "custom",
        **row: Any,
    ) -> None:
        """Adds a tenant with an account and a v3 client at the sandbox; its token is in a file, unless we mint."""
        account = self.sandbox.add_account(tenant_id)
        client = self.sandbox.add_client(tenant_id, scopes, label=V3_LABEL, grant=grant, ttl=LONG)
        for what, text in (("id", client.client_id), ("secret", client.secret)):
            (self.folder / f"{tenant_id}-{what}").write_text(text, encoding="ascii")
        credential = {
            "kind": "harvest-oauth",
            "label": V3_LABEL,
            "client_id": f"file:{self.folder / tenant_id}-id",
            "client_secret": f"file:{self.folder / tenant_id}-secret",
            "token": "mint" if mint else f"file:{self.folder / tenant_id}-token",
            "grant": grant,
            "organization": account.organization_id,
        }
        self.add_row(tenant_id, **{"credential": credential, **row})
        if not mint:
            self.issue_token(tenant_id)

    def issue_token(self, tenant_id: str) -> None:
        """Replaces the tenant's token with a new one."""
        (self.folder / f"{tenant_id}-token").write_text(self.sandbox.client(tenant_id).issue(), encoding="ascii")

    def add_row(self, tenant_id: str, **row: Any) -> None:
        credential = {"kind": "harvest-key", "label": LABEL, "key": f"file:{self.folder / tenant_id}"}
        csm = {"name": f"CSM of {tenant_id}", "email": f"csm-{tenant_id}@vendor.example"}
        self.rows[tenant_id] = {
            "id": tenant_id,
            "name": f"{tenant_id.title()} Corp",
            "csm": csm,
            "credential": credential,
            **row,
        }

    async def sync(self, *, any_removal: bool = False) -> None:
        """Write the tenants file and load it as `serve` does."""
        (self.folder / "tenants.yaml").write_text(yaml.safe_dump({"tenants": list(self.rows.values())}), "utf-8")
        await self.tenant_sync.load(self.clock.now, any_removal=any_removal)
        self.check_job.registry = self.tenant_sync.registry

    async def check_due(self) -> int:
        """Check everything that is due now, all at once; returns how many that were."""
        async with self.db.reading() as conn:
            found = await claim_queries.due(conn, self.clock.now, 10_000)
        due = [*found.pressing, *found.ordinary]
        await asyncio.gather(*map(self.check_job.check, due))
        return len(due)

    async def sweep(self) -> None:
        """One whole interval: a check of every credential, and a minute later the confirming checks of suspects."""
        self.clock.forward(hours=4)
        await self.check_due()
        await self.confirm()

    async def confirm(self) -> None:
        self.clock.forward(seconds=61)
        await self.check_due()


def check_job_on(
    db: Database, greenhouse: Greenhouse, metrics: Metrics, clock: Clock, writes: WriteProbes = WriteProbes.ALL
) -> CheckJob:
    """The check job of `serve`, with the lease and the longest check of its default settings."""
    limits = CheckLimits(longest=timedelta(minutes=6), lease=timedelta(minutes=7))
    return CheckJob(
        RecordedCheck(db, POLICY, limits, clock.read, elapsed),
        CredentialCheck(greenhouse, LOADER),
        ManifestRegistry(load("gem")),
        SharedWriteHalt(db, NOTICES, Renderer(), clock.read),
        metrics,
        setting=writes,
        now=clock.read,
    )


@asynccontextmanager
async def installation(
    db: Database,
    folder: Path,
    *,
    writes: WriteProbes = WriteProbes.ALL,
    sandbox: Sandbox | None = None,
    sandbox_settings: Mapping[str, Any] | None = None,
    limits: RequestLimits = LIMITS,
    connection: ConnectionSettings | None = None,
    breaker: CircuitBreaker | None = None,
) -> AsyncIterator[Installation]:
    clock, metrics = Clock(), Metrics("test")
    sandbox = sandbox or Sandbox(clock=lambda: clock.now.timestamp(), request_log_size=100_000)
    unlimited = {"limit": 1_000_000, "v3_limit": 1_000_000, "token_limit": 1_000_000}
    sandbox.change(None, **unlimited, **(sandbox_settings or {}))
    registry = ManifestRegistry(load("gem"))
    async with running(sandbox) as url:
        greenhouse = Greenhouse(
            url, "harvest-monitor/test", connection or ConnectionSettings(), limits, metrics, breaker, now=clock.read
        )
        check_job = check_job_on(db, greenhouse, metrics, clock, writes)
        tenant_sync = TenantSync(folder / "tenants.yaml", db, lambda: registry, writes, POLICY, metrics)
        yield Installation(folder, db, sandbox, check_job, tenant_sync, clock, metrics)
