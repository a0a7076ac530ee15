"""What an operator does with notices by command: look at them, let held ones go, or drop them."""

from collections.abc import Collection
from datetime import datetime

from monitor.notices.notice import Status
from monitor.store import notices as store
from monitor.store.database import Database
from monitor.store.notices import ListedNotice


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
    return await _end(db, now, who, "notices release", reason, ids, status=Status.PENDING, next_attempt_at=now)


async def drop(
    db: Database, now: datetime, who: str, reason: str = "", ids: Collection[int] | None = None
) -> list[int]:
    """Never send held notices; their CSMs hear neither of what began nor of its end."""
    return await _end(db, now, who, "notices drop", reason, ids, status=Status.DROPPED)


async def _end(
    db: Database, now: datetime, who: str, action: str, reason: str, ids: Collection[int] | None, **columns: object
) -> list[int]:
    async with db.writing() as conn:
        ended = await store.end_hold(conn, ids, **columns)
        if ended:
            subject = ", ".join(f"notice {notice}" for notice in ended[:20]) + (", …" if len(ended) > 20 else "")
            await store.record_action(
                conn, {"at": now, "who": who, "action": action, "subject": subject, "reason": reason}
            )
    return ended
