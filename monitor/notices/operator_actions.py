"""What an operator does with notices by command: look, let held ones go, try failed ones again, drop them."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.config.settings import NoticesMode
from monitor.notices import queries as store
from monitor.notices.notice import Status
from monitor.notices.policy import NoticePolicy
from monitor.notices.queries import ListedNotice
from monitor.store.database import Database


async def listing(
    db: Database, statuses: Collection[Status] = tuple(Status), tenant_id: str | None = None, limit: int = 100
) -> list[ListedNotice]:
    """Notices with one of these statuses, the newest first."""
    async with db.reading() as conn:
        return await store.list_notices(conn, statuses, tenant_id, limit)


async def release(
    db: Database, now: datetime, who: str, reason: str = "", ids: Collection[int] | None = None
) -> list[int]:
    """Send held notices after all, every one or those named; returns which were held, and records who did it."""
    async with db.writing() as conn:
        released = await store.end_hold(conn, ids, status=Status.PENDING, next_attempt_at=now, pending_since=now)
        await _record(conn, released, now, who, "notices release", reason)
    return released


async def drop(
    db: Database, now: datetime, who: str, reason: str = "", ids: Collection[int] | None = None
) -> list[int]:
    """Never send held notices, every one, or failed ones, too, where they are named; returns which.

    Their CSMs hear neither of what began nor of its end.
    """
    async with db.writing() as conn:
        dropped = await store.end_hold(conn, ids, status=Status.DROPPED)
        if ids is not None:
            dropped = sorted([*dropped, *await store.drop_failed(conn, ids)])
        await _record(conn, dropped, now, who, "notices drop", reason)
    return dropped


async def retry(
    db: Database, now: datetime, who: str, policy: NoticePolicy, reason: str = "", ids: Collection[int] | None = None
) -> list[int]:
    """Try failed notices again from the beginning, every one or those named; returns which were failed.

    Where CSMs are written to, a mail for a CSM goes to the tenant's CSM of now.
    """
    stays_with = policy.operator_mail if policy.mode is NoticesMode.CSM else None
    async with db.writing() as conn:
        retried = await store.retry_failed(conn, ids, now, stays_with)
        await _record(conn, retried, now, who, "notices retry", reason)
    return retried


async def _record(conn: AsyncConnection, changed: list[int], now: datetime, who: str, action: str, reason: str) -> None:
    if changed:
        subject = ", ".join(f"notice {notice}" for notice in changed[:20]) + (", …" if len(changed) > 20 else "")
        await store.record_action(conn, {"at": now, "who": who, "action": action, "subject": subject, "reason": reason})
