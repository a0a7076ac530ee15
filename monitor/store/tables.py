"""The tables. No column holds a key, an answer's body or a person known to Greenhouse.

Only changes are rows: a permission's state is written when it turns, not on every check.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlmodel import Field, SQLModel

METADATA = SQLModel.metadata
# SQLite can only alter a constraint that has a name.
METADATA.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC; SQLite forgets the zone, so it is given back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone was about to be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def moment(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UTCDateTime, nullable=nullable, index=index))


class Tenant(SQLModel, table=True):
    """One customer. `problem` is what is wrong with its row of the tenants file; `removed_at` keeps its history.

    `row_digest` is of the row and of its problems: what is unchanged is not written again.
    """

    __tablename__ = "tenant"

    id: str = Field(primary_key=True)
    name: str
    csm_name: str | None = None
    csm_email: str | None = None
    features: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    write_probes: str | None = None
    declined: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    problem: str | None = Field(default=None, sa_column=Column(Text))
    row_digest: str
    created_at: datetime = moment()
    removed_at: datetime | None = moment(nullable=True)


class Credential(SQLModel, table=True):
    """What opens Greenhouse for a tenant, and how it stands.

    `next_due` is the truth about what runs; null where the tenants file gives nothing to check with (any more).
    `epoch` is the fence: a check that began under an older one writes nothing. `baseline_at` is when the present
    fingerprint was first looked at in full, `last_full_at` the last full look that was served; without a
    `manifest_digest` the next look is a full one. `last_outcome` and the counts are of what is confirmed. `reference`
    is where the key is kept, or the client secret; `oauth` are the fields of tenants.OAuthConfig, null for a key.
    """

    __tablename__ = "credential"
    __table_args__ = (UniqueConstraint("tenant_id", "label"),)

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    label: str
    kind: str
    reference: str
    oauth: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    manifest: str | None = None
    fingerprint: str | None = None
    manifest_digest: str | None = None
    state: str = "ok"
    detail: str = ""
    state_since: datetime | None = moment(nullable=True)
    was_invalid: bool = False
    suspect_state: str | None = None
    suspect_since: datetime | None = moment(nullable=True)
    suspect_looks: int = 0
    epoch: int = 0
    next_due: datetime | None = moment(nullable=True, index=True)
    baseline_at: datetime | None = moment(nullable=True)
    last_checked_at: datetime | None = moment(nullable=True)
    last_full_at: datetime | None = moment(nullable=True)
    last_outcome: str | None = None
    granted: int = 0
    missing: int = 0
    undecided: int = 0
    unchecked: int = 0
    suspects: int = 0
    carried: int = 0
    excess: int = 0
    removed_at: datetime | None = moment(nullable=True)


class Sweep(SQLModel, table=True):
    """A summary of one interval; `finished_at` is when every credential had been looked at since it began."""

    __tablename__ = "sweep"

    id: int | None = Field(default=None, primary_key=True)
    started_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False, unique=True))
    finished_at: datetime | None = moment(nullable=True)


class Check(SQLModel, table=True):
    """The summary of one check; `partial` marks a second look at suspects."""

    __tablename__ = "check_summary"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    credential_id: int = Field(foreign_key="credential.id", index=True)
    started_at: datetime = moment(index=True)
    duration_seconds: float
    manifest_name: str
    manifest_version: str
    manifest_digest: str
    fingerprint: str | None
    state: str
    detail: str
    outcome: str
    granted: int
    missing: int
    undecided: int
    unchecked: int
    excess: int
    requests: int
    partial: bool


class CheckDay(SQLModel, table=True):
    """All checks of one credential on one day (UTC), once their own rows are gone; the columns are those of days.Day.

    The day comes first in the key: what is written together lies together, and the table is packed full. A credential's
    days are found by naming them one by one.
    """

    __tablename__ = "check_day"
    __table_args__ = ({"sqlite_with_rowid": False},)

    day: date = Field(primary_key=True)
    credential_id: int = Field(foreign_key="credential.id", primary_key=True)
    checks: int
    drifted: int
    undecided: int
    failed: int
    state: str
    least_granted: int | None = None
    most_missing: int | None = None
    most_undecided: int | None = None
    most_excess: int | None = None
    requests: int
    seconds: int


class PermissionState(SQLModel, table=True):
    """What is known of one permission of one credential; the columns are those of drift.PermissionStanding."""

    __tablename__ = "permission_state"

    credential_id: int = Field(foreign_key="credential.id", primary_key=True)
    permission_id: str = Field(primary_key=True)
    permission_group: str
    permission_label: str
    verdict: str | None = None
    rule: str = ""
    since: datetime | None = moment(nullable=True)
    last_granted_at: datetime | None = moment(nullable=True)
    origin: str | None = None
    undecided_since: datetime | None = moment(nullable=True)
    undecided_as: str | None = None
    undecided_reason: str | None = None
    suspect_since: datetime | None = moment(nullable=True)
    suspect_looks: int = 0


class ExcessState(SQLModel, table=True):
    """Something a credential may do outside its manifest; `certain` for lists only."""

    __tablename__ = "excess_state"

    credential_id: int = Field(foreign_key="credential.id", primary_key=True)
    endpoint: str = Field(primary_key=True)
    label: str
    certain: bool
    since: datetime = moment()


class Refusal(SQLModel, table=True):
    """An endpoint seen refused by the permission text under this fingerprint: the control that proves a repair.

    `seen_at` is renewed once a day at most.
    """

    __tablename__ = "refusal"

    credential_id: int = Field(foreign_key="credential.id", primary_key=True)
    endpoint: str = Field(primary_key=True)
    fingerprint: str
    seen_at: datetime = moment()


class Incident(SQLModel, table=True):
    """The life of a tenant's trouble; the index holds that a tenant has one open incident at most."""

    __tablename__ = "incident"
    __table_args__ = (
        Index(
            "one_open_incident",
            "tenant_id",
            unique=True,
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    opened_at: datetime = moment()
    resolved_at: datetime | None = moment(nullable=True)


class DriftEvent(SQLModel, table=True):
    """A dated, append-only fact. `seen_before` and `first_seen` are the window in which it happened.

    `check_id` is null once the check's row has been rolled up into its day.
    """

    __tablename__ = "drift_event"
    __table_args__ = (
        Index(
            "event_of_kept_check",
            "check_id",
            sqlite_where=text("check_id IS NOT NULL"),
            postgresql_where=text("check_id IS NOT NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = moment(index=True)
    kind: str
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    credential_id: int = Field(foreign_key="credential.id")
    check_id: int | None = Field(default=None, foreign_key="check_summary.id")
    incident_id: int | None = Field(default=None, foreign_key="incident.id")
    permission_id: str | None = None
    permission_group: str | None = None
    permission_label: str | None = None
    mapping: str | None = None
    rule: str | None = None
    state: str | None = None
    detail: str = ""
    seen_before: datetime | None = moment(nullable=True)
    first_seen: datetime | None = moment(nullable=True)
    manifest_digest: str | None = None


class Cause(SQLModel, table=True):
    """A reason for a notice, written with its event; `settled_at` is set once the composer has dealt with it.

    `brake_key` is what many tenants may turn with at once, such as `lost:offers.list_offers`.
    """

    __tablename__ = "cause"
    __table_args__ = (
        Index(
            "unsettled_cause",
            "tenant_id",
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    event_id: int = Field(foreign_key="drift_event.id", index=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    audience: str
    brake_key: str
    created_at: datetime = moment()
    settled_at: datetime | None = moment(nullable=True)
    notice_id: int | None = Field(default=None, foreign_key="notice.id", index=True)


class Notice(SQLModel, table=True):
    """One message to one person. `status`: pending, held, sent, dropped or failed.

    `text` and `html` are empty once the notice was sent, or dropped, long ago.
    `fallback` marks fallback text for want of a template; `reported_at` is when the operator was told of a failure;
    `pending_since` is when it was written, let go or retried. The index holds all that the next one to send is found
    by: the texts make rows long, and reading ten thousand of them for each mail takes a quarter of a second.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("notice_to_send", "status", "next_attempt_at", "audience", "recipient", "pending_since"),
        Index("notice_with_text", "created_at", sqlite_where=text("text <> ''"), postgresql_where=text("text <> ''")),
    )

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: str | None = Field(default=None, foreign_key="tenant.id", index=True)
    audience: str
    status: str = Field(index=True)
    why: str
    recipient: str
    subject: str
    text: str = Field(sa_column=Column(Text, nullable=False))
    html: str = Field(sa_column=Column(Text, nullable=False))
    message_id: str = Field(unique=True)
    created_at: datetime = moment()
    next_attempt_at: datetime | None = moment(nullable=True)
    attempts: int = 0
    last_error: str | None = None
    sent_at: datetime | None = moment(nullable=True)
    fallback: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    failed_at: datetime | None = moment(nullable=True)
    reported_at: datetime | None = moment(nullable=True)
    pending_since: datetime | None = moment(nullable=True)


class Installation(SQLModel, table=True):
    """One row at most: what the installation's key is known by, since `noted_at`."""

    __tablename__ = "installation"

    id: int = Field(default=1, primary_key=True)
    key_check: str
    noted_at: datetime = moment()


class WriteHalt(SQLModel, table=True):
    """A stop of write probes for every worker; `scope` is `all` or `without_id`."""

    __tablename__ = "write_halt"

    id: int | None = Field(default=None, primary_key=True)
    scope: str
    tenant_id: str | None = None
    credential_id: int | None = None
    endpoint: str
    status: int
    at: datetime = moment()
    request_id: str | None = None
    record_id: str | None = None
    lifted_at: datetime | None = moment(nullable=True)
    lifted_reason: str | None = None


class OperatorAction(SQLModel, table=True):
    """What an operator did by command, when and why."""

    __tablename__ = "operator_action"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = moment()
    who: str
    action: str
    subject: str
    reason: str = ""


def _table(model: type[SQLModel]) -> Table:
    return METADATA.tables[str(model.__tablename__)]


TENANT = _table(Tenant)
CREDENTIAL = _table(Credential)
SWEEP = _table(Sweep)
CHECK = _table(Check)
CHECK_DAY = _table(CheckDay)
PERMISSION_STATE = _table(PermissionState)
EXCESS_STATE = _table(ExcessState)
REFUSAL = _table(Refusal)
INCIDENT = _table(Incident)
DRIFT_EVENT = _table(DriftEvent)
CAUSE = _table(Cause)
NOTICE = _table(Notice)
INSTALLATION = _table(Installation)
WRITE_HALT = _table(WriteHalt)
OPERATOR_ACTION = _table(OperatorAction)
