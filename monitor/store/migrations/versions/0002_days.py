"""Checks rolled up by day, and indexes for pruning.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _check_day()
    _partial_index("event_of_kept_check", "drift_event", "check_id", "check_id IS NOT NULL")
    _partial_index("notice_with_text", "notice", "created_at", "text <> ''")


def _check_day() -> None:
    counts = ("checks", "drifted", "undecided", "failed")
    of_permissions = ("least_granted", "most_missing", "most_undecided", "most_excess")
    op.create_table(
        "check_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("credential_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counts),
        sa.Column("state", sa.String(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in of_permissions),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "credential_id", name="pk_check_day"),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name="fk_check_day_credential_id"),
        sqlite_with_rowid=False,
    )


def _partial_index(name: str, table: str, column: str, only: str) -> None:
    where = sa.text(only)
    op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)
