"""What one check leaves behind, in one transaction: drift, incident, causes, its summary, and the next due time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.report import CheckReport, Outcome, Verdict
from monitor.checking.claim_queries import AHEAD, Claim
from monitor.checking.schedule import key_of, next_due
from monitor.drift import Change, DriftPolicy, Event, compare
from monitor.incidents import known_queries
from monitor.incidents.event_queries import record_events
from monitor.incidents.rules import Audience, Readers, Step
from monitor.store.database import Database
from monitor.store.statements import upsert
from monitor.store.tables import CHECK, CREDENTIAL, REFUSAL, TENANT
from monitor.tenants.file import Grant
from monitor.tenants.scope_acceptance_queries import is_accepted

RENEW_REFUSALS_AFTER = timedelta(days=1)  # what is missing for weeks is not a write at every check

# Of every check, so they are put together once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_C = CREDENTIAL.c
_NEWEST = select(_C.id).where(_C.id == bindparam("credential_id"), _C.epoch == bindparam("epoch")).with_for_update()
_SUMMARY = insert(CHECK).returning(CHECK.c.id)


@dataclass(frozen=True, slots=True)
class Recorded:
    """`outcome` is the credential's in confirmed terms, where a suspicion alone is no drift."""

    outcome: Outcome
    events: tuple[Event, ...]
    incident: Step
    next_due: datetime


async def record(
    database: Database, claim: Claim, report: CheckReport, fingerprint: str | None, now: datetime, policy: DriftPolicy
) -> Recorded | None:
    """Write what a claimed check found; None, and nothing written, where the claim is no longer the newest."""
    async with database.writing() as conn:
        # Tenant before credential, as when the tenants file is loaded: two orders could deadlock on Postgres.
        await lock_tenant(conn, claim.tenant_id)
        if not await _is_newest(conn, claim):
            return None
        before = await known_queries.load(conn, claim.credential_id)
        change = compare(before, report, fingerprint, now, policy, claim.config.kind)
        check_id = await _write_summary(conn, claim, report, fingerprint, now)
        due = next_due(key_of(claim.tenant_id, claim.label), now, policy.interval, change.check_again_in)
        # Only a paused check leaves even `last_checked_at`: for the sweep, the credential is still to be checked.
        if change.known == before:
            await _plan(conn, claim.credential_id, due)
        else:
            await known_queries.save(conn, claim.credential_id, before, change.known, due)
        await _remember_refusals(conn, claim.credential_id, change, now)
        readers = await _readers(conn, claim, report, change)
        step = await record_events(conn, claim.tenant_id, claim.credential_id, change, check_id, now, readers)
        return Recorded(change.known.outcome, change.events, step, due)


async def lock_tenant(conn: AsyncConnection, tenant_id: str) -> None:
    """Held to the end of the transaction: what is written about a tenant is written by one at a time.

    On SQLite everything is.
    """
    if conn.dialect.name != "sqlite":
        await conn.execute(select(TENANT.c.id).where(TENANT.c.id == tenant_id).with_for_update())


async def _readers(conn: AsyncConnection, claim: Claim, report: CheckReport, change: Change) -> Readers:
    """The operator, until somebody accepts a derived list of scopes, and always for a partner's client: it is ours."""
    if not change.events:
        return Readers()
    if report.provisional and not await is_accepted(conn, report.manifest_digest):
        return Readers(Audience.OPERATOR, Audience.OPERATOR)
    oauth = claim.config.oauth
    return Readers(credential=Audience.OPERATOR if oauth and oauth.grant is Grant.PARTNER else Audience.CSM)


async def _is_newest(conn: AsyncConnection, claim: Claim) -> bool:
    """The row stays locked: nobody can claim the credential before this is written."""
    mine = {"credential_id": claim.credential_id, "epoch": claim.epoch}
    return (await conn.execute(_NEWEST, mine)).first() is not None


async def _write_summary(
    conn: AsyncConnection, claim: Claim, report: CheckReport, fingerprint: str | None, now: datetime
) -> int:
    counts = report.counts
    row = {
        "tenant_id": claim.tenant_id,
        "credential_id": claim.credential_id,
        "started_at": report.started_at or now,
        "duration_seconds": report.duration_seconds,
        "manifest_name": report.manifest_name,
        "manifest_version": report.manifest_version,
        "manifest_digest": report.manifest_digest,
        "fingerprint": fingerprint,
        "state": report.state,
        "detail": report.detail,
        "outcome": report.outcome,
        "granted": counts[Verdict.GRANTED],
        "missing": counts[Verdict.MISSING],
        "undecided": counts[Verdict.UNDECIDED],
        "unchecked": counts[Verdict.NOT_CHECKABLE],
        "excess": len(report.excess),
        "requests": report.requests,
        "partial": report.partial,
    }
    written: int = (await conn.execute(_SUMMARY, row)).scalar_one()
    return written


async def _remember_refusals(conn: AsyncConnection, credential_id: int, change: Change, now: datetime) -> None:
    ours = REFUSAL.c.credential_id == credential_id
    if change.replaced:
        await conn.execute(delete(REFUSAL).where(ours))
    if not change.refused:
        return
    recent = select(REFUSAL.c.endpoint).where(ours, REFUSAL.c.seen_at.between(now - RENEW_REFUSALS_AFTER, now + AHEAD))
    stale = change.refused - set((await conn.execute(recent)).scalars())
    fingerprint = change.known.credential.fingerprint
    rows = [{"credential_id": credential_id, "endpoint": e, "fingerprint": fingerprint, "seen_at": now} for e in stale]
    await upsert(conn, REFUSAL, rows)


async def _plan(conn: AsyncConnection, credential_id: int, due: datetime) -> None:
    await conn.execute(update(CREDENTIAL).where(CREDENTIAL.c.id == credential_id).values(next_due=due))
