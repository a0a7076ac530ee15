"""Which changes have no sample yet, who can be in one, and bringing their checks forward."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.store.columns import UTCDateTime
from monitor.store.statements import SAMPLE_LOCK, one_at_a_time, unindexed
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, SAMPLE

_BEGINNINGS = (EventKind.LOST, EventKind.CREDENTIAL_FAILED)


@dataclass(frozen=True, slots=True)
class NewChange:
    """A change that a CSM is to be notified of, and the first tenant that changed so since the last sample."""

    brake_key: str
    credential_kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    credential_id: int
    tenant_id: str


async def lock(conn: AsyncConnection) -> None:
    await one_at_a_time(conn, SAMPLE_LOCK)


async def new_changes(conn: AsyncConnection, since: datetime, now: datetime) -> list[NewChange]:
    """Confirmed since then, and in no sample since then; the earliest of each brake key."""
    first = func.min(CAUSE.c.created_at, type_=UTCDateTime())
    statement = (
        select(CAUSE.c.brake_key, CREDENTIAL.c.kind, first)
        .join_from(CAUSE, DRIFT_EVENT, DRIFT_EVENT.c.id == CAUSE.c.event_id)
        .join(CREDENTIAL, CREDENTIAL.c.id == DRIFT_EVENT.c.credential_id)
        .where(
            CAUSE.c.audience == Audience.CSM,
            CAUSE.c.created_at.between(since, now),
            unindexed(DRIFT_EVENT.c.kind).in_(_BEGINNINGS),
            CREDENTIAL.c.removed_at.is_(None),
        )
        .group_by(CAUSE.c.brake_key, CREDENTIAL.c.kind)
        .order_by(first)
    )
    changes = [NewChange(*row) for row in await conn.execute(statement)]
    if not changes:
        return []
    recent = select(SAMPLE.c.brake_keys).where(SAMPLE.c.asked_at.between(since, now))
    sampled = {key for keys in (await conn.execute(recent)).scalars() for key in keys}
    return [change for change in changes if change.brake_key not in sampled]


async def sampled_since(conn: AsyncConnection, since: datetime) -> int:
    """How many checks were brought forward."""
    samples = (await conn.execute(select(SAMPLE.c.tenants).where(SAMPLE.c.asked_at >= since))).scalars()
    return sum(len(tenants) for tenants in samples)


async def candidates(conn: AsyncConnection, changes: Sequence[NewChange], due_after: datetime) -> list[Candidate]:
    """Working credentials of the same kind, in no doubt, not checked since the change, and due after `due_after`."""
    c = CREDENTIAL.c
    statement = (
        select(c.id, c.tenant_id)
        .where(
            c.removed_at.is_(None),
            c.kind == changes[0].credential_kind,
            c.state == CredentialState.OK,
            c.suspect_state.is_(None),
            c.suspects == 0,
            c.last_checked_at < min(change.at for change in changes),
            c.next_due > due_after,
        )
        .order_by(c.id)
    )
    return [Candidate(*row) for row in await conn.execute(statement)]


async def plan(conn: AsyncConnection, chosen: Sequence[Candidate], keys: Collection[str], now: datetime) -> None:
    """Make them due, and remember who is checked because of what."""
    ids = [candidate.credential_id for candidate in chosen]
    await conn.execute(update(CREDENTIAL).where(CREDENTIAL.c.id.in_(ids)).values(next_due=now))
    tenants = sorted(candidate.tenant_id for candidate in chosen)
    await conn.execute(insert(SAMPLE).values(asked_at=now, brake_keys=sorted(keys), tenants=tenants))


async def forget(conn: AsyncConnection, before: datetime) -> None:
    await conn.execute(delete(SAMPLE).where(SAMPLE.c.asked_at < before))
