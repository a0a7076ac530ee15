"""The list of notices, newest first, in pages: each page reads its own rows only."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift import EventKind
from monitor.notices import notice_queries
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice, PastAction
from monitor.reporting.notice_list import (
    ActionResult,
    NoticeFilter,
    NoticeNews,
    NoticePlace,
    NoticeRow,
    Waiting,
    reader_name,
)
from monitor.store.tables import CAUSE, DRIFT_EVENT, NOTICE, NOTICE_ACTION, OPERATOR_ACTION, TENANT

_N, _T = NOTICE.c, TENANT.c
_LISTED = [_N[name] for name in ListedNotice.__slots__]


async def counts(conn: AsyncConnection, wanted: NoticeFilter) -> Mapping[Status, int]:
    """How many there are of each status, whichever is wanted."""
    statement = select(_N.status, func.count()).where(*_conditions(wanted)).group_by(_N.status)
    found = {Status(status): number for status, number in await conn.execute(statement)}
    return {status: found.get(status, 0) for status in Status}


async def waiting(conn: AsyncConnection, wanted: NoticeFilter, status: Status) -> Waiting:
    """All notices of this status, of which the pages show some."""
    since = _N.failed_at if status is Status.FAILED else _N.created_at
    statement = select(_N.id, _N.recipient, since).where(_N.status == status, *_conditions(wanted)).order_by(_N.id)
    found = (await conn.execute(statement)).all()
    return Waiting(
        numbers=tuple(number for number, _, _ in found),
        readers=len({recipient.lower() for _, recipient, _ in found}),
        since=min((at for _, _, at in found if at is not None), default=None),
    )


async def page(
    conn: AsyncConnection, wanted: NoticeFilter, limit: int, after: NoticePlace | None = None
) -> Sequence[NoticeRow]:
    """Up to `limit` notices that follow `after`; held ones come first where no status is wanted."""
    statement = (
        select(*_LISTED, _T.name, _T.csm_name, _T.csm_email)
        .outerjoin(TENANT, _T.id == _N.tenant_id)
        .where(_N.id.in_(_numbers(wanted, limit, after)))
        .order_by(_N.status != Status.HELD, _N.id.desc())
        .limit(limit)
    )
    found = [(ListedNotice(*row[:-3]), *row[-3:]) for row in await conn.execute(statement)]
    numbers = [notice.id for notice, *_ in found]
    reported = await news(conn, numbers)
    actions = await notice_queries.last_actions(conn, numbers)
    return [
        NoticeRow(
            notice=notice,
            tenant_name=tenant,
            csm_name=reader_name(notice.audience, notice.recipient, csm_name, csm_email),
            news=reported.get(notice.id, ()),
            last_action=actions.get(notice.id),
        )
        for notice, tenant, csm_name, csm_email in found
    ]


def _numbers(wanted: NoticeFilter, limit: int, after: NoticePlace | None) -> Select[tuple[int]]:
    """Only the numbers: rows are long, and these come out of an index in this order."""
    conditions = _conditions(wanted)
    follows = [] if after is None else [_N.id < after.id]
    if wanted.status is not None:
        return _newest([_N.status == wanted.status, *conditions, *follows], limit)
    others = [_N.status != Status.HELD, *conditions]
    if after is not None and not after.held:
        return _newest([*others, *follows], limit)
    held = _newest([_N.status == Status.HELD, *conditions, *follows], limit).subquery()
    rest = _newest(others, limit).subquery()
    return select(select(held.c.id).union_all(select(rest.c.id)).subquery().c.id)


def _newest(conditions: Sequence[ColumnElement[bool]], limit: int) -> Select[tuple[int]]:
    return select(_N.id).where(*conditions).order_by(_N.id.desc()).limit(limit)


def _conditions(wanted: NoticeFilter) -> list[ColumnElement[bool]]:
    """All but the status."""
    found: list[ColumnElement[bool]] = []
    if wanted.tenant:
        # An id means this tenant alone, even where it is part of other names.
        is_id = select(_T.id).where(_T.id == wanted.tenant)
        named = select(_T.id).where(_T.name.icontains(wanted.tenant, autoescape=True), ~is_id.exists())
        found.append(or_(_N.tenant_id == wanted.tenant, _N.tenant_id.in_(named)))
    if wanted.reader:
        named = select(func.lower(_T.csm_email)).where(
            _T.csm_name.icontains(wanted.reader, autoescape=True), _T.csm_email.is_not(None)
        )
        by_address = _N.recipient.icontains(wanted.reader, autoescape=True)
        found.append(or_(by_address, func.lower(_N.recipient).in_(named)))
    if wanted.burst is not None:
        of_burst = select(CAUSE.c.notice_id).join(DRIFT_EVENT, DRIFT_EVENT.c.id == CAUSE.c.event_id)
        found.append(_N.id.in_(of_burst.where(DRIFT_EVENT.c.burst_id == wanted.burst)))
    return found


async def news(conn: AsyncConnection, notices: Collection[int]) -> Mapping[int, tuple[NoticeNews, ...]]:
    """What each reports, the most frequent first: a digest has thousands of events, but few kinds of them."""
    event = DRIFT_EVENT.c
    label = func.coalesce(event.permission_label, event.permission_id)
    statement = (
        select(CAUSE.c.notice_id, event.kind, label, event.state, func.count())
        .join_from(CAUSE, DRIFT_EVENT, event.id == CAUSE.c.event_id)
        .where(CAUSE.c.notice_id.in_(notices))
        .group_by(CAUSE.c.notice_id, event.kind, label, event.state)
        .order_by(CAUSE.c.notice_id, func.count().desc(), func.min(event.id))
    )
    found: dict[int, tuple[NoticeNews, ...]] = {}
    for notice, kind, name, state, times in await conn.execute(statement):
        found[notice] = (*found.get(notice, ()), NoticeNews(EventKind(kind), name, state, times))
    return found


async def result(conn: AsyncConnection, number: int) -> ActionResult | None:
    """What an operator last did with this notice, and with how many others at the same time."""
    done = OPERATOR_ACTION.c
    together = select(func.count()).where(NOTICE_ACTION.c.action_id == done.id).scalar_subquery()
    statement = select(done.at, done.who, done.action, done.reason, together).where(
        done.id.in_(select(func.max(NOTICE_ACTION.c.action_id)).where(NOTICE_ACTION.c.notice_id == number))
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else ActionResult(PastAction(*row[:-1]), row[-1])
