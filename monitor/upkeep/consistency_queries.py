"""What must hold between the records of a sound database, and where it does not."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Column, ColumnElement, Table, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialKind, CredentialState
from checks.report import Outcome, Verdict
from monitor.checking.claim_queries import AHEAD
from monitor.drift import EventKind
from monitor.incidents import known_queries
from monitor.incidents.event_queries import troubles
from monitor.incidents.rules import Audience, Step, Trouble, incident_step
from monitor.notices.immediate.retired_keys_rules import WHY
from monitor.notices.notice import Status
from monitor.store.columns import UTCDateTime
from monitor.store.tables import (
    CAUSE,
    CHECK,
    CHECK_DAY,
    CREDENTIAL,
    DRIFT_EVENT,
    INCIDENT,
    METADATA,
    NOTICE,
    PERMISSION_STATE,
    TENANT,
)
from monitor.upkeep.finding import DatabaseFinding, Part

_REPORT = "a service of this release does not write this: see who else writes into the database, and please report it"
_ANEW = (
    "take the tenant out of the tenants file, or put it there, and undo that again, each time with "
    f"`harvest-monitor tenants sync`; {_REPORT}"
)
_PLANS = ("next_due", "next_attempt_at")
_WORDS: dict[tuple[Table, str], type[StrEnum]] = {
    (CREDENTIAL, "kind"): CredentialKind,
    (CREDENTIAL, "state"): CredentialState,
    (CREDENTIAL, "suspect_state"): CredentialState,
    (CHECK, "state"): CredentialState,
    (CHECK, "outcome"): Outcome,
    (CHECK_DAY, "state"): CredentialState,
    (PERMISSION_STATE, "verdict"): Verdict,
    (PERMISSION_STATE, "origin"): EventKind,
    (DRIFT_EVENT, "kind"): EventKind,
    (CAUSE, "audience"): Audience,
    (NOTICE, "audience"): Audience,
    (NOTICE, "status"): Status,
}


async def last_look(conn: AsyncConnection, now: datetime) -> datetime | None:
    """When a credential was last looked at, but for what a wrong clock put ahead of now: the last sign of life."""
    looked = CREDENTIAL.c.last_checked_at
    found: datetime | None = (await conn.execute(select(func.max(looked)).where(looked <= now))).scalar_one()
    return found


async def of_records(conn: AsyncConnection, now: datetime, told_within: timedelta) -> list[DatabaseFinding]:
    """In one reading transaction, so that nothing is seen half done.

    `told_within` is how long a cause may wait for its notice while the service runs.
    """
    return [
        *await _values(conn),
        *await _incidents(conn),
        *await _counts(conn),
        *await _plans(conn),
        *await _mixed_up(conn),
        *await _untold(conn, now, told_within),
        *await _notices(conn),
        *await _ahead(conn, now),
    ]


async def _values(conn: AsyncConnection) -> list[DatabaseFinding]:
    findings = []
    for (table, name), words in _WORDS.items():
        column = table.c[name]
        unknown = select(column, func.count()).where(column.is_not(None), column.not_in(list(words))).group_by(column)
        for value, count in await conn.execute(unknown):
            message = f"{count} rows of {table.name} have the {name} {value!r}, which this release does not know"
            findings.append(_found(None, message, "use the release that wrote it, or restore a backup"))
    return findings


async def _incidents(conn: AsyncConnection) -> list[DatabaseFinding]:
    """Every tenant in trouble has an open incident, and no other tenant has one."""
    found = await troubles(conn)
    is_open = INCIDENT.c.resolved_at.is_(None)
    with_incident = set((await conn.execute(select(INCIDENT.c.tenant_id).where(is_open))).scalars())
    back = await _back_and_not_looked_at(conn)
    findings = []
    for tenant in sorted(with_incident.union(found)):
        trouble = found.get(tenant, Trouble())
        match incident_step(tenant in with_incident, trouble):
            case Step.OPEN if tenant not in back:
                what = f"in trouble ({trouble.missing} missing, {trouble.failing} credentials failing)"
                findings.append(_found(tenant, f"{what}, and no incident is open", _look_again(tenant)))
            case Step.RESOLVE:
                next_step = _look_again(tenant) if tenant in found else _ANEW
                findings.append(_found(tenant, "an incident is open, and there is no trouble", next_step))
    return findings


async def _back_and_not_looked_at(conn: AsyncConnection) -> set[str]:
    """Tenants whose trouble went with its credential, which is back since: the next look opens the incident again."""
    c = CREDENTIAL.c
    ended = select(INCIDENT.c.tenant_id, func.max(INCIDENT.c.resolved_at).label("at")).group_by(INCIDENT.c.tenant_id)
    last = ended.subquery()
    troubled = or_(c.missing > 0, c.state != CredentialState.OK)
    back = select(c.tenant_id).join(last, last.c.tenant_id == c.tenant_id)
    return set((await conn.execute(back.where(troubled, c.last_checked_at <= last.c.at))).scalars())


async def _counts(conn: AsyncConnection) -> list[DatabaseFinding]:
    return [
        _found(
            wrong.tenant_id,
            f"{wrong.label}: counted {wrong.stored} {wrong.count}, and its rows come to {wrong.counted}",
            _look_again(wrong.tenant_id),
        )
        for wrong in await known_queries.miscounts(conn)
    ]


async def _plans(conn: AsyncConnection) -> list[DatabaseFinding]:
    """Who is watched has a next look, unless the tenants file gives nothing to look with; who is not has none."""
    c, t = CREDENTIAL.c, TENANT.c
    gone = or_(c.removed_at.is_not(None), t.removed_at.is_not(None))
    forgotten = and_(~gone, c.next_due.is_(None), t.problem.is_(None))
    wrong = or_(forgotten, and_(gone, c.next_due.is_not(None)))
    listed = select(c.tenant_id, c.label, c.next_due).join(TENANT, t.id == c.tenant_id).where(wrong)
    return [
        _found(
            tenant,
            f"{label}: no next look is planned" if due is None else f"{label}: was removed, and would still be checked",
            _ANEW,
        )
        for tenant, label, due in await conn.execute(listed.order_by(c.tenant_id, c.label))
    ]


async def _mixed_up(conn: AsyncConnection) -> list[DatabaseFinding]:
    """What belongs together is of one tenant: nobody may ever read of another customer."""
    of_csm = and_(NOTICE.c.audience == Audience.CSM, func.coalesce(NOTICE.c.tenant_id, "") != CAUSE.c.tenant_id)
    pairs = [
        (CHECK, CREDENTIAL, CHECK.c.credential_id, CHECK.c.tenant_id != CREDENTIAL.c.tenant_id),
        (DRIFT_EVENT, CREDENTIAL, DRIFT_EVENT.c.credential_id, DRIFT_EVENT.c.tenant_id != CREDENTIAL.c.tenant_id),
        (DRIFT_EVENT, INCIDENT, DRIFT_EVENT.c.incident_id, DRIFT_EVENT.c.tenant_id != INCIDENT.c.tenant_id),
        (CAUSE, DRIFT_EVENT, CAUSE.c.event_id, CAUSE.c.tenant_id != DRIFT_EVENT.c.tenant_id),
        (CAUSE, NOTICE, CAUSE.c.notice_id, of_csm),
    ]
    findings = []
    for table, other, reference, differs in pairs:
        mixed = select(table.c.tenant_id, func.count()).join(other, other.c.id == reference).where(differs)
        for tenant, count in await conn.execute(mixed.group_by(table.c.tenant_id).order_by(table.c.tenant_id)):
            message = f"{count} rows of {table.name} are of another tenant than their {other.name}"
            findings.append(_found(tenant, message, f"hold mail back (HARVEST_MONITOR_NOTICES=off); {_REPORT}"))
    return findings


async def _untold(conn: AsyncConnection, now: datetime, told_within: timedelta) -> list[DatabaseFinding]:
    """No cause waits for longer than it should while credentials are looked at, so that the service is there."""
    alive = await last_look(conn, now)
    if alive is None:
        return []
    c = CAUSE.c
    late = select(c.tenant_id, func.count(), func.min(c.created_at)).where(
        c.settled_at.is_(None), c.created_at < alive - told_within
    )
    return [
        _found(
            tenant,
            f"{count} causes wait to be told since {since:%Y-%m-%d %H:%M}Z, and checks went on",
            "see that `harvest-monitor serve` runs, and what its log says of notices; it tells what waits",
        )
        for tenant, count, since in await conn.execute(late.group_by(c.tenant_id).order_by(c.tenant_id))
    ]


async def _notices(conn: AsyncConnection) -> list[DatabaseFinding]:
    """What waits to be sent has a moment for it and a text, and a CSM's is about one tenant, but for retired keys."""
    c = NOTICE.c
    never = c.next_attempt_at.is_(None) & (c.status == Status.PENDING)
    empty = (c.text == "") & c.status.in_([Status.PENDING, Status.HELD, Status.FAILED])
    nobodys = c.tenant_id.is_(None) & (c.audience == Audience.CSM) & ~c.why.startswith(WHY)
    return [
        *await _wrong_notices(conn, never, "waits, and would never be sent"),
        *await _wrong_notices(conn, empty, "is to be sent, and has no text"),
        *await _wrong_notices(conn, nobodys, "is for a CSM, and about no tenant"),
    ]


