"""Tables of who may read and act: sessions, one-time links and API tokens.

Of each secret only its SHA-256 digest is stored: they are 256 random bits, so no digest can be reversed by guessing.
`id` is the digest's beginning, by which people name a session or a token.
"""

from datetime import datetime

from sqlalchemy import Index, Table, text
from sqlmodel import Field, SQLModel

from monitor.store.columns import utc_datetime
from monitor.store.tables import METADATA


class WebSession(SQLModel, table=True):
    """Somebody who signed in; `source` says in which way. Ended and expired ones are deleted.

    `last_seen_at` and `expires_at` are written at most once a minute.
    """

    __tablename__ = "web_session"

    id: str = Field(primary_key=True)
    digest: str = Field(unique=True)
    name: str
    role: str
    source: str
    user_agent: str = ""
    created_at: datetime = utc_datetime()
    last_seen_at: datetime = utc_datetime()
    expires_at: datetime = utc_datetime(index=True)


class SignInLink(SQLModel, table=True):
    """A link that signs in once, as `name` with `role`."""

    __tablename__ = "sign_in_link"

    digest: str = Field(primary_key=True)
    name: str
    role: str
    created_at: datetime = utc_datetime()
    expires_at: datetime = utc_datetime(index=True)
    used_at: datetime | None = utc_datetime(nullable=True)


class ApiToken(SQLModel, table=True):
    """A token for the API; it stays listed after its end. The index keeps the names of those in force apart.

    `last_used_at` is written at most once a minute.
    """

    __tablename__ = "api_token"
    __table_args__ = (
        Index(
            "one_token_of_a_name",
            "name",
            unique=True,
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    digest: str = Field(unique=True)
    name: str
    role: str
    owner: str
    created_at: datetime = utc_datetime()
    expires_at: datetime | None = utc_datetime(nullable=True)
    last_used_at: datetime | None = utc_datetime(nullable=True)
    revoked_at: datetime | None = utc_datetime(nullable=True)


def _table(model: type[SQLModel]) -> Table:
    return METADATA.tables[str(model.__tablename__)]


WEB_SESSION = _table(WebSession)
SIGN_IN_LINK = _table(SignInLink)
API_TOKEN = _table(ApiToken)
