"""Sessions of people who signed in: begun, found by their cookie, extended, ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import StoreError
from monitor.store.audit_log import note
from monitor.store.database import Database
from monitor.web.auth import session_queries
from monitor.web.auth.identity import Identity, IdentitySource
from monitor.web.auth.role import AccessRole
from monitor.web.auth.secret import RandomBytes, SecretKind, digest_of, is_secret, new_secret, short_id

SEEN_EVERY = timedelta(minutes=1)
"""How often a session's last request is written: a page that refreshes itself must not be a write each time."""
_LONGEST_USER_AGENT = 120

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """A session ends after `idle` without a request, and `longest` after it began."""

    idle: timedelta
    longest: timedelta

    def end(self, created_at: datetime, seen_at: datetime) -> datetime:
        return min(seen_at + self.idle, created_at + self.longest)


@dataclass(frozen=True, slots=True)
class Sessions:
    db: Database
    limits: SessionLimits
    source: IdentitySource  # a session that began in another way ends when the setting changes
    now: Callable[[], datetime]
    random: RandomBytes

    async def begin(self, conn: AsyncConnection, name: str, role: AccessRole, user_agent: str, old: str) -> str:
        """Sign somebody in within the caller's transaction; returns what belongs into their cookie.

        `old` is what their cookie held: that session ends, so that no planted one lives on.
        """
        now, secret = self.now(), new_secret(SecretKind.SESSION, self.random)
        digest = digest_of(secret)
        await session_queries.delete_expired(conn, now)
        await session_queries.end_session(conn, digest_of(old))
        await session_queries.insert_session(
            conn,
            id=short_id(digest),
            digest=digest,
            name=name,
            role=role,
            source=self.source,
            user_agent=_shortened(user_agent),
            created_at=now,
            last_seen_at=now,
            expires_at=self.limits.end(now, now),
        )
        await note(conn, who=name, action="sign in", subject=role, reason=f"by {self.source}", now=now)
        return secret

    async def find(self, secret: str) -> Identity | None:
        """Whose session it is; None if it is altered, has expired or was revoked."""
        if not is_secret(secret, SecretKind.SESSION):
            return None
        now = self.now()
        async with self.db.reading_once() as conn:
            found = await session_queries.session(conn, digest_of(secret), now)
        if found is None or found.source != self.source:
            return None
        if now - found.last_seen_at >= SEEN_EVERY:
            await self._extend(found, now)
        return Identity(found.name, AccessRole(found.role), self.source, found.id)

    async def _extend(self, found: Row[Any], now: datetime) -> None:
        try:
            async with self.db.writing() as conn:
                await session_queries.extend(conn, found.id, now, self.limits.end(found.created_at, now))
        except StoreError as problem:
            # Reading must go on while nothing can be written: that is when people look.
            log.warning("session_not_extended", problem=str(problem))

    async def end(self, secret: str) -> None:
        """Sign out."""
        if not is_secret(secret, SecretKind.SESSION):
            return
        async with self.db.writing() as conn:
            ended = await session_queries.end_session(conn, digest_of(secret))
            if ended is not None:
                await note(
                    conn,
                    who=ended.name,
                    action="sign out",
                    subject=ended.role,
                    reason=f"session {ended.id}",
                    now=self.now(),
                )


def _shortened(user_agent: str) -> str:
    return "".join(letter for letter in user_agent if letter.isprintable())[:_LONGEST_USER_AGENT]
