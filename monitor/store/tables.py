"""The tables. No column holds a secret, the body of an answer, or personal data from Greenhouse.

Rows record changes: a permission's state is written when it changes, not on every check.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

from monitor.store.columns import NameList, UTCDateTime, utc_datetime

METADATA = SQLModel.metadata
# SQLite can only alter constraints that have a name.
METADATA.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Tenant(SQLModel, table=True):
    """One customer. `problem` is what is wrong with its row in the tenants file; `paused` has the fields of Paused.

    A removed tenant keeps its row and history, with `removed_at` set. `row_digest` covers the row and its problems: an
    unchanged tenant is not written again. `status` follows from the row and the credentials, and is written with them;
    `severity` is its place among the statuses, by which lists are ordered; `status_since` is null only in a row that no
    service wrote.
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
    # none_as_null: None would otherwise be stored as the JSON text null.
    paused: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    row_digest: str
    created_at: datetime = utc_datetime()
    removed_at: datetime | None = utc_datetime(nullable=True)
    status: str = Field(default="new", sa_column=Column(String, nullable=False, server_default="new"))
    severity: int = Field(default=3, sa_column=Column(Integer, nullable=False, server_default="3"))
    status_since: datetime | None = utc_datetime(nullable=True)


class StatusChange(SQLModel, table=True):
    """A tenant's status changed, or began: append-only. `previous` is null in a tenant's first row."""

    __tablename__ = "status_change"
    __table_args__ = (Index("status_change_of_tenant", "tenant_id", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    at: datetime = utc_datetime(index=True)
    status: str
    previous: str | None = None


_IN_DOUBT = "removed_at IS NULL AND (suspects > 0 OR suspect_state IS NOT NULL)"


class Credential(SQLModel, table=True):
    """What opens Greenhouse for a tenant, and its current state.

    `next_due` alone decides when the next check runs; it is null if the tenants file gives nothing to check with.
    `epoch` is a fencing token: a check that began under an older one writes nothing. `baseline_at` is the first full
    check of the present fingerprint, `last_full_at` the last full check that Greenhouse served; without a
    `manifest_digest` the next check is a full one. `last_outcome` and the counts cover confirmed states only.
    `reference` points to the key or the client secret; `oauth` has the fields of OAuthConfig, null for a key.
    """

    __tablename__ = "credential"
    __table_args__ = (
        UniqueConstraint("tenant_id", "label"),
        # What is due; with the other column, how far the sweep is, without reading the rows.
        Index("credential_planned", "next_due", "last_checked_at"),
        Index("credential_in_doubt", "id", sqlite_where=text(_IN_DOUBT), postgresql_where=text(_IN_DOUBT)),
    )

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
    state_since: datetime | None = utc_datetime(nullable=True)
    was_invalid: bool = False
    suspect_state: str | None = None
    suspect_since: datetime | None = utc_datetime(nullable=True)
    suspect_looks: int = 0
    suspect_fingerprint: str | None = None
    epoch: int = 0  # docs/decisions/0003-epoch-fence.md
    next_due: datetime | None = utc_datetime(nullable=True)
    baseline_at: datetime | None = utc_datetime(nullable=True)
    last_checked_at: datetime | None = utc_datetime(nullable=True)
    last_full_at: datetime | None = utc_datetime(nullable=True)
    last_outcome: str | None = None
    granted: int = 0
    missing: int = 0
    undecided: int = 0
    unchecked: int = 0
    suspects: int = 0
    carried: int = 0
    excess: int = 0
    removed_at: datetime | None = utc_datetime(nullable=True)


class Sweep(SQLModel, table=True):
    """A summary of one interval; `finished_at` is when every credential had been checked since it began."""

    __tablename__ = "sweep"

    id: int | None = Field(default=None, primary_key=True)
    # Unique: of several services on one database, one opens the sweep.
    started_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False, unique=True))
    finished_at: datetime | None = utc_datetime(nullable=True)


