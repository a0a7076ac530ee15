"""The table of bursts: drift events of one kind, about one thing, that came close together."""

from datetime import datetime

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from monitor.store.columns import utc_datetime
from monitor.store.tables import METADATA


class DriftBurst(SQLModel, table=True):
    """The same change in one or many tenants, with none of its events more than 20 minutes from the next.

    `subject` is what the kind is about: the permission's id, the endpoint of an excess, or the credential's state. With
    the kind it identifies what belongs together. `first_at` and `last_at` are the earliest and the latest `at` of the
    events; `seen_from` is their earliest `seen_before` (null if it is unknown for one of them), `first_seen` and
    `seen_to` the earliest and the latest `first_seen`: lost after `seen_from`, seen missing between `first_seen` and
    `seen_to`. `examples` are the ids of up to three of its tenants.
    """

    __tablename__ = "burst"
    __table_args__ = (
        Index("burst_by_time", "last_at", "id"),
        Index("burst_by_kind", "kind", "last_at", "id"),
        Index("burst_by_subject", "subject", "last_at", "id"),
        Index("burst_by_label", "permission_label", "last_at", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    subject: str
    permission_id: str | None = None
    permission_group: str | None = None
    permission_label: str | None = None
    state: str | None = None
    first_at: datetime = utc_datetime()
    last_at: datetime = utc_datetime()
    seen_from: datetime | None = utc_datetime(nullable=True)
    first_seen: datetime | None = utc_datetime(nullable=True)
    seen_to: datetime | None = utc_datetime(nullable=True)
    events: int
    tenants: int
    examples: list[str] = Field(sa_column=Column(JSON, nullable=False))


BURST = METADATA.tables["burst"]
