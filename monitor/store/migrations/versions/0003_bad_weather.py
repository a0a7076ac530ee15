"""Emails that failed or were worded without a template, and indexes from a notice or event to its causes.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notice", sa.Column("fallback", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("notice", sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("notice", sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE notice SET failed_at = created_at WHERE status = 'failed'")
    op.create_index("ix_cause_event_id", "cause", ["event_id"])
    op.create_index("ix_cause_notice_id", "cause", ["notice_id"])
