"""Which installation key the fingerprints in the database were made with."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.audit_log import note
from monitor.store.statements import insert_if_new, upsert
from monitor.store.tables import INSTALLATION


async def key_check(conn: AsyncConnection) -> str | None:
    """The registered key's digest; None before its first use."""
    found: str | None = (await conn.execute(select(INSTALLATION.c.key_check))).scalar_one_or_none()
    return found


async def register_key(conn: AsyncConnection, check: str, now: datetime) -> str | None:
    """Register a key unless another process was faster; the digest that is registered now."""
    await insert_if_new(conn, INSTALLATION, _row(check, now))
    return await key_check(conn)


async def accept_key(conn: AsyncConnection, check: str, who: str, reason: str, now: datetime) -> None:
    """Replace the registered key, and record why."""
    await upsert(conn, INSTALLATION, [_row(check, now)])
    await note(conn, who=who, action="db accept-key", subject="the installation's key", reason=reason, now=now)


def _row(check: str, now: datetime) -> dict[str, object]:
    return {"id": 1, "key_check": check, "noted_at": now}