class Check(SQLModel, table=True):
    """The summary of one check; `partial` marks a check of suspects only."""

    __tablename__ = "check_summary"

    id: int | None = Field(default=None, primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    credential_id: int = Field(foreign_key="credential.id", index=True)
    started_at: datetime = utc_datetime(index=True)
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
    """All checks of one credential on one day (UTC), after their own rows expired; the columns are those of Day.

    The day comes first in the key, so that rows written together are stored together and pages stay full. Queries for a
    credential's days therefore name the days one by one.
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
    """What is known about one permission of one credential; the columns are those of drift.KnownPermission."""

    __tablename__ = "permission_state"
    __table_args__ = (
        Index(
            # How many tenants lack a permission: few rows of many.
            "missing_permission",
            "permission_id",
            "since",
            sqlite_where=text("verdict = 'missing'"),
            postgresql_where=text("verdict = 'missing'"),
        ),
    )

    credential_id: int = Field(foreign_key="credential.id", primary_key=True)
    permission_id: str = Field(primary_key=True)
    permission_group: str
    permission_label: str
    verdict: str | None = None
    rule: str = ""
    since: datetime | None = utc_datetime(nullable=True)
    last_granted_at: datetime | None = utc_datetime(nullable=True)
    origin: str | None = None
    undecided_since: datetime | None = utc_datetime(nullable=True)
    undecided_as: str | None = None
    undecided_reason: str | None = None
    suspect_since: datetime | None = utc_datetime(nullable=True)
    suspect_looks: int = 0
    asked: str | None = None
    answered_status: int | None = None
    evidence: tuple[str, ...] | None = Field(default=None, sa_column=Column(NameList, nullable=True))
    more_evidence: int | None = None
    evidence_at: datetime | None = utc_datetime(nullable=True)


class ExcessState(SQLModel, table=True):
    """Something a credential may do beyond its manifest; `certain` only for lists."""

    __tablename__ = "excess_state"

    credential_id: int = Field(foreign_key="credential.id", primary_key=True)
    endpoint: str = Field(primary_key=True)
    label: str
    certain: bool
    since: datetime = utc_datetime()


class Refusal(SQLModel, table=True):
    """An endpoint that was refused with the permission text under this fingerprint: the control that proves a repair.

    `seen_at` is updated at most once a day.
    """

    __tablename__ = "refusal"

    credential_id: int = Field(foreign_key="credential.id", primary_key=True)
    endpoint: str = Field(primary_key=True)
    fingerprint: str
    seen_at: datetime = utc_datetime()


class Incident(SQLModel, table=True):
    """A tenant's trouble, from opened to resolved; the index allows one open incident per tenant."""

    __tablename__ = "incident"
    __table_args__ = (
        Index("incident_of_tenant", "tenant_id", "id"),
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
    opened_at: datetime = utc_datetime()
    resolved_at: datetime | None = utc_datetime(nullable=True)


class DriftEvent(SQLModel, table=True):
    """A dated, append-only fact. It happened between `seen_before` and `first_seen`.

    `check_id` is null once the check's row has been rolled up into its day, `burst_id` until the event was grouped.
    """

    __tablename__ = "drift_event"
    __table_args__ = (
        Index(
            # For pruning, which clears `check_id` when it rolls up a check.
            "event_of_kept_check",
            "check_id",
            sqlite_where=text("check_id IS NOT NULL"),
            postgresql_where=text("check_id IS NOT NULL"),
        ),
        Index(
            # Who was told of an open incident; most events belong to one.
            "event_of_incident",
            "incident_id",
            sqlite_where=text("incident_id IS NOT NULL"),
            postgresql_where=text("incident_id IS NOT NULL"),
        ),
        # Pages of the list of events, the newest first: of a tenant, of a kind, of a permission.
        Index("event_of_tenant", "tenant_id", "at", "id"),
        Index("event_of_kind", "kind", "at", "id"),
        Index("event_of_permission", "permission_id", "at", "id"),
        Index(
            "event_of_burst",
            "burst_id",
            "tenant_id",
            sqlite_where=text("burst_id IS NOT NULL"),
            postgresql_where=text("burst_id IS NOT NULL"),
        ),
        Index(
            "ungrouped_event",
            "id",
            sqlite_where=text("burst_id IS NULL"),
            postgresql_where=text("burst_id IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = utc_datetime(index=True)
    kind: str
    tenant_id: str = Field(foreign_key="tenant.id")
    credential_id: int = Field(foreign_key="credential.id")
    check_id: int | None = Field(default=None, foreign_key="check_summary.id")
    incident_id: int | None = Field(default=None, foreign_key="incident.id")
    burst_id: int | None = Field(default=None, foreign_key="burst.id")
    permission_id: str | None = None
    permission_group: str | None = None
    permission_label: str | None = None
    mapping: str | None = None
    rule: str | None = None
    state: str | None = None
    detail: str = ""
    seen_before: datetime | None = utc_datetime(nullable=True)
    first_seen: datetime | None = utc_datetime(nullable=True)
    manifest_digest: str | None = None


class Cause(SQLModel, table=True):
    """A reason for a notice, written with its event; the composer sets `settled_at` when it has handled it.

    `brake_key` identifies a change that many tenants may share, such as `lost:offers.list_offers`.
    """

    __tablename__ = "cause"
    __table_args__ = (
        Index(
            # The composer reads these every minute; settled ones are kept for ever, and would fill a whole index.
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
    created_at: datetime = utc_datetime(index=True)
    settled_at: datetime | None = utc_datetime(nullable=True)
    notice_id: int | None = Field(default=None, foreign_key="notice.id", index=True)


class Notice(SQLModel, table=True):
    """One message to one person. `status`: pending, held, sent, dropped or failed.

    `text` and `html` are emptied some time after the notice was sent or dropped. `fallback` marks a notice worded
    without its template; `reported_at` is when the operator was notified of a failure; `pending_since` is when it was
    written, released or retried. The index has every column needed to find the next notice to send: rows are long, and
    reading ten thousand of them for each email takes a quarter of a second.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("notice_to_send", "status", "next_attempt_at", "audience", "recipient", "pending_since"),
        # For pruning: the notices whose text is still there, instead of every notice ever sent.
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
    created_at: datetime = utc_datetime()
    next_attempt_at: datetime | None = utc_datetime(nullable=True)
    attempts: int = 0
    last_error: str | None = None
    sent_at: datetime | None = utc_datetime(nullable=True)
    fallback: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    failed_at: datetime | None = utc_datetime(nullable=True)
    reported_at: datetime | None = utc_datetime(nullable=True)
    pending_since: datetime | None = utc_datetime(nullable=True)


class Sample(SQLModel, table=True):
    """Tenants whose checks were brought forward at `asked_at`, because others had changed in the ways of `brake_keys`.

    Only the rows of the last interval are used; older ones are deleted with the next sample.
    """

    __tablename__ = "sample"

    id: int | None = Field(default=None, primary_key=True)
    asked_at: datetime = utc_datetime(index=True)
    brake_keys: list[str] = Field(sa_column=Column(JSON, nullable=False))
    tenants: list[str] = Field(sa_column=Column(JSON, nullable=False))


class BrakeReport(SQLModel, table=True):
    """How many tenants of a brake key the operator was last notified of, and when."""

    __tablename__ = "brake_report"

    brake_key: str = Field(primary_key=True)
    reported_at: datetime = utc_datetime()
    tenants: int


class Installation(SQLModel, table=True):
    """At most one row: a digest of the installation's key, registered at `noted_at`."""

    __tablename__ = "installation"

    id: int = Field(default=1, primary_key=True)
    key_check: str
    noted_at: datetime = utc_datetime()


class WriteHalt(SQLModel, table=True):
    """A halt of write probes for all workers; `scope` is `all` or `without_id`."""

    __tablename__ = "write_halt"

    id: int | None = Field(default=None, primary_key=True)
    scope: str
    tenant_id: str | None = None
    credential_id: int | None = None
    endpoint: str
    status: int
    at: datetime = utc_datetime()
    request_id: str | None = None
    record_id: str | None = None
    lifted_at: datetime | None = utc_datetime(nullable=True)
    lifted_reason: str | None = None


class OperatorAction(SQLModel, table=True):
    """What an operator did by command, when and why."""

    __tablename__ = "operator_action"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = utc_datetime()
    who: str
    action: str
    subject: str
    reason: str = ""


class NoticeAction(SQLModel, table=True):
    """Which notices an operator's action concerned."""

    __tablename__ = "notice_action"

    notice_id: int = Field(foreign_key="notice.id", primary_key=True)
    action_id: int = Field(foreign_key="operator_action.id", primary_key=True)


def _table(model: type[SQLModel]) -> Table:
    return METADATA.tables[str(model.__tablename__)]


TENANT = _table(Tenant)
STATUS_CHANGE = _table(StatusChange)
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
NOTICE_ACTION = _table(NoticeAction)
SAMPLE = _table(Sample)
BRAKE_REPORT = _table(BrakeReport)

Index(
    # The worst first, then what changed last: pages of the list of tenants.
    "tenant_worst_first",
    TENANT.c.severity,
    TENANT.c.status_since.desc(),
    TENANT.c.id,
    sqlite_where=text("removed_at IS NULL"),
    postgresql_where=text("removed_at IS NULL"),
)
