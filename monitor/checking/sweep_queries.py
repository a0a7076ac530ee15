"""Sweeps: the summary of each interval, and whether every credential was checked since it began."""

from datetime import datetime, timedelta

from sqlalchemy import Exists, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.checking.schedule import interval_start
from monitor.store.statements import insert_if_new
from monitor.store.tables import CREDENTIAL, SWEEP


async def keep(conn: AsyncConnection, now: datetime, interval: timedelta) -> None:
    """Open the sweep of this interval if nobody has, and end those that are complete. For every tick of the clock.

    A sweep that is not complete two intervals later stays incomplete for good.
    """
    began = interval_start(now, interval)
    await insert_if_new(conn, SWEEP, {"started_at": began, "finished_at": None})
    recent = SWEEP.c.started_at >= began - 2 * interval
    await conn.execute(
        update(SWEEP).where(SWEEP.c.finished_at.is_(None), recent, ~_one_is_left_out()).values(finished_at=now)
    )


async def last_completed(conn: AsyncConnection, now: datetime) -> datetime | None:
    """When the last complete sweep ended; none that a wrong clock put ahead of now."""
    latest = select(SWEEP.c.finished_at).where(SWEEP.c.finished_at <= now).order_by(SWEEP.c.started_at.desc())
    found: datetime | None = (await conn.execute(latest.limit(1))).scalar_one_or_none()
    return found


async def first(conn: AsyncConnection) -> datetime | None:
    """When the first sweep of all that are kept began."""
    began: datetime | None = (await conn.execute(select(func.min(SWEEP.c.started_at)))).scalar_one()
    return began


def _one_is_left_out() -> Exists:
    c = CREDENTIAL.c
    late = or_(c.last_checked_at.is_(None), c.last_checked_at < SWEEP.c.started_at)
    # Removed and misconfigured credentials have no `next_due`: they must not keep a sweep open.
    return exists().where(c.next_due.is_not(None), late)
