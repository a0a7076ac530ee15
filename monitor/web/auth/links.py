"""One-time links: whoever may run commands on this installation signs themselves, or a colleague, in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from monitor.store.database import Database
from monitor.web.auth import session_queries
from monitor.web.auth.role import AccessRole
from monitor.web.auth.secret import SecretKind, digest_of, is_secret
from monitor.web.auth.session_actions import LinkHolder
from monitor.web.auth.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Links:
    db: Database
    sessions: Sessions
    now: Callable[[], datetime]

    async def holder(self, secret: str) -> LinkHolder | None:
        """Whose link it is, if it can still be used. It stays usable: mail scanners open links, too."""
        if not is_secret(secret, SecretKind.LINK):
            return None
        async with self.db.reading_once() as conn:
            found = await session_queries.link(conn, digest_of(secret), self.now())
        return None if found is None else LinkHolder(found.name, AccessRole(found.role))

    async def use(self, secret: str, user_agent: str, old: str) -> str | None:
        """Sign its holder in; the new session's secret, or None if the link cannot be used (any more)."""
        if not is_secret(secret, SecretKind.LINK):
            return None
        async with self.db.writing() as conn:
            used = await session_queries.use_link(conn, digest_of(secret), self.now())
            if used is None:
                return None
            return await self.sessions.begin(conn, used.name, AccessRole(used.role), user_agent, old)
