"""What must hold between the records of a sound database, and where it does not hold."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Column, ColumnElement, Table, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialKind, CredentialState
from checks.report import Outcome, Verdict
from monitor.checking.claim_queries import AHEAD
from monitor.drift import EventKind
from monitor.incidents import grouping_queries, known_queries, status_queries
from monitor.incidents.event_queries import troubles
from monitor.incidents.rules import Audience, Step, Trouble, incident_step
from monitor.incidents.status import TenantStatus
from monitor.notices.immediate.retired_keys_rules import WHY
from monitor.notices.notice import Status
from monitor.notices.wording import counted
from monitor.store.burst_tables import BURST
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
    STATUS_CHANGE,
    TENANT,
)
from monitor.upkeep.finding import DatabasePart, HealthFinding

_REPORT = (
    "a service of this release does not write this: find out what else writes to the database, and please report it"
)
_RESYNC = (
    "remove the tenant from the tenants file, or add it if it is missing, and run `harvest-monitor tenants sync`; then "
    f"undo that and run it again; {_REPORT}"
)
_MAY_BE_FUTURE = ("next_due", "next_attempt_at", "expires_at")  # plans; all other dates are facts
_VALUES: dict[tuple[Table, str], type[StrEnum]] = {
    (CREDENTIAL, "kind"): CredentialKind,
    (CREDENTIAL, "state"): CredentialState,
    (CREDENTIAL, "suspect_state"): CredentialState,
    (CHECK, "state"): CredentialState,
    (CHECK, "outcome"): Outcome,
    (CHECK_DAY, "state"): CredentialState,
    (PERMISSION_STATE, "verdict"): Verdict,
    (PERMISSION_STATE, "origin"): EventKind,
    (DRIFT_EVENT, "kind"): EventKind,
    (BURST, "kind"): EventKind,
    (CAUSE, "audience"): Audience,
    (NOTICE, "audience"): Audience,
    (NOTICE, "status"): Status,
    (TENANT, "status"): TenantStatus,
    (STATUS_CHANGE, "status"): TenantStatus,
    (STATUS_CHANGE, "previous"): TenantStatus,
}


async def last_check(conn: AsyncConnection, now: datetime) -> datetime | None:
    """When any credential was last checked: the service's last sign of life. Ignores dates a wrong clock put ahead."""
    checked = CREDENTIAL.c.last_checked_at
    found: datetime | None = (await conn.execute(select(func.max(checked)).where(checked <= now))).scalar_one()
    return found


async def of_records(conn: AsyncConnection, now: datetime, notified_within: timedelta) -> list[HealthFinding]:
    """In one reading transaction, so nothing is seen half done.

    `notified_within` is how long a cause may wait for its notice while the service runs.
    """
    return [
        *await _values(conn),
        *await _incidents(conn),
        *await _counts(conn),
        *await _statuses(conn),
        *await _bursts(conn),
        *await _schedule(conn),
        *await _cross_tenant(conn),
        *await _late_causes(conn, now, notified_within),
        *await _notices(conn),
        *await _future_dates(conn, now),
    ]


async def _values(conn: AsyncConnection) -> list[HealthFinding]:
    findings = []
    for (table, name), known in _VALUES.items():
        column = table.c[name]
        unknown = select(column, func.count()).where(column.is_not(None), column.not_in(list(known))).group_by(column)
        for value, count in await conn.execute(unknown):
            message = (
                f"{counted(count, 'row')} of {table.name} with the {name} {value!r}, which this release does not know"
            )
            findings.append(_finding(None, message, "use the release that wrote it, or restore a backup"))
    return findings


