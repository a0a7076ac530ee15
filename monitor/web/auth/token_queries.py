"""The SQL of API tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.sign_in_tables import API_TOKEN


async def insert_token(conn: AsyncConnection, **values: object) -> None:
    await conn.execute(insert(API_TOKEN).values(values))


async def is_taken(conn: AsyncConnection, name: str) -> bool:
    """Whether a token of this name was not revoked yet."""
    taken = select(API_TOKEN.c.id).where(API_TOKEN.c.name == name, API_TOKEN.c.revoked_at.is_(None))
    return (await conn.execute(taken)).first() is not None


async def token(conn: AsyncConnection, digest: str) -> Row[Any] | None:
    """Also one that has expired or was revoked."""
    return (await conn.execute(select(API_TOKEN).where(API_TOKEN.c.digest == digest))).one_or_none()


async def note_use(conn: AsyncConnection, token_id: str, now: datetime) -> None:
    await conn.execute(update(API_TOKEN).where(API_TOKEN.c.id == token_id).values(last_used_at=now))


async def tokens(conn: AsyncConnection) -> Sequence[Row[Any]]:
    """All of them, the newest first."""
    return (await conn.execute(select(API_TOKEN).order_by(API_TOKEN.c.created_at.desc(), API_TOKEN.c.id))).all()


async def revoke(conn: AsyncConnection, name_or_id: str, now: datetime) -> Row[Any] | None:
    """The revoked token; None if none in force has this name or id."""
    c = API_TOKEN.c
    revoked: Row[Any] | None = (
        await conn.execute(
            update(API_TOKEN)
            .where(or_(c.name == name_or_id, c.id == name_or_id), c.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(API_TOKEN)
        )
    ).one_or_none()
    return revoked
