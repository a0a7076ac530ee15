"""Tenants, claims and rows for tests with a database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Table, select

from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialKind
from checks.report import CheckReport
from monitor.checking import claim_queries, recording_queries
from monitor.checking.claim_queries import Claim
from monitor.checking.recording_queries import Recorded
from monitor.drift import DriftPolicy
from monitor.store.database import Database
from monitor.store.tables import METADATA
from monitor.tenants import sync_queries
from monitor.tenants.file import CredentialConfig, Declined, Paused, TenantConfig, TenantProblem
from monitor.tenants.sync_queries import Synced
from tests.reports import KEY, LOOKS_RETIRED, MINUTE, POLICY, RETIRED_SOON

T0 = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LEASE = timedelta(minutes=7)


def an_action(at: datetime = T0) -> dict[str, Any]:
    return {"at": at, "who": "op", "action": "writes resume", "subject": "all", "reason": "ticket 1"}


def a_tenant(
    tenant_id: str,
    *labels: str,
    name: str | None = None,
    features: Sequence[str] = (),
    declined: Sequence[Declined] = (),
    write_probes: WriteProbes | None = None,
    reference: str = "env:KEY",
    manifest: str | None = None,
    paused: Paused | None = None,
) -> TenantConfig:
    content = (
        tenant_id,
        name or tenant_id.title(),
        "Dana Reyes",
        "dana@vendor.example",
        tuple(features),
        write_probes,
        tuple(declined),
        tuple(
            CredentialConfig(label, CredentialKind.HARVEST_KEY, reference, manifest)
            for label in labels or ("Gem Harvest API Key",)
        ),
    )
    digest = sha256(repr((*content, paused)).encode()).hexdigest()[:16]
    return TenantConfig(*content, row_digest=digest, line=1, paused=paused)


async def sync(
    database: Database,
    *tenants: TenantConfig,
    problems: Sequence[TenantProblem] = (),
    now: datetime = T0,
) -> Synced:
    async with database.writing() as conn:
        return await sync_queries.sync(conn, tenants, problems, now, POLICY)


async def claim(database: Database, credential_id: int = 1, now: datetime = T0) -> Claim:
    async with database.writing() as conn:
        claimed = await claim_queries.claim(conn, credential_id, now, POLICY.interval, leased_until=now + LEASE)
    assert claimed is not None
    return claimed


async def check(
    database: Database,
    report: CheckReport,
    now: datetime = T0,
    *,
    credential_id: int = 1,
    fingerprint: str | None = KEY,
    policy: DriftPolicy = POLICY,
) -> Recorded:
    """One check from its claim to its record, as a worker makes it."""
    claimed = await claim(database, credential_id, now)
    recorded = await recording_queries.record(database, claimed, report, fingerprint, now, policy)
    assert recorded is not None
    return recorded


async def retire(database: Database, at: datetime = T0, *, credential_id: int = 1) -> None:
    """Three checks, a minute apart: the key looks retired from the first on, is unreachable at `at`, then retired."""
    for moment in (at - MINUTE, at, at + MINUTE):
        await check(database, LOOKS_RETIRED, moment, credential_id=credential_id, policy=RETIRED_SOON)


async def rows(database: Database, table: Table) -> list[dict[str, Any]]:
    async with database.reading() as conn:
        found = await conn.execute(select(table).order_by(*table.primary_key))
        return [dict(row._mapping) for row in found]


async def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, to compare before and after."""
    return {name: await rows(database, table) for name, table in METADATA.tables.items()}
