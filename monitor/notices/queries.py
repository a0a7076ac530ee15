"""The statements on causes and notices."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, RowMapping, and_, bindparam, case, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.changes import ENDS, PendingCause
from monitor.notices.content.messages import StillMissing
from monitor.notices.notice import ClaimedNotice, Status
from monitor.notices.partners import PARTNER, Holding
from monitor.store.columns import UTCDateTime
from monitor.store.tables import (
    CAUSE,
    CREDENTIAL,
    DRIFT_EVENT,
    NOTICE,
    OPERATOR_ACTION,
    PERMISSION_STATE,
    TENANT,
)

Id = TypeVar("Id", int, str)

_AT_ONCE = 1000  # ids in one statement: both databases allow some 32,000 parameters


@dataclass(frozen=True, slots=True)
class ListedNotice:
    """A notice as a list shows it, without its text."""

    id: int
    tenant_id: str | None
    audience: str
    status: str
    why: str
    recipient: str
    subject: str
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: int
    last_error: str | None
    sent_at: datetime | None
    failed_at: datetime | None
    fallback: bool


_LISTED = [NOTICE.c[name] for name in ListedNotice.__slots__]


async def open_causes(conn: AsyncConnection) -> list[PendingCause]:
    """Every cause that is unsettled, and those whose notice is held, with what the composer must know of each."""
    unsettled = select(CAUSE.c.id).where(CAUSE.c.settled_at.is_(None))
    held = select(CAUSE.c.id).join(NOTICE, NOTICE.c.id == CAUSE.c.notice_id).where(NOTICE.c.status == Status.HELD)
    statement = (
        select(
            *CAUSE.c["id", "event_id", "audience", "brake_key", "created_at"],
            *DRIFT_EVENT.c["kind", "tenant_id", "credential_id", "permission_id", "permission_group"],
            *DRIFT_EVENT.c["permission_label", "mapping", "state", "detail", "seen_before", "first_seen", "at"],
            DRIFT_EVENT.c.manifest_digest,
            TENANT.c.name.label("tenant_name"),
            *TENANT.c["csm_name", "csm_email"],
            TENANT.c.removed_at.is_not(None).label("removed"),
            CREDENTIAL.c.label.label("credential_label"),
            CREDENTIAL.c.kind.label("credential_kind"),
            CREDENTIAL.c.oauth,
            case((CAUSE.c.settled_at.is_not(None), CAUSE.c.notice_id)).label("held_in"),
        )
        .join_from(CAUSE, DRIFT_EVENT, DRIFT_EVENT.c.id == CAUSE.c.event_id)
        .join(TENANT, TENANT.c.id == CAUSE.c.tenant_id)
        .join(CREDENTIAL, CREDENTIAL.c.id == DRIFT_EVENT.c.credential_id)
        .where(CAUSE.c.id.in_(unsettled.union_all(held)))
        .order_by(CAUSE.c.id)
    )
    rows = (await conn.execute(statement)).mappings().all()
    told = await _told_before(conn, {row["tenant_id"] for row in rows if row["kind"] in ENDS})
    return [_open_cause(row, told) for row in rows]


_Subject = tuple[int, str | None]
"""Credential, permission."""


class _Told(NamedTuple):
    """An event, for whom it was, the notice that told it unless that was dropped, and who had that."""

    event: int
    audience: str
    notice: int | None
    reader: str


async def _told_before(conn: AsyncConnection, tenants: Collection[str]) -> dict[_Subject, list[_Told]]:
    """By subject, the causes of these tenants so far."""
    told: dict[_Subject, list[_Told]] = {}
    for portion in _portions(tenants):
        statement = (
            select(
                DRIFT_EVENT.c.credential_id,
                DRIFT_EVENT.c.permission_id,
                DRIFT_EVENT.c.id,
                CAUSE.c.audience,
                case((NOTICE.c.status != Status.DROPPED, NOTICE.c.id)),
                func.coalesce(NOTICE.c.audience, CAUSE.c.audience),
            )
            .join_from(DRIFT_EVENT, CAUSE, CAUSE.c.event_id == DRIFT_EVENT.c.id)
            .outerjoin(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
            .where(DRIFT_EVENT.c.tenant_id.in_(portion))
            .order_by(DRIFT_EVENT.c.id)
        )
        for credential, permission, *before in await conn.execute(statement):
            told.setdefault((credential, permission), []).append(_Told(*before))
    return told


def _open_cause(row: RowMapping, told: dict[_Subject, list[_Told]]) -> PendingCause:
    facts = dict(row)
    facts["kind"], facts["audience"] = EventKind(row["kind"]), Audience(row["audience"])
    oauth = facts.pop("oauth")
    facts["credential_grant"] = oauth["grant"] if oauth else None
    if row["kind"] in ENDS:
        beginning = _beginning(row, told[row["credential_id"], row["permission_id"]])
        if beginning is not None:
            facts["told_by"], facts["audience"] = beginning.notice, Audience(beginning.reader)
    return PendingCause(**facts)


def _beginning(end: RowMapping, told: list[_Told]) -> _Told | None:
    """What an end puts an end to: who heard of it, or is to, hears of the end, whoever hears of such things by now.

    Where an end is for both readers, each has a beginning of their own.
    """
    for_both = len({each.audience for each in told if each.event == end["event_id"]}) > 1
    before = [each for each in told if each.event < end["event_id"]]
    if for_both:
        before = [each for each in before if each.audience == end["audience"]]
    return before[-1] if before else None


async def active_tenants(conn: AsyncConnection) -> int:
    statement = select(func.count()).select_from(TENANT).where(TENANT.c.removed_at.is_(None))
    return int((await conn.execute(statement)).scalar_one())


async def partners(conn: AsyncConnection, permissions: Collection[str]) -> dict[str, Holding]:
    """Who holds which of these permissions, of the credentials of a partner's client that work."""
    state = PERMISSION_STATE.c
    granted = and_(state.verdict == "granted", state.suspect_since.is_(None), state.undecided_since.is_(None))
    looked_at = func.max(case((granted, CREDENTIAL.c.last_full_at)), type_=UTCDateTime())
    statement = (
        select(state.permission_id, func.count(), func.count().filter(state.verdict == "granted"), looked_at)
        .join_from(PERMISSION_STATE, CREDENTIAL, CREDENTIAL.c.id == state.credential_id)
        .where(
            CREDENTIAL.c.removed_at.is_(None),
            CREDENTIAL.c.state == CredentialState.OK,
            CREDENTIAL.c.oauth["grant"].as_string() == PARTNER,
            state.verdict.is_not(None),
        )
        .group_by(state.permission_id)
    )
    found: dict[str, Holding] = {}
    for portion in _portions(permissions):
        asked = await conn.execute(statement.where(state.permission_id.in_(portion)))
        found.update({name: Holding(*facts) for name, *facts in asked})
    return found


