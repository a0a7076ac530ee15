"""Each tenant's status with its history, for lists and metrics; and tenants can be paused.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# As monitor.incidents.status decides. Nothing is paused yet.
_STATUS = """
    UPDATE tenant SET status = CASE WHEN removed_at IS NOT NULL THEN 'removed' ELSE (
        SELECT CASE
            WHEN count(*) FILTER (WHERE credential.state <> 'ok') > 0 THEN 'failing'
            WHEN count(*) = 0 AND tenant.problem IS NOT NULL THEN 'failing'
            WHEN sum(credential.missing) > 0 THEN 'drifted'
            WHEN sum(credential.undecided + credential.carried) > 0 THEN 'undecided'
            WHEN count(*) = 0 OR count(*) FILTER (
                WHERE credential.last_full_at IS NULL
                OR (credential.suspects > 0 AND credential.last_full_at = credential.baseline_at)
            ) > 0 THEN 'new'
            ELSE 'healthy' END
        FROM credential WHERE credential.tenant_id = tenant.id AND credential.removed_at IS NULL
    ) END
"""
_SINCE = """
    UPDATE tenant SET
        severity = CASE status
            WHEN 'failing' THEN 0 WHEN 'drifted' THEN 1 WHEN 'undecided' THEN 2 WHEN 'new' THEN 3 WHEN 'healthy' THEN 4
            ELSE 6 END,
        status_since = coalesce(
            removed_at,
            CASE WHEN status IN ('failing', 'drifted') THEN (
                SELECT opened_at FROM incident WHERE incident.tenant_id = tenant.id AND incident.resolved_at IS NULL
            ) END,
            (
                SELECT max(credential.last_checked_at) FROM credential
                WHERE credential.tenant_id = tenant.id AND credential.removed_at IS NULL
            ),
            created_at
        )
"""


def upgrade() -> None:
    op.add_column("tenant", sa.Column("paused", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("tenant", sa.Column("status", sa.String(), nullable=False, server_default="new"))
    op.add_column("tenant", sa.Column("severity", sa.Integer(), nullable=False, server_default="3"))
    op.add_column("tenant", sa.Column("status_since", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "status_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("previous", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_status_change_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_status_change"),
    )
    op.execute(_STATUS)
    op.execute(_SINCE)
    op.execute("INSERT INTO status_change (tenant_id, at, status) SELECT id, status_since, status FROM tenant")
    op.create_index("ix_status_change_at", "status_change", ["at"])
    op.create_index("status_change_of_tenant", "status_change", ["tenant_id", "at"])
    present = sa.text("removed_at IS NULL")
    worst_first: list[str | sa.TextClause] = ["severity", sa.text("status_since DESC"), "id"]
    op.create_index("tenant_worst_first", "tenant", worst_first, sqlite_where=present, postgresql_where=present)
