"""Write halts: stored for every worker, and lifted by people."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.report import WriteAlarm
from monitor.store.audit_log import note
from monitor.store.tables import WRITE_HALT

ALL = "all"
WITHOUT_ID = "without_id"

# Asked before every write probe, so it is put together once.
_IN_FORCE = select(WRITE_HALT.c.scope).where(WRITE_HALT.c.lifted_at.is_(None)).distinct()


async def in_force(conn: AsyncConnection) -> frozenset[str]:
    """What the halts that nobody has lifted cover: `all` writes, or those `without_id`."""
    return frozenset((await conn.execute(_IN_FORCE)).scalars())


async def halt(
    conn: AsyncConnection, alarm: WriteAlarm, tenant_id: str | None = None, credential_id: int | None = None
) -> int:
    """Halt the write probes that the alarm covers; returns the id of the halt."""
    row = {
        "scope": alarm.stops,
        "tenant_id": tenant_id,
        "credential_id": credential_id,
        "endpoint": alarm.endpoint,
        "status": alarm.status,
        "at": alarm.at,
        "request_id": alarm.request_id,
        "record_id": alarm.record_id,
    }
    written: int = (await conn.execute(insert(WRITE_HALT).values(row).returning(WRITE_HALT.c.id))).scalar_one()
    return written


async def lift(conn: AsyncConnection, who: str, reason: str, now: datetime, ids: Collection[int] | None = None) -> int:
    """Lift every halt or those named, for a reason that is kept; returns how many. Lifting none leaves no trace."""
    statement = update(WRITE_HALT).where(WRITE_HALT.c.lifted_at.is_(None))
    if ids is not None:
        statement = statement.where(WRITE_HALT.c.id.in_(ids))
    lifted = (await conn.execute(statement.values(lifted_at=now, lifted_reason=reason))).rowcount
    if lifted:
        await note(
            conn,
            who=who,
            action="writes resume",
            subject=f"{lifted} halt{'' if lifted == 1 else 's'}",
            reason=reason,
            now=now,
        )
    return lifted


async def halts(conn: AsyncConnection) -> Sequence[Row[Any]]:
    """Every halt ever, the latest first."""
    return (await conn.execute(select(WRITE_HALT).order_by(WRITE_HALT.c.at.desc(), WRITE_HALT.c.id.desc()))).all()