async def still_missing(conn: AsyncConnection) -> tuple[StillMissing, ...]:
    """What CSMs were told is missing, and still is, of the tenants for whom something else has just ended."""
    ended = (
        select(CAUSE.c.tenant_id)
        .join(DRIFT_EVENT, DRIFT_EVENT.c.id == CAUSE.c.event_id)
        .where(CAUSE.c.settled_at.is_(None), CAUSE.c.audience == Audience.CSM, DRIFT_EVENT.c.kind.in_(ENDS))
    )
    event, state = DRIFT_EVENT.alias(), PERMISSION_STATE
    named = state.c["credential_id", "permission_id", "permission_group", "permission_label"]
    # Asked of each event: joined, SQLite might begin with all notices that were ever sent.
    told = (
        select(CAUSE.c.id)
        .join(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
        .where(
            CAUSE.c.event_id == event.c.id,
            CAUSE.c.audience == Audience.CSM,
            NOTICE.c.status.in_([Status.PENDING, Status.SENT]),
        )
        .correlate(event)
    )
    statement = (
        select(*named)
        .join_from(state, event, _same_permission(state, event))
        .where(
            state.c.verdict == "missing",
            state.c.origin == EventKind.LOST,
            event.c.kind == EventKind.LOST,
            event.c.tenant_id.in_(ended),
            told.exists(),
        )
        .group_by(*named)
        .order_by(func.max(event.c.id))
    )
    return tuple(StillMissing(*row) for row in await conn.execute(statement))


def _same_permission(state: Any, event: Any) -> ColumnElement[bool]:
    same: ColumnElement[bool] = (event.c.credential_id == state.c.credential_id) & (
        event.c.permission_id == state.c.permission_id
    )
    return same


async def add(conn: AsyncConnection, notices: Sequence[dict[str, Any]]) -> list[int]:
    """Write notices, all with the same columns, and return their ids in the same order."""
    if not notices:
        return []
    statement = insert(NOTICE).returning(NOTICE.c.id, sort_by_parameter_order=True)
    return list((await conn.execute(statement, notices)).scalars())


async def has_message(conn: AsyncConnection, message_id: str) -> bool:
    found = await conn.execute(select(exists().where(NOTICE.c.message_id == message_id)))
    return bool(found.scalar_one())


async def last_written(conn: AsyncConnection, why: str) -> datetime | None:
    """When a notice was last written for this reason."""
    latest = select(NOTICE.c.created_at).where(NOTICE.c.why == why).order_by(NOTICE.c.created_at.desc()).limit(1)
    found: datetime | None = (await conn.execute(latest)).scalar_one_or_none()
    return found


async def settle(conn: AsyncConnection, causes: Collection[int], told_by: int | None, now: datetime) -> int:
    """Settle unsettled causes; how many there were. `told_by` is a notice that had told the same before."""
    changed = 0
    for ids in _portions(causes):
        statement = update(CAUSE).where(CAUSE.c.id.in_(ids), CAUSE.c.settled_at.is_(None))
        changed += (await conn.execute(statement.values(settled_at=now, notice_id=told_by))).rowcount
    return changed


async def tell(conn: AsyncConnection, notice_of: Mapping[int, int]) -> None:
    """Let notices speak for causes that the caller has settled, or taken from a held notice; by cause."""
    if notice_of:
        statement = update(CAUSE).where(CAUSE.c.id == bindparam("cause")).values(notice_id=bindparam("notice"))
        rows = [{"cause": cause, "notice": notice} for cause, notice in notice_of.items()]
        await conn.execute(statement, rows)


async def drop_overtaken(conn: AsyncConnection, notices: Collection[int]) -> int:
    """Held notices that later events took over or emptied are never sent; how many were still held."""
    changed = 0
    for ids in _portions(notices):
        statement = update(NOTICE).where(NOTICE.c.id.in_(ids), NOTICE.c.status == Status.HELD)
        changed += (await conn.execute(statement.values(status=Status.DROPPED))).rowcount
    return changed


async def claim(
    conn: AsyncConnection, due: datetime, until: datetime, last: Collection[str] = ()
) -> ClaimedNotice | None:
    """The notice that is next, for the caller alone until the given moment.

    The operator's go first, and then what is due longest; but readers at the domains in `last` wait for all others.
    Nothing overtakes what the same reader is still to be told of the same tenant: the last word must be the latest.
    """
    earlier = NOTICE.alias()
    overtakes = exists().where(
        earlier.c.tenant_id == NOTICE.c.tenant_id,
        earlier.c.recipient == NOTICE.c.recipient,
        earlier.c.status == Status.PENDING,
        earlier.c.id < NOTICE.c.id,
    )
    is_due = (NOTICE.c.status == Status.PENDING, NOTICE.c.next_attempt_at <= due, ~overtakes)
    order = [NOTICE.c.audience != Audience.OPERATOR, NOTICE.c.next_attempt_at, NOTICE.c.id]
    if last:
        order.insert(0, or_(*[NOTICE.c.recipient.iendswith(f"@{domain}", autoescape=True) for domain in last]))
    first = select(NOTICE.c.id).where(*is_due).order_by(*order).limit(1)
    statement = (
        update(NOTICE)
        .where(NOTICE.c.id == first.with_for_update(skip_locked=True).scalar_subquery(), *is_due)
        .values(attempts=NOTICE.c.attempts + 1, next_attempt_at=until)
        .returning(*[NOTICE.c[name] for name in ClaimedNotice.__slots__])
    )
    row = (await conn.execute(statement)).one_or_none()
    return ClaimedNotice(*row) if row else None


async def mark_sent(conn: AsyncConnection, notice_id: int, at: datetime) -> None:
    """It is with the mail server, whoever else has taken it up meanwhile."""
    columns = {"status": Status.SENT, "sent_at": at, "next_attempt_at": None, "last_error": None}
    statement = update(NOTICE).where(NOTICE.c.id == notice_id, NOTICE.c.status == Status.PENDING)
    await conn.execute(statement.values(columns))


async def write_down(conn: AsyncConnection, notice_id: int, claimed_until: datetime, **columns: Any) -> None:
    """How an attempt failed, unless the claim is not the caller's any more."""
    ours = (NOTICE.c.status == Status.PENDING) & (NOTICE.c.next_attempt_at == claimed_until)
    await conn.execute(update(NOTICE).where(NOTICE.c.id == notice_id, ours).values(columns))


async def wait_too(conn: AsyncConnection, recipient: str, now: datetime, until: datetime) -> None:
    """What is due for a reader who was just refused waits with the one that was refused."""
    is_due = (NOTICE.c.status == Status.PENDING) & (NOTICE.c.next_attempt_at <= now)
    due = select(NOTICE.c.id).where(is_due, NOTICE.c.recipient == recipient).with_for_update(skip_locked=True)
    await conn.execute(update(NOTICE).where(NOTICE.c.id.in_(due)).values(next_attempt_at=until))


async def bring_back(conn: AsyncConnection, now: datetime, longest: timedelta, hold: timedelta) -> int:
    """Mend what a clock set back leaves behind: notices that would wait for longer than anything makes them wait.

    They are tried after `hold`, since one of them may be on its way; returns how many.
    """
    astray = (NOTICE.c.status == Status.PENDING) & (NOTICE.c.next_attempt_at > now + max(longest, hold))
    return (await conn.execute(update(NOTICE).where(astray).values(next_attempt_at=now + hold))).rowcount


async def first_failure(conn: AsyncConnection, apart_from: str) -> datetime | None:
    """Since when there is a failed notice that the operator was not told of; those to one reader do not count."""
    statement = select(func.min(NOTICE.c.failed_at)).where(_unreported(apart_from))
    found: datetime | None = (await conn.execute(statement)).scalar_one()
    return found


async def report_failures(conn: AsyncConnection, now: datetime, apart_from: str) -> list[ListedNotice]:
    """Mark all of those as told, and return them, the oldest first."""
    statement = update(NOTICE).where(_unreported(apart_from)).values(reported_at=now).returning(*_LISTED)
    failed = [ListedNotice(*row) for row in await conn.execute(statement)]
    return sorted(failed, key=lambda notice: notice.id)


def _unreported(apart_from: str) -> ColumnElement[bool]:
    waiting: ColumnElement[bool] = (NOTICE.c.status == Status.FAILED) & NOTICE.c.reported_at.is_(None)
    return waiting & (func.lower(NOTICE.c.recipient) != apart_from.lower())


async def end_hold(conn: AsyncConnection, ids: Collection[int] | None, **columns: Any) -> list[int]:
    """Change held notices, all of them or those named; returns which were held."""
    return await _change(conn, Status.HELD, ids, columns)


async def drop_failed(conn: AsyncConnection, ids: Collection[int]) -> list[int]:
    """Never try failed notices again; returns which were failed."""
    return await _change(conn, Status.FAILED, ids, {"status": Status.DROPPED})


async def retry_failed(
    conn: AsyncConnection, ids: Collection[int] | None, now: datetime, stays_with: str | None
) -> list[int]:
    """Let failed notices begin anew, all of them or those named; returns which were failed.

    What was for a CSM goes to the one whom the tenants file names by now, unless it went to the reader `stays_with`;
    with None all goes where it went.
    """
    anew: dict[str, Any] = {
        "status": Status.PENDING,
        "next_attempt_at": now,
        "pending_since": now,
        "attempts": 0,
        "failed_at": None,
        "reported_at": None,
    }
    if stays_with is not None:
        csm = select(TENANT.c.csm_email).where(TENANT.c.id == NOTICE.c.tenant_id).scalar_subquery()
        to_csm = (NOTICE.c.audience == Audience.CSM) & (func.lower(NOTICE.c.recipient) != stays_with.lower())
        anew["recipient"] = case((to_csm, func.coalesce(csm, NOTICE.c.recipient)), else_=NOTICE.c.recipient)
    return await _change(conn, Status.FAILED, ids, anew)


async def _change(
    conn: AsyncConnection, status: Status, ids: Collection[int] | None, columns: Mapping[str, Any]
) -> list[int]:
    statement = update(NOTICE).where(NOTICE.c.status == status)
    if ids is not None:
        statement = statement.where(NOTICE.c.id.in_(ids))
    return sorted((await conn.execute(statement.values(columns).returning(NOTICE.c.id))).scalars())


async def record_action(conn: AsyncConnection, action: dict[str, Any]) -> None:
    await conn.execute(insert(OPERATOR_ACTION).values(action))


async def list_notices(
    conn: AsyncConnection, statuses: Collection[str], tenant_id: str | None, limit: int
) -> list[ListedNotice]:
    """The newest first."""
    statement = select(*_LISTED).where(NOTICE.c.status.in_(statuses)).order_by(NOTICE.c.id.desc()).limit(limit)
    if tenant_id is not None:
        statement = statement.where(NOTICE.c.tenant_id == tenant_id)
    return [ListedNotice(*row) for row in await conn.execute(statement)]


def _portions(ids: Collection[Id]) -> Iterator[list[Id]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]
