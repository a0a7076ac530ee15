"""What a command does with API tokens, with its line in the audit log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from monitor.errors import ConfigurationError
from monitor.store.audit_log import note
from monitor.store.database import Database
from monitor.web.auth import token_queries
from monitor.web.auth.role import AccessRole
from monitor.web.auth.secret import RandomBytes, SecretKind, digest_of, new_secret, short_id

_NAME = re.compile(
    r"(?![0-9a-f]{12}$)[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
)  # never like an id, by which it is revoked, too


@dataclass(frozen=True, slots=True)
class NewToken:
    """`lasts` is None for one without an end."""

    name: str
    role: AccessRole
    owner: str
    lasts: timedelta | None


async def create_token(db: Database, wanted: NewToken, who: str, now: datetime, random: RandomBytes) -> str:
    """The token; ConfigurationError if its name cannot be used."""
    if not _NAME.fullmatch(wanted.name):
        raise ConfigurationError("a token's name has 1 to 64 letters, digits and . _ @ -, and is no id of a token")
    secret = new_secret(SecretKind.API_TOKEN, random)
    digest = digest_of(secret)
    async with db.writing() as conn:
        if await token_queries.is_taken(conn, wanted.name):
            raise ConfigurationError(f"there is a token {wanted.name} already: revoke it first, or choose another name")
        await token_queries.insert_token(
            conn,
            id=short_id(digest),
            digest=digest,
            name=wanted.name,
            role=wanted.role,
            owner=wanted.owner,
            created_at=now,
            expires_at=None if wanted.lasts is None else now + wanted.lasts,
        )
        await note(conn, who=who, action="tokens create", subject=wanted.name, reason=wanted.role, now=now)
    return secret


async def revoke_token(db: Database, name_or_id: str, who: str, now: datetime) -> bool:
    """Whether a token in force has this name or id."""
    async with db.writing() as conn:
        revoked = await token_queries.revoke(conn, name_or_id, now)
        if revoked is not None:
            await note(conn, who=who, action="tokens revoke", subject=revoked.name, reason=revoked.id, now=now)
    return revoked is not None


async def token_listing(db: Database) -> Sequence[Row[Any]]:
    async with db.reading() as conn:
        return await token_queries.tokens(conn)
