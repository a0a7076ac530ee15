"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], name=f"fk_{table}_{column}")


def upgrade() -> None:
    _watched()
    _seen()
    _followed()
    _told()
    _done()


def _watched() -> None:
    _tenant()
    _credential()


def _tenant() -> None:
    op.create_table(
        "tenant",
        _text("id"),
        _text("name"),
        _text("csm_name", nullable=True),
        _text("csm_email", nullable=True),
        sa.Column("features", sa.JSON(), nullable=False),
        _text("write_probes", nullable=True),
        sa.Column("declined", sa.JSON(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        _text("row_digest"),
        _moment("created_at"),
        _moment("removed_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tenant"),
    )


def _credential() -> None:
    op.create_table(
        "credential",
        _number("id"),
        _text("tenant_id"),
        _text("label"),
        _text("kind"),
        _text("reference"),
        _text("manifest", nullable=True),
        _text("fingerprint", nullable=True),
        _text("manifest_digest", nullable=True),
        _text("state"),
        _text("detail"),
        _moment("state_since", nullable=True),
        sa.Column("was_invalid", sa.Boolean(), nullable=False),
        _text("suspect_state", nullable=True),
        _moment("suspect_since", nullable=True),
        _number("suspect_looks"),
        _number("epoch"),
        _moment("next_due", nullable=True),
        _moment("baseline_at", nullable=True),
        _moment("last_checked_at", nullable=True),
        _moment("last_full_at", nullable=True),
        _text("last_outcome", nullable=True),
        _number("granted"),
        _number("missing"),
        _number("undecided"),
        _number("unchecked"),
        _number("suspects"),
        _number("carried"),
        _number("excess"),
        _moment("removed_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_credential"),
        _refers("credential", "tenant_id", "tenant.id"),
        sa.UniqueConstraint("tenant_id", "label", name="uq_credential_tenant_id"),
    )
    op.create_index("ix_credential_next_due", "credential", ["next_due"])


def _seen() -> None:
    _sweep()
    _check_summary()
    _permission_state()
    _excess_state()
    _refusal()


def _sweep() -> None:
    op.create_table(
        "sweep",
        _number("id"),
        _moment("started_at"),
        _moment("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sweep"),
        sa.UniqueConstraint("started_at", name="uq_sweep_started_at"),
    )


def _check_summary() -> None:
    op.create_table(
        "check_summary",
        _number("id"),
        _text("tenant_id"),
        _number("credential_id"),
        _moment("started_at"),
        sa.Column("duration_seconds", sa.Float(), nullable=False),
        _text("manifest_name"),
        _text("manifest_version"),
        _text("manifest_digest"),
        _text("fingerprint", nullable=True),
        _text("state"),
        _text("detail"),
        _text("outcome"),
        _number("granted"),
        _number("missing"),
        _number("undecided"),
        _number("unchecked"),
        _number("excess"),
        _number("requests"),
        sa.Column("partial", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_check_summary"),
        _refers("check_summary", "credential_id", "credential.id"),
        _refers("check_summary", "tenant_id", "tenant.id"),
    )
    op.create_index("ix_check_summary_credential_id", "check_summary", ["credential_id"])
    op.create_index("ix_check_summary_started_at", "check_summary", ["started_at"])


def _permission_state() -> None:
    op.create_table(
        "permission_state",
        _number("credential_id"),
        _text("permission_id"),
        _text("permission_group"),
        _text("permission_label"),
        _text("verdict", nullable=True),
        _text("rule"),
        _moment("since", nullable=True),
        _moment("last_granted_at", nullable=True),
        _text("origin", nullable=True),
        _moment("undecided_since", nullable=True),
        _text("undecided_as", nullable=True),
        _text("undecided_reason", nullable=True),
        _moment("suspect_since", nullable=True),
        _number("suspect_looks"),
        sa.PrimaryKeyConstraint("credential_id", "permission_id", name="pk_permission_state"),
        _refers("permission_state", "credential_id", "credential.id"),
    )


def _excess_state() -> None:
    op.create_table(
        "excess_state",
        _number("credential_id"),
        _text("endpoint"),
        _text("label"),
        sa.Column("certain", sa.Boolean(), nullable=False),
        _moment("since"),
        sa.PrimaryKeyConstraint("credential_id", "endpoint", name="pk_excess_state"),
        _refers("excess_state", "credential_id", "credential.id"),
    )


def _refusal() -> None:
    op.create_table(
        "refusal",
        _number("credential_id"),
        _text("endpoint"),
        _text("fingerprint"),
        _moment("seen_at"),
        sa.PrimaryKeyConstraint("credential_id", "endpoint", name="pk_refusal"),
        _refers("refusal", "credential_id", "credential.id"),
    )


def _followed() -> None:
    op.create_table(
        "incident",
        _number("id"),
        _text("tenant_id"),
        _moment("opened_at"),
        _moment("resolved_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
        _refers("incident", "tenant_id", "tenant.id"),
    )
    only = sa.text("resolved_at IS NULL")
    op.create_index(
        "one_open_incident", "incident", ["tenant_id"], unique=True, sqlite_where=only, postgresql_where=only
    )
    op.create_table(
        "drift_event",
        _number("id"),
        _moment("at"),
        _text("kind"),
        _text("tenant_id"),
        _number("credential_id"),
        _number("check_id", nullable=True),
        _number("incident_id", nullable=True),
        _text("permission_id", nullable=True),
        _text("permission_group", nullable=True),
        _text("permission_label", nullable=True),
        _text("mapping", nullable=True),
        _text("rule", nullable=True),
        _text("state", nullable=True),
        _text("detail"),
        _moment("seen_before", nullable=True),
        _moment("first_seen", nullable=True),
        _text("manifest_digest", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_drift_event"),
        _refers("drift_event", "check_id", "check_summary.id"),
        _refers("drift_event", "credential_id", "credential.id"),
        _refers("drift_event", "incident_id", "incident.id"),
        _refers("drift_event", "tenant_id", "tenant.id"),
    )
    op.create_index("ix_drift_event_at", "drift_event", ["at"])
    op.create_index("ix_drift_event_tenant_id", "drift_event", ["tenant_id"])


def _told() -> None:
    op.create_table(
        "notice",
        _number("id"),
        _text("tenant_id", nullable=True),
        _text("audience"),
        _text("status"),
        _text("why"),
        _text("recipient"),
        _text("subject"),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        _text("message_id"),
        _moment("created_at"),
        _moment("next_attempt_at", nullable=True),
        _number("attempts"),
        _text("last_error", nullable=True),
        _moment("sent_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
        _refers("notice", "tenant_id", "tenant.id"),
        sa.UniqueConstraint("message_id", name="uq_notice_message_id"),
    )
    op.create_index("ix_notice_status", "notice", ["status"])
    op.create_table(
        "cause",
        _number("id"),
        _number("event_id"),
        _text("tenant_id"),
        _text("audience"),
        _text("brake_key"),
        _moment("created_at"),
        _moment("settled_at", nullable=True),
        _number("notice_id", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_cause"),
        _refers("cause", "event_id", "drift_event.id"),
        _refers("cause", "notice_id", "notice.id"),
        _refers("cause", "tenant_id", "tenant.id"),
    )
    op.create_index("ix_cause_settled_at", "cause", ["settled_at"])


def _done() -> None:
    op.create_table(
        "write_halt",
        _number("id"),
        _text("scope"),
        _text("tenant_id", nullable=True),
        _number("credential_id", nullable=True),
        _text("endpoint"),
        _number("status"),
        _moment("at"),
        _text("request_id", nullable=True),
        _text("record_id", nullable=True),
        _moment("lifted_at", nullable=True),
        _text("lifted_reason", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_write_halt"),
    )
    op.create_table(
        "operator_action",
        _number("id"),
        _moment("at"),
        _text("who"),
        _text("action"),
        _text("subject"),
        _text("reason"),
        sa.PrimaryKeyConstraint("id", name="pk_operator_action"),
    )
