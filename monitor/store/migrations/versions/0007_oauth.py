"""Credentials of Harvest v3.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credential", sa.Column("oauth", sa.JSON(none_as_null=True), nullable=True))
