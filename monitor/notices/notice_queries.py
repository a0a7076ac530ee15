"""The statements on notices: writing, listing, and what an operator changes. Sending has its own, `outbox_queries`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, case, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents.rules import Audience
from monitor.notices.notice import Status
from monitor.store.tables import NOTICE, NOTICE_ACTION, OPERATOR_ACTION, TENANT

Id = TypeVar("Id", int, str)

REFUSED_OFTEN = 4  # attempts, over 21 minutes: greylisting is over by then
_BATCH = 1000  # ids in one statement: both databases allow some 32,000 parameters


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


@dataclass(frozen=True, slots=True)
class PastAction:
    """What an operator did with a notice."""

    at: datetime
    who: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class WholeNotice:
    """A notice as it would be sent, or was; `text` and `html` are empty once they were deleted."""

    listed: ListedNotice
    message_id: str
    text: str
    html: str
    actions: tuple[PastAction, ...]


_LISTED = [NOTICE.c[name] for name in ListedNotice.__slots__]


def batches(ids: Collection[Id]) -> Iterator[list[Id]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


async def add(conn: AsyncConnection, notices: Sequence[dict[str, Any]]) -> list[int]:
    """Write notices, all with the same columns, and return their ids in the same order."""
    if not notices:
        return []
    # RETURNING alone promises no order.
    statement = insert(NOTICE).returning(NOTICE.c.id, sort_by_parameter_order=True)
    return list((await conn.execute(statement, notices)).scalars())


async def has_message_id(conn: AsyncConnection, message_id: str) -> bool:
    found = await conn.execute(select(exists().where(NOTICE.c.message_id == message_id)))
    return bool(found.scalar_one())


async def last_written(conn: AsyncConnection, why: str) -> datetime | None:
    """When a notice was last written for this reason."""
    latest = select(NOTICE.c.created_at).where(NOTICE.c.why == why).order_by(NOTICE.c.created_at.desc()).limit(1)
    found: datetime | None = (await conn.execute(latest)).scalar_one_or_none()
    return found


async def list_notices(
    conn: AsyncConnection, statuses: Collection[str], tenant_id: str | None, limit: int
) -> list[ListedNotice]:
    """The newest first."""
    statement = select(*_LISTED).where(NOTICE.c.status.in_(statuses)).order_by(NOTICE.c.id.desc()).limit(limit)
    if tenant_id is not None:
        statement = statement.where(NOTICE.c.tenant_id == tenant_id)
    return [ListedNotice(*row) for row in await conn.execute(statement)]


async def whole_notice(conn: AsyncConnection, number: int) -> WholeNotice | None:
    """None if there is no such notice."""
    found = select(*_LISTED, *NOTICE.c["message_id", "text", "html"]).where(NOTICE.c.id == number)
    row = (await conn.execute(found)).one_or_none()
    if row is None:
        return None
    done = OPERATOR_ACTION.c
    of_notice = (
        select(done.at, done.who, done.action, done.reason)
        .join(NOTICE_ACTION, NOTICE_ACTION.c.action_id == done.id)
        .where(NOTICE_ACTION.c.notice_id == number)
        .order_by(done.id)
    )
    actions = tuple(PastAction(*action) for action in await conn.execute(of_notice))
    listed = ListedNotice(*row[: len(_LISTED)])
    return WholeNotice(listed, row.message_id, row.text, row.html, actions)


async def last_actions(conn: AsyncConnection, notices: Collection[int]) -> dict[int, PastAction]:
    """What an operator last did with each; none for a notice that nobody touched."""
    done, found = OPERATOR_ACTION.c, {}
    for ids in batches(notices):
        statement = (
            select(NOTICE_ACTION.c.notice_id, done.at, done.who, done.action, done.reason)
            .join(OPERATOR_ACTION, done.id == NOTICE_ACTION.c.action_id)
            .where(NOTICE_ACTION.c.notice_id.in_(ids))
            .order_by(done.id)
        )
        found.update({notice: PastAction(*action) for notice, *action in await conn.execute(statement)})
    return found


async def count_held(conn: AsyncConnection) -> int:
    held = select(func.count()).select_from(NOTICE).where(NOTICE.c.status == Status.HELD)
    return int((await conn.execute(held)).scalar_one())


async def drop_superseded(conn: AsyncConnection, notices: Collection[int]) -> int:
    """Drop held notices that a newer one replaces, or with nothing left to report; returns how many were still held."""
    changed = 0
    for ids in batches(notices):
        statement = update(NOTICE).where(NOTICE.c.id.in_(ids), NOTICE.c.status == Status.HELD)
        changed += (await conn.execute(statement.values(status=Status.DROPPED))).rowcount
    return changed


async def release_held(conn: AsyncConnection, ids: Collection[int] | None, now: datetime) -> list[int]:
    """Make held notices due, all of them or those named; returns which were held."""
    due = {"status": Status.PENDING, "next_attempt_at": now, "pending_since": now}
    return await _change(conn, Status.HELD, ids, due)


async def drop_held(conn: AsyncConnection, ids: Collection[int] | None) -> list[int]:
    """Never send held notices, all of them or those named; returns which were held."""
    return await _change(conn, Status.HELD, ids, {"status": Status.DROPPED})


async def drop_failed(conn: AsyncConnection, ids: Collection[int]) -> list[int]:
    """Never try failed notices again; returns which were failed."""
    return await _change(conn, Status.FAILED, ids, {"status": Status.DROPPED})


async def retry_failed(
    conn: AsyncConnection, ids: Collection[int] | None, now: datetime, stays_with: str | None
) -> list[int]:
    """Give failed notices a fresh schedule, all of them or those named; returns which were failed.

    A notice for a CSM goes to the CSM whom the tenants file names now, unless it went to the reader `stays_with`.
    With None, every notice goes to the same reader as before.
    """
    fresh: dict[str, Any] = {
        "status": Status.PENDING,
        "next_attempt_at": now,
        "pending_since": now,
        "attempts": 0,
        "failed_at": None,
        "reported_at": None,  # if it fails again, it is reported again
    }
    if stays_with is not None:
        csm = select(TENANT.c.csm_email).where(TENANT.c.id == NOTICE.c.tenant_id).scalar_subquery()
        # An email that went to the operator instead says so in its text: it is not for the CSM.
        to_csm = (NOTICE.c.audience == Audience.CSM) & (func.lower(NOTICE.c.recipient) != stays_with.lower())
        fresh["recipient"] = case((to_csm, func.coalesce(csm, NOTICE.c.recipient)), else_=NOTICE.c.recipient)
    return await _change(conn, Status.FAILED, ids, fresh)


async def _change(
    conn: AsyncConnection, status: Status, ids: Collection[int] | None, columns: Mapping[str, Any]
) -> list[int]:
    statement = update(NOTICE).where(NOTICE.c.status == status).values(columns).returning(NOTICE.c.id)
    parts = [statement] if ids is None else [statement.where(NOTICE.c.id.in_(batch)) for batch in batches(ids)]
    return sorted([number for part in parts for number in (await conn.execute(part)).scalars()])


async def record_action(conn: AsyncConnection, action: dict[str, Any], notices: Collection[int]) -> None:
    written = insert(OPERATOR_ACTION).values(action).returning(OPERATOR_ACTION.c.id)
    action_id = (await conn.execute(written)).scalar_one()
    await conn.execute(insert(NOTICE_ACTION), [{"notice_id": notice, "action_id": action_id} for notice in notices])


async def first_unreported_failure(conn: AsyncConnection, operator: str) -> datetime | None:
    """Since when there is a notice that failed, or is refused again and again, of which the operator was not notified.

    The operator's own do not count.
    """
    statement = select(func.min(func.coalesce(NOTICE.c.failed_at, NOTICE.c.pending_since))).where(_unreported(operator))
    found: datetime | None = (await conn.execute(statement)).scalar_one()
    return found


async def mark_failures_reported(conn: AsyncConnection, now: datetime, operator: str) -> list[ListedNotice]:
    """Mark all of those as reported, and return them, the failed ones first."""
    statement = update(NOTICE).where(_unreported(operator)).values(reported_at=now).returning(*_LISTED)
    failed = [ListedNotice(*row) for row in await conn.execute(statement)]
    return sorted(failed, key=lambda notice: (notice.status != Status.FAILED, notice.id))


def _unreported(operator: str) -> ColumnElement[bool]:
    failed = NOTICE.c.status == Status.FAILED
    # An outage of the mail server leaves no attempts behind: these were refused for their reader or their content.
    refused = (NOTICE.c.attempts >= REFUSED_OFTEN) & NOTICE.c.last_error.is_not(None)
    waiting: ColumnElement[bool] = (failed | ((NOTICE.c.status == Status.PENDING) & refused)) & (
        NOTICE.c.reported_at.is_(None)
    )
    return waiting & (func.lower(NOTICE.c.recipient) != operator.lower())