async def _incidents(conn: AsyncConnection) -> list[HealthFinding]:
    """Every tenant in trouble has an open incident, and no other tenant has one."""
    found = await troubles(conn)
    is_open = INCIDENT.c.resolved_at.is_(None)
    with_incident = set((await conn.execute(select(INCIDENT.c.tenant_id).where(is_open))).scalars())
    unchecked = await _returned_unchecked(conn)
    findings = []
    for tenant in sorted(with_incident.union(found)):
        trouble = found.get(tenant, Trouble())
        match incident_step(tenant in with_incident, trouble):
            case Step.OPEN if tenant not in unchecked:
                what = f"in trouble ({trouble.missing} missing, {trouble.failing} credentials failing)"
                findings.append(_finding(tenant, f"{what}, and no incident is open", _check_again(tenant)))
            case Step.RESOLVE:
                next_step = _check_again(tenant) if tenant in found else _RESYNC
                findings.append(_finding(tenant, "an incident is open, but nothing is wrong", next_step))
    return findings


async def _returned_unchecked(conn: AsyncConnection) -> set[str]:
    """Tenants whose incident ended when their credential was removed, and which is back and not checked yet.

    The next check opens the incident again.
    """
    c = CREDENTIAL.c
    ended = select(INCIDENT.c.tenant_id, func.max(INCIDENT.c.resolved_at).label("at")).group_by(INCIDENT.c.tenant_id)
    last = ended.subquery()
    troubled = or_(c.missing > 0, c.state != CredentialState.OK)
    back = select(c.tenant_id).join(last, last.c.tenant_id == c.tenant_id)
    return set((await conn.execute(back.where(troubled, c.last_checked_at <= last.c.at))).scalars())


async def _counts(conn: AsyncConnection) -> list[HealthFinding]:
    return [
        _finding(
            wrong.tenant_id,
            f"{wrong.label}: {wrong.count} is stored as {wrong.stored}, but the rows add up to {wrong.counted}",
            _check_again(wrong.tenant_id),
        )
        for wrong in await known_queries.miscounts(conn)
    ]


async def _statuses(conn: AsyncConnection) -> list[HealthFinding]:
    """The status of every tenant follows from its credentials, and is the newest in its history."""
    findings = []
    for wrong in await status_queries.mismatches(conn):
        checked = wrong.status not in (TenantStatus.PAUSED, TenantStatus.REMOVED)
        message = f"its status is stored as {wrong.previous}, but its credentials make it {wrong.status}"
        findings.append(_finding(wrong.tenant_id, message, _check_again(wrong.tenant_id) if checked else _RESYNC))
    for tenant, status, severity, newest in await status_queries.unrecorded(conn):
        message = f"its status is stored as {status} with severity {severity}, but its history ends with {newest}"
        findings.append(_finding(tenant, message, _RESYNC))
    return findings


async def _bursts(conn: AsyncConnection) -> list[HealthFinding]:
    return [
        _finding(
            None,
            f"burst {wrong.id} is stored with {wrong.events} events of {wrong.tenants} tenants, "
            f"but the rows add up to {wrong.found_events} of {wrong.found_tenants}",
            f"its page and the list of changes show wrong numbers; {_REPORT}",
        )
        for wrong in await grouping_queries.miscounts(conn)
    ]


async def _schedule(conn: AsyncConnection) -> list[HealthFinding]:
    """An active credential has a next check, unless its row in the tenants file is unusable; a removed or paused one
    has none.
    """
    c, t = CREDENTIAL.c, TENANT.c
    gone = or_(c.removed_at.is_not(None), t.removed_at.is_not(None), t.paused.is_not(None))
    forgotten = and_(~gone, c.next_due.is_(None), t.problem.is_(None))
    wrong = or_(forgotten, and_(gone, c.next_due.is_not(None)))
    listed = select(c.tenant_id, c.label, c.next_due).join(TENANT, t.id == c.tenant_id).where(wrong)
    return [
        _finding(
            tenant,
            f"{label}: no next check is scheduled"
            if due is None
            else f"{label}: removed or paused, but a next check is scheduled",
            _RESYNC,
        )
        for tenant, label, due in await conn.execute(listed.order_by(c.tenant_id, c.label))
    ]


async def _cross_tenant(conn: AsyncConnection) -> list[HealthFinding]:
    """Rows that belong together belong to one tenant: nobody may ever read about another customer."""
    # A notice to the operator may be a digest of many tenants.
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
            message = f"{counted(count, 'row')} of {table.name} with another tenant than that of the {other.name}"
            findings.append(_finding(tenant, message, f"stop all notices (HARVEST_MONITOR_NOTICES=off); {_REPORT}"))
    return findings


