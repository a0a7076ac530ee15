"""Since when a notice has been pending, and an index that finds the next one without reading texts.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notice", sa.Column("pending_since", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE notice SET pending_since = created_at WHERE status = 'pending'")
    columns = ["status", "next_attempt_at", "audience", "recipient", "pending_since"]
    op.create_index("notice_to_send", "notice", columns)
