"""What each verdict rests on; of the verdicts that are there it is not known.

Revision ID: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("permission_state", sa.Column("answered_status", sa.Integer(), nullable=True))
    op.add_column("permission_state", sa.Column("evidence", sa.Text(), nullable=True))
    op.add_column("permission_state", sa.Column("more_evidence", sa.Integer(), nullable=True))
    op.add_column("permission_state", sa.Column("evidence_at", sa.DateTime(timezone=True), nullable=True))
