"""What an operator does with notices by command: list, read, release, retry and drop them."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.config.settings import NoticesMode
from monitor.notices import notice_queries
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice, WholeNotice
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database


async def listing(
    db: Database, statuses: Collection[Status] = tuple(Status), tenant_id: str | None = None, limit: int = 100
) -> list[ListedNotice]:
    """Notices with one of these statuses, the newest first."""
    async with db.reading() as conn:
        return await notice_queries.list_notices(conn, statuses, tenant_id, limit)


async def show(db: Database, number: int) -> WholeNotice | None:
    """A notice with its text, and what operators did with it; None if there is no such notice."""
    async with db.reading() as conn:
        return await notice_queries.whole_notice(conn, number)


async def count_held(db: Database) -> int:
    async with db.reading() as conn:
        return await notice_queries.count_held(conn)


async def release(
    db: Database, now: datetime, who: str, reason: str = "", ids: Collection[int] | None = None
) -> list[int]:
    """Send held notices after all, all of them or those named; returns which were held, and records who did it."""
    async with db.writing() as conn:
        released = await notice_queries.release_held(conn, ids, now)
        await _record(conn, released, now, who, "notices release", reason)
    return released


async def drop(
    db: Database, now: datetime, who: str, reason: str = "", ids: Collection[int] | None = None
) -> list[int]:
    """Never send held notices (all of them or those named) or failed ones (only if named); returns which.

    Their CSMs are notified neither of what happened nor of its end.
    """
    async with db.writing() as conn:
        dropped = await notice_queries.drop_held(conn, ids)
        if ids is not None:
            dropped = sorted([*dropped, *await notice_queries.drop_failed(conn, ids)])
        await _record(conn, dropped, now, who, "notices drop", reason)
    return dropped


async def retry(
    db: Database, now: datetime, who: str, policy: NoticePolicy, reason: str = "", ids: Collection[int] | None = None
) -> list[int]:
    """Try failed notices again with a fresh schedule, all of them or those named; returns which were failed.

    With mode `csm`, an email for a CSM goes to the tenant's current CSM.
    """
    stays_with = policy.operator_mail if policy.mode is NoticesMode.CSM else None
    async with db.writing() as conn:
        retried = await notice_queries.retry_failed(conn, ids, now, stays_with)
        await _record(conn, retried, now, who, "notices retry", reason)
    return retried


async def _record(conn: AsyncConnection, changed: list[int], now: datetime, who: str, action: str, reason: str) -> None:
    if changed:
        subject = ", ".join(f"notice {notice}" for notice in changed[:20]) + (", …" if len(changed) > 20 else "")
        entry = {"at": now, "who": who, "action": action, "subject": subject, "reason": reason}
        await notice_queries.record_action(conn, entry, changed)
