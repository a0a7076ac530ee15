"""What the brake judges waves by, what a permission's verdict was asked with, and which notices an action concerned.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_cause_created_at", "cause", ["created_at"])
    op.add_column("permission_state", sa.Column("asked", sa.String(), nullable=True))
    op.create_table(
        "sample",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("brake_keys", sa.JSON(), nullable=False),
        sa.Column("tenants", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sample"),
    )
    op.create_index("ix_sample_asked_at", "sample", ["asked_at"])
    op.create_table(
        "brake_report",
        sa.Column("brake_key", sa.String(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenants", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("brake_key", name="pk_brake_report"),
    )
    op.create_table(
        "notice_action",
        sa.Column("notice_id", sa.Integer(), nullable=False),
        sa.Column("action_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name="fk_notice_action_notice_id"),
        sa.ForeignKeyConstraint(["action_id"], ["operator_action.id"], name="fk_notice_action_action_id"),
        sa.PrimaryKeyConstraint("notice_id", "action_id", name="pk_notice_action"),
    )