async def _late_causes(conn: AsyncConnection, now: datetime, notified_within: timedelta) -> list[HealthFinding]:
    """Causes that wait too long for their notice although credentials are checked, so the service is running.

    Those of a removed tenant wait for its return, and those of retired keys for each other.
    """
    # Measured from the last check, not from now: a database at rest, such as a backup, is not reported for its age.
    alive = await last_check(conn, now)
    if alive is None:
        return []
    c = CAUSE.c
    late = (
        select(c.tenant_id, func.count(), func.min(c.created_at))
        .join(TENANT, TENANT.c.id == c.tenant_id)
        .where(
            c.settled_at.is_(None),
            c.created_at < alive - notified_within,
            c.brake_key != f"{EventKind.CREDENTIAL_FAILED}:{CredentialState.RETIRED}",
            TENANT.c.removed_at.is_(None),
        )
    )
    return [
        _finding(
            tenant,
            f"{counted(count, 'cause')} without a notice since {since:%Y-%m-%d %H:%M}Z, although checks went on",
            "check that `harvest-monitor serve` is running, and what its log says about notices; it sends what waits",
        )
        for tenant, count, since in await conn.execute(late.group_by(c.tenant_id).order_by(c.tenant_id))
    ]


async def _notices(conn: AsyncConnection) -> list[HealthFinding]:
    """A notice to be sent has a time and a text; one to a CSM is about one tenant, except about retired keys."""
    c = NOTICE.c
    no_time = c.next_attempt_at.is_(None) & (c.status == Status.PENDING)
    no_text = (c.text == "") & c.status.in_([Status.PENDING, Status.HELD, Status.FAILED])
    no_tenant = c.tenant_id.is_(None) & (c.audience == Audience.CSM) & ~c.why.startswith(WHY)
    return [
        *await _wrong_notices(conn, no_time, "is pending, but would never be sent"),
        *await _wrong_notices(conn, no_text, "is to be sent, but has no text"),
        *await _wrong_notices(conn, no_tenant, "is for a CSM, but about no tenant"),
    ]


async def _wrong_notices(conn: AsyncConnection, which: ColumnElement[bool], wrong: str) -> Iterable[HealthFinding]:
    next_step = "inform its recipient yourself: `harvest-monitor history` shows what it was about"
    listed = select(NOTICE.c.tenant_id, NOTICE.c.id).where(which).order_by(NOTICE.c.id)
    return [_finding(tenant, f"notice {number} {wrong}", next_step) for tenant, number in await conn.execute(listed)]


async def _future_dates(conn: AsyncConnection, now: datetime) -> list[HealthFinding]:
    """No fact is dated in the future."""
    tables, until = [], now
    for table in METADATA.sorted_tables:
        facts = [c for c in table.columns if isinstance(c.type, UTCDateTime) and c.name not in _MAY_BE_FUTURE]
        latest = [moment for moment in await _latest(conn, facts) if moment > now + AHEAD]
        if latest:
            tables.append(table.name)
            until = max(until, *latest)
    if not tables:
        return []
    message = f"rows are dated in the future, up to {until:%Y-%m-%d %H:%M}Z ({', '.join(tables)})"
    next_step = "correct this machine's clock or the service's; until their date has come, the rows merely count as new"
    return [_finding(None, message, next_step)]


async def _latest(conn: AsyncConnection, columns: list[Column[datetime]]) -> list[datetime]:
    if not columns:
        return []
    latest = (await conn.execute(select(*(func.max(column) for column in columns)))).one()
    return [moment for moment in latest if moment is not None]


def _check_again(tenant: str) -> str:
    return f"the next check corrects it (`harvest-monitor check {tenant} --record`); {_REPORT}"


def _finding(tenant: str | None, message: str, next_step: str) -> HealthFinding:
    return HealthFinding(DatabasePart.RECORDS, message, next_step, tenant)
