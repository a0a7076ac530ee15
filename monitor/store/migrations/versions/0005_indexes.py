"""Indexes for a tenant's notices, and for unsettled causes only instead of all causes.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_notice_tenant_id", "notice", ["tenant_id"])
    unsettled = sa.text("settled_at IS NULL")
    op.create_index("unsettled_cause", "cause", ["tenant_id"], sqlite_where=unsettled, postgresql_where=unsettled)
    op.drop_index("ix_cause_settled_at", "cause")
