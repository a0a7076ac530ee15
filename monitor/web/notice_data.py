"""The list of notices for programs and spreadsheets."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from monitor.notices.notice_queries import ListedNotice
from monitor.reporting import notice_list_queries
from monitor.reporting.notice_list import NoticeFilter, NoticeRow
from monitor.store.database import Database

MOST_ROWS = 500  # read at a time

_OF_ACTION = ("at", "who", "action", "reason")
_DECIDED = tuple(f"last_action_{name}" for name in _OF_ACTION)
COLUMNS = (*ListedNotice.__slots__, "tenant_name", "csm_name", "reason", *_DECIDED)


def as_data(row: NoticeRow) -> dict[str, Any]:
    """The names are those of the command's JSON, and what people read beside them."""
    action = [getattr(row.last_action, name, None) for name in _OF_ACTION]
    return {
        **asdict(row.notice),
        "tenant_name": row.tenant_name,
        "csm_name": row.csm_name,
        "reason": row.reason.plain,
        **dict(zip(_DECIDED, action, strict=True)),
    }


async def csv_rows(db: Database, wanted: NoticeFilter) -> AsyncIterator[tuple[object, ...]]:
    """All of the list in one transaction: a notice that is released meanwhile would change its place."""
    place = None
    async with db.reading() as conn:
        while rows := await notice_list_queries.page(conn, wanted, MOST_ROWS, place):
            place = rows[-1].place
            for row in rows:
                yield tuple(as_data(row).values())
