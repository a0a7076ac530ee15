"""The tables of the audit chain: signatures over drift events and operators' actions. docs/audit.md explains them."""

from datetime import datetime

from sqlalchemy import Column, Index, Integer
from sqlmodel import Field, SQLModel

from monitor.store.columns import utc_datetime
from monitor.store.tables import METADATA


class AuditBatch(SQLModel, table=True):
    """Consecutive rows of one table, signed together; `kind` is the table.

    `signature` covers the row and `previous`, the signature of the batch before; `content` covers what it signed, and
    outlives it: a batch whose rows were pruned keeps its row, with a signature of that fact.
    """

    __tablename__ = "audit_batch"
    __table_args__ = (Index("audit_batch_of_kind", "kind", "id"),)

    # Counted by the signer: a missing number is a missing batch.
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    kind: str
    first_id: int
    last_id: int
    row_count: int
    content: str
    previous: str
    signature: str
    key_id: str
    created_at: datetime = utc_datetime()
    pruned_at: datetime | None = utc_datetime(nullable=True)
    pruned_signature: str | None = None


class AuditHead(SQLModel, table=True):
    """At most one row: the newest batch, signed, so that the newest ones cannot be removed unnoticed."""

    __tablename__ = "audit_head"

    id: int = Field(default=1, primary_key=True)
    batch_id: int
    batch_signature: str
    key_id: str
    signature: str


AUDIT_BATCH = METADATA.tables["audit_batch"]
AUDIT_HEAD = METADATA.tables["audit_head"]
