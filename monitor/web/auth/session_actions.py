"""What a command or a page does with sessions and one-time links, with its line in the audit log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from monitor.errors import ConfigurationError
from monitor.store.audit_log import note
from monitor.store.database import Database
from monitor.web.auth import session_queries
from monitor.web.auth.role import AccessRole
from monitor.web.auth.secret import RandomBytes, SecretKind, digest_of, new_secret

Whose = tuple[str, str]
"""One person's: name, and in which way they sign in."""

LINK_VALID_FOR = timedelta(minutes=10)
_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029](?:[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,98}\S)?")


@dataclass(frozen=True, slots=True)
class LinkHolder:
    """As whom a link signs in."""

    name: str
    role: AccessRole


def checked_name(name: str) -> str:
    """ConfigurationError unless it can stand in lists and in the audit log."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError("a name has 1 to 100 characters, without line breaks, and no blank at its ends")
    return name


async def create_link(
    db: Database,
    holder: LinkHolder,
    who: str,
    now: datetime,
    random: RandomBytes,
    valid_for: timedelta = LINK_VALID_FOR,
) -> str:
    """The secret of a new link."""
    secret = new_secret(SecretKind.LINK, random)
    async with db.writing() as conn:
        await session_queries.delete_expired(conn, now)
        await session_queries.insert_link(
            conn,
            digest=digest_of(secret),
            name=checked_name(holder.name),
            role=holder.role,
            created_at=now,
            expires_at=now + valid_for,
        )
        await note(conn, who=who, action="web link", subject=holder.name, reason=holder.role, now=now)
    return secret


async def listing(db: Database, now: datetime, whose: Whose | None = None) -> Sequence[Row[Any]]:
    """The sessions of everybody, or of one person."""
    async with db.reading() as conn:
        return await session_queries.sessions(conn, now, whose)


async def revoke(db: Database, session_id: str, who: str, now: datetime, whose: Whose | None = None) -> bool:
    """Whether there was such a session, of that person if one is given."""
    async with db.writing() as conn:
        revoked = await session_queries.delete_session(conn, session_id, whose)
        if revoked is not None:
            about = f"{revoked.name} ({revoked.role})"
            await note(conn, who=who, action="web revoke", subject=about, reason=f"session {session_id}", now=now)
    return revoked is not None


async def revoke_all(db: Database, who: str, now: datetime) -> int:
    async with db.writing() as conn:
        count = await session_queries.delete_all_sessions(conn)
        await note(conn, who=who, action="web revoke", subject="all sessions", reason=str(count), now=now)
    return count
