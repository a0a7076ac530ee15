"""Bursts: which drift events belong together. The service groups the events there are, the newest first.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "burst",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("permission_id", sa.String(), nullable=True),
        sa.Column("permission_group", sa.String(), nullable=True),
        sa.Column("permission_label", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("tenants", sa.Integer(), nullable=False),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_burst"),
    )
    op.create_index("burst_by_time", "burst", ["last_at", "id"])
    op.create_index("burst_by_kind", "burst", ["kind", "last_at", "id"])
    op.create_index("burst_by_subject", "burst", ["subject", "last_at", "id"])
    op.create_index("burst_by_label", "burst", ["permission_label", "last_at", "id"])
    # As one statement: SQLite cannot add a constraint to a column that exists, and Alembic would copy the whole table.
    op.execute(
        "ALTER TABLE drift_event ADD COLUMN burst_id INTEGER CONSTRAINT fk_drift_event_burst_id REFERENCES burst (id)"
    )
    grouped, ungrouped = sa.text("burst_id IS NOT NULL"), sa.text("burst_id IS NULL")
    op.create_index(
        "event_of_burst", "drift_event", ["burst_id", "tenant_id"], sqlite_where=grouped, postgresql_where=grouped
    )
    op.create_index("ungrouped_event", "drift_event", ["id"], sqlite_where=ungrouped, postgresql_where=ungrouped)
