"""The SQL of sessions and one-time links."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.sign_in_tables import SIGN_IN_LINK, WEB_SESSION


async def insert_session(conn: AsyncConnection, **values: object) -> None:
    await conn.execute(insert(WEB_SESSION).values(values))


async def session(conn: AsyncConnection, digest: str, now: datetime) -> Row[Any] | None:
    """The session with this digest, unless it has expired."""
    c = WEB_SESSION.c
    return (await conn.execute(select(WEB_SESSION).where(c.digest == digest, c.expires_at > now))).one_or_none()


async def extend(conn: AsyncConnection, session_id: str, now: datetime, expires_at: datetime) -> None:
    await conn.execute(
        update(WEB_SESSION)
        .where(WEB_SESSION.c.id == session_id, WEB_SESSION.c.expires_at > now)
        .values(last_seen_at=now, expires_at=expires_at)
    )


async def sessions(conn: AsyncConnection, now: datetime, whose: tuple[str, str] | None = None) -> Sequence[Row[Any]]:
    """Those that have not expired, the newest first: all, or those of one (name, source)."""
    c = WEB_SESSION.c
    return (
        await conn.execute(
            select(WEB_SESSION).where(c.expires_at > now, _of(whose)).order_by(c.created_at.desc(), c.id)
        )
    ).all()


async def delete_session(
    conn: AsyncConnection, session_id: str, whose: tuple[str, str] | None = None
) -> Row[Any] | None:
    """The deleted session; None if there is none, or it is not of this (name, source)."""
    return (
        await conn.execute(delete(WEB_SESSION).where(WEB_SESSION.c.id == session_id, _of(whose)).returning(WEB_SESSION))
    ).one_or_none()


async def end_session(conn: AsyncConnection, digest: str) -> Row[Any] | None:
    """The session that ended; None if there was none with this digest."""
    return (
        await conn.execute(delete(WEB_SESSION).where(WEB_SESSION.c.digest == digest).returning(WEB_SESSION))
    ).one_or_none()


async def delete_all_sessions(conn: AsyncConnection) -> int:
    return (await conn.execute(delete(WEB_SESSION))).rowcount


async def delete_expired(conn: AsyncConnection, now: datetime) -> None:
    for table in (WEB_SESSION, SIGN_IN_LINK):
        await conn.execute(delete(table).where(table.c.expires_at <= now))


async def insert_link(conn: AsyncConnection, **values: object) -> None:
    await conn.execute(insert(SIGN_IN_LINK).values(values))


async def link(conn: AsyncConnection, digest: str, now: datetime) -> Row[Any] | None:
    """The link with this digest, if it can still be used."""
    return (await conn.execute(select(SIGN_IN_LINK).where(_usable(digest, now)))).one_or_none()


async def use_link(conn: AsyncConnection, digest: str, now: datetime) -> Row[Any] | None:
    """Mark it as used, if it could be used. Of several at once, one gets it."""
    used: Row[Any] | None = (
        await conn.execute(update(SIGN_IN_LINK).where(_usable(digest, now)).values(used_at=now).returning(SIGN_IN_LINK))
    ).one_or_none()
    return used


def _usable(digest: str, now: datetime) -> ColumnElement[bool]:
    c = SIGN_IN_LINK.c
    return and_(c.digest == digest, c.used_at.is_(None), c.expires_at > now)


def _of(whose: tuple[str, str] | None) -> ColumnElement[bool]:
    if whose is None:
        return true()
    name, source = whose
    return and_(WEB_SESSION.c.name == name, WEB_SESSION.c.source == source)