async def _wrong_notices(conn: AsyncConnection, which: ColumnElement[bool], wrong: str) -> Iterable[DatabaseFinding]:
    next_step = "tell its reader yourself: `harvest-monitor history` has what it was about"
    listed = select(NOTICE.c.tenant_id, NOTICE.c.id).where(which).order_by(NOTICE.c.id)
    return [_found(tenant, f"notice {number} {wrong}", next_step) for tenant, number in await conn.execute(listed)]


async def _ahead(conn: AsyncConnection, now: datetime) -> list[DatabaseFinding]:
    """No fact is dated ahead of now."""
    tables, until = [], now
    for table in METADATA.sorted_tables:
        facts = [c for c in table.columns if isinstance(c.type, UTCDateTime) and c.name not in _PLANS]
        latest = [moment for moment in await _latest(conn, facts) if moment > now + AHEAD]
        if latest:
            tables.append(table.name)
            until = max(until, *latest)
    if not tables:
        return []
    message = f"rows are dated ahead of now, up to {until:%Y-%m-%d %H:%M}Z ({', '.join(tables)})"
    next_step = "see that this machine's clock and the service's are right; until then the rows count as new, no more"
    return [_found(None, message, next_step)]


async def _latest(conn: AsyncConnection, columns: list[Column[datetime]]) -> list[datetime]:
    if not columns:
        return []
    latest = (await conn.execute(select(*(func.max(column) for column in columns)))).one()
    return [moment for moment in latest if moment is not None]


def _look_again(tenant: str) -> str:
    return f"the next check puts it right (`harvest-monitor check {tenant} --record`); {_REPORT}"


def _found(tenant: str | None, message: str, next_step: str) -> DatabaseFinding:
    return DatabaseFinding(Part.RECORDS, tenant, message, next_step)
