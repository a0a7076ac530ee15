"""What pages look up in years of events: of a tenant, a kind or a permission, the newest first; and sweeps' progress.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_IN_DOUBT = "removed_at IS NULL AND (suspects > 0 OR suspect_state IS NOT NULL)"


def upgrade() -> None:
    op.create_index("event_of_tenant", "drift_event", ["tenant_id", "at", "id"])
    op.create_index("event_of_kind", "drift_event", ["kind", "at", "id"])
    op.create_index("event_of_permission", "drift_event", ["permission_id", "at", "id"])
    # The first two columns of `event_of_tenant` serve as well.
    op.drop_index("ix_drift_event_tenant_id", "drift_event")
    op.create_index("incident_of_tenant", "incident", ["tenant_id", "id"])
    op.create_index("credential_planned", "credential", ["next_due", "last_checked_at"])
    op.drop_index("ix_credential_next_due", "credential")
    where = sa.text(_IN_DOUBT)
    op.create_index("credential_in_doubt", "credential", ["id"], sqlite_where=where, postgresql_where=where)
