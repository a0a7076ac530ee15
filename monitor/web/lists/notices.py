"""Emails, and halts of write probes."""

from collections.abc import Sequence

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.notices.notice import Status
from monitor.reporting import notice_list_queries, write_halt_list_queries
from monitor.reporting.notice_list import NoticePlace, NoticeRow
from monitor.reporting.write_halt_list import HaltRow
from monitor.web.lists.data_list import DataList
from monitor.web.lists.item import Item
from monitor.web.lists.service import Number, nothing
from monitor.web.notice_query import notice_filter
from monitor.web.paging import Keyset
from monitor.web.utc_moment import UtcMoment


class NoticeItem(Item):
    """An email without its text."""

    id: int
    status: Status
    tenant_id: str | None
    tenant_name: str | None
    audience: str
    recipient: str
    csm_name: str | None
    subject: str
    why: str
    reason: str = Field(description="what it reports, in words")
    created_at: UtcMoment
    sent_at: UtcMoment | None
    next_attempt_at: UtcMoment | None
    attempts: int
    last_error: str | None
    failed_at: UtcMoment | None
    last_action: str | None = Field(description="what an operator last did with it")
    last_action_at: UtcMoment | None
    last_action_who: str | None
    last_action_reason: str | None


class HaltItem(Item):
    """A write probe got an answer that no probe should get; `scope` is `all` or `without_id`."""

    id: int
    at: UtcMoment
    scope: str
    endpoint: str
    status: int
    request_id: str | None
    record_id: str | None
    tenant_id: str | None
    tenant_name: str | None
    lifted_at: UtcMoment | None
    lifted_reason: str | None
    lifted_by: str | None


def _notice(row: NoticeRow) -> NoticeItem:
    notice, action = row.notice, row.last_action
    return NoticeItem(
        **{name: getattr(notice, name) for name in NoticeItem.model_fields if hasattr(notice, name)},
        tenant_name=row.tenant_name,
        csm_name=row.csm_name,
        reason=row.reason.plain,
        last_action=action.action if action else None,
        last_action_at=action.at if action else None,
        last_action_who=action.who if action else None,
        last_action_reason=action.reason if action else None,
    )


def _notice_place(row: NoticeRow) -> NoticePlace:
    return row.place


async def _halts(conn: AsyncConnection, _: None, limit: int, after: Number | None) -> Sequence[HaltRow]:
    return await write_halt_list_queries.page(conn, limit, after.id if after else None)


def _halt_place(row: HaltRow) -> Number:
    return Number(row.id)


NOTICES = DataList(
    name="notices",
    about="Emails, newest first; held ones before all others",
    wanted=notice_filter,
    keyset=Keyset("notices", NoticePlace),
    read=notice_list_queries.page,
    place=_notice_place,
    model=NoticeItem,
    item=_notice,
)
WRITES = DataList(
    name="writes",
    about="Halts of write probes, newest first",
    wanted=nothing,
    keyset=Keyset("writes", Number),
    read=_halts,
    place=_halt_place,
    model=HaltItem,
)
