"""What operators did by command, by whom and why."""

from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.tables import OPERATOR_ACTION


async def note(conn: AsyncConnection, *, who: str, action: str, subject: str, reason: str, now: datetime) -> None:
    row = {"at": now, "who": who, "action": action, "subject": subject, "reason": reason}
    await conn.execute(insert(OPERATOR_ACTION).values(row))
