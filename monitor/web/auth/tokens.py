"""API tokens, found by the header Authorization."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import structlog
from sqlalchemy import Row

from monitor.errors import StoreError
from monitor.store.database import Database
from monitor.web.auth import token_queries
from monitor.web.auth.identity import Identity, IdentitySource
from monitor.web.auth.role import AccessRole
from monitor.web.auth.secret import SecretKind, digest_of, is_secret
from monitor.web.errors import RequestRefused

USED_EVERY = timedelta(minutes=1)
"""How often a token's last use is written."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ApiTokens:
    db: Database
    now: Callable[[], datetime]

    async def find(self, secret: str) -> Identity:
        """Whose token it is; RequestRefused if it is not in force."""
        now = self.now()
        found = await self._stored(secret)
        if found is None:
            raise _refused("token_unknown", "this API token is not known", "Check that it was copied whole.")
        if found.revoked_at is not None:
            raise _refused("token_revoked", f"the API token {found.name} was revoked", "Ask an operator for a new one.")
        if found.expires_at is not None and found.expires_at <= now:
            raise _refused("token_expired", f"the API token {found.name} has expired", "Ask an operator for a new one.")
        if found.last_used_at is None or now - found.last_used_at >= USED_EVERY:
            await self._note_use(found.id, now)
        return Identity(found.name, AccessRole(found.role), IdentitySource.TOKEN, found.id)

    async def _stored(self, secret: str) -> Row[Any] | None:
        if not is_secret(secret, SecretKind.API_TOKEN):
            return None
        async with self.db.reading_once() as conn:
            return await token_queries.token(conn, digest_of(secret))

    async def _note_use(self, token_id: str, now: datetime) -> None:
        try:
            async with self.db.writing() as conn:
                await token_queries.note_use(conn, token_id, now)
        except StoreError as problem:
            log.warning("token_use_not_noted", problem=str(problem))


def _refused(code: str, message: str, next_step: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.UNAUTHORIZED, code, message, next_step)
