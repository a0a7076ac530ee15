"""A secret that does not count yet; and refusals that were taken on less evidence than now are forgotten.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credential", sa.Column("suspect_fingerprint", sa.String(), nullable=True))
    # Remembered for thirty days as evidence of a grant: releases before took one answer for it, and looser words.
    op.execute("DELETE FROM refusal")
