"""What pages look up: the events of an incident, and who lacks a permission.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, table, columns, condition in (
        ("event_of_incident", "drift_event", ["incident_id"], "incident_id IS NOT NULL"),
        ("missing_permission", "permission_state", ["permission_id", "since"], "verdict = 'missing'"),
    ):
        where = sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
