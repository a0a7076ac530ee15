"""Makes the stored tenants and credentials equal to the tenants file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.report import CheckReport
from monitor.drift import DriftPolicy, compare
from monitor.incidents import event_queries, known_queries, status_queries
from monitor.incidents.status import Standing, status_of
from monitor.incidents.status_queries import ChangedStatus
from monitor.store.statements import TENANTS_LOCK, one_at_a_time
from monitor.store.tables import CAUSE, CREDENTIAL, INCIDENT, TENANT, Credential
from monitor.tenants.file import CredentialConfig, Declined, Paused, TenantConfig, TenantProblem

_Row = Row[*tuple[Any, ...]]
_BATCH = 500  # tenants in one statement: both databases allow some 32,000 parameters
_CHANGES_THE_CHECK = ("features", "write_probes", "declined")
_NEW_CREDENTIAL = Credential(tenant_id="", label="", kind="", reference="").model_dump(exclude={"id"})
"""The defaults of a new credential; built once, since ten thousand may be added at a time."""


@dataclass(frozen=True, slots=True)
class Synced:
    """How many tenants were added (or came back), changed, and removed."""

    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the file says about one tenant: its row, what is wrong with it, or both."""

    tenant_id: str
    config: TenantConfig | None
    problem: str | None

    @property
    def digest(self) -> str:
        row = self.config.row_digest if self.config else ""
        return row if self.problem is None else sha256(f"{row} {self.problem}".encode()).hexdigest()[:16]

    @property
    def credentials(self) -> tuple[CredentialConfig, ...]:
        return self.config.credentials if self.config else ()

    @property
    def row(self) -> dict[str, Any]:
        """The tenant's columns; if its row cannot be read, the columns that come from it are left unchanged."""
        read = {} if self.config is None else _columns(self.config)
        return {**read, "id": self.tenant_id, "problem": self.problem, "row_digest": self.digest, "removed_at": None}

    @property
    def standing(self) -> Standing:
        """Where nothing is stored yet."""
        paused, credentials = self.config is not None and self.config.paused is not None, len(self.credentials)
        return Standing(paused=paused, problem=self.problem is not None, credentials=credentials, unsettled=credentials)


async def sync(
    conn: AsyncConnection,
    tenants: Sequence[TenantConfig],
    problems: Sequence[TenantProblem],
    now: datetime,
    policy: DriftPolicy,
) -> Synced:
    """Write what changed. A credential that is new, or is to be checked differently, is due at once.

    A credential without a usable row, whose tenant the file still mentions, becomes `misconfigured` and is not checked;
    one that the file no longer mentions is removed. A paused tenant's are left as they are. A running check of any of
    these will not be recorded.
    """
    # Otherwise two services that read the same new file would both insert its tenants.
    await one_at_a_time(conn, TENANTS_LOCK)
    wanted = _wanted(tenants, problems)
    columns = TENANT.c["id", "row_digest", "removed_at", "paused"]
    stored = {row.id: row for row in await conn.execute(select(*columns))}
    new = [one for id_, one in wanted.items() if id_ not in stored]
    changed = [one for id_, one in wanted.items() if id_ in stored and _differs(one, stored[id_])]
    gone = sorted(id_ for id_, row in stored.items() if row.removed_at is None and id_ not in wanted)
    await _add(conn, new, now)
    for start in range(0, len(changed), _BATCH):
        await _change(conn, changed[start : start + _BATCH], now, policy)
    await _remove(conn, gone, now)
    touched = {one.tenant_id for one in changed}.union(gone)
    await status_queries.settle(conn, sorted(touched), now)
    await _settle_incidents(conn, touched, now)
    back = [one.tenant_id for one in changed if stored[one.tenant_id].removed_at is not None]
    resumed = [id_ for one in changed if stored[id_ := one.tenant_id].paused and not _paused(one, stored[id_])]
    await _wait_again(conn, sorted({*back, *resumed}), now)
    return Synced(added=len(new) + len(back), changed=len(changed) - len(back), removed=len(gone))


async def active_ids(conn: AsyncConnection) -> frozenset[str]:
    """The ids of the tenants that were not removed."""
    return frozenset((await conn.execute(select(TENANT.c.id).where(TENANT.c.removed_at.is_(None)))).scalars())


def _wanted(tenants: Iterable[TenantConfig], problems: Iterable[TenantProblem]) -> dict[str, _Wanted]:
    """Ordered by id, which is also the order in which rows are locked."""
    configs = {tenant.id: tenant for tenant in tenants}
    messages: dict[str, list[str]] = {}
    for problem in problems:
        if problem.tenant_id is not None:
            messages.setdefault(problem.tenant_id, []).append(problem.message)
    ids = sorted(configs.keys() | messages.keys())
    return {id_: _Wanted(id_, configs.get(id_), "\n".join(messages.get(id_, ())) or None) for id_ in ids}


def _differs(wanted: _Wanted, stored: _Row) -> bool:
    return stored.removed_at is not None or stored.row_digest != wanted.digest


def _paused(wanted: _Wanted, stored: _Row) -> bool:
    """A row that cannot be read neither pauses its tenant nor resumes it."""
    if wanted.config is None:
        return stored.paused is not None
    return wanted.config.paused is not None


def _columns(config: TenantConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "csm_name": config.csm_name,
        "csm_email": config.csm_email,
        "features": list(config.features),
        "write_probes": config.write_probes,
        "declined": [{"permission": entry.permission, **_reason(entry)} for entry in config.declined],
        "paused": config.paused and _reason(config.paused),
    }


def _reason(entry: Declined | Paused) -> dict[str, Any]:
    return {"reference": entry.reference, "since": entry.since and entry.since.isoformat(), "by": entry.by}


def _check_columns(config: CredentialConfig) -> dict[str, Any]:
    """The columns that decide how a credential is checked."""
    oauth = asdict(config.oauth) if config.oauth else None
    return {"kind": config.kind, "reference": config.reference, "oauth": oauth, "manifest": config.manifest}


def _checked_differently(config: CredentialConfig, was: _Row) -> bool:
    return any(was._mapping[name] != value for name, value in _check_columns(config).items())


def _under_another_label(config: CredentialConfig, stored: Mapping[str, _Row]) -> int | None:
    """The one credential that is kept in the same place: if its label is gone, somebody corrected it."""
    place = {name: value for name, value in _check_columns(config).items() if name != "manifest"}
    active = [was for was in stored.values() if was.removed_at is None]
    same = [was.id for was in active if all(was._mapping[name] == value for name, value in place.items())]
    return same[0] if len(same) == 1 else None


async def _add(conn: AsyncConnection, new: Sequence[_Wanted], now: datetime) -> None:
    empty: dict[str, Any] = {
        "csm_name": None,
        "csm_email": None,
        "features": [],
        "write_probes": None,
        "declined": [],
        "paused": None,
    }
    began = [ChangedStatus(one.tenant_id, None, status_of(one.standing)) for one in new]
    if new:
        rows = [
            {"name": one.tenant_id, **empty, **one.row, "created_at": now}
            | {"status": first.status, "severity": first.status.severity, "status_since": now}
            for one, first in zip(new, began, strict=True)
        ]
        await conn.execute(insert(TENANT), rows)
    await status_queries.note(conn, began, now)
    added = [(one.tenant_id, config, None if one.standing.paused else now) for one in new for config in one.credentials]
    await _add_credentials(conn, added)


async def _add_credentials(
    conn: AsyncConnection, added: Sequence[tuple[str, CredentialConfig, datetime | None]]
) -> None:
    if added:
        rows = [
            {**_NEW_CREDENTIAL, "tenant_id": id_, "label": one.label, "next_due": due, **_check_columns(one)}
            for id_, one, due in added
        ]
        await conn.execute(insert(CREDENTIAL), rows)


@dataclass(slots=True)
class _Plan:
    """What is to be done with the credentials of a batch of tenants, and when those that are checked are due."""

    now: datetime
    added: list[tuple[str, CredentialConfig, datetime | None]] = field(default_factory=list)
    rewritten: list[tuple[int, CredentialConfig, datetime | None]] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    suspended: list[int] = field(default_factory=list)
    misconfigured: list[tuple[int, _Wanted]] = field(default_factory=list)

    def add(self, wanted: _Wanted, tenant: _Row, stored: Mapping[str, _Row]) -> None:
        paused = _paused(wanted, tenant)
        due = None if paused else self.now
        changed = any(
            wanted.row.get(name, tenant._mapping[name]) != tenant._mapping[name] for name in _CHANGES_THE_CHECK
        )
        labels = {config.label for config in wanted.credentials}
        dropped = {was.id: was for was in stored.values() if was.label not in labels and was.removed_at is None}
        for config in wanted.credentials:
            was = stored.get(config.label) or dropped.pop(_under_another_label(config, stored), None)
            if was is None:
                self.added.append((wanted.tenant_id, config, due))
            elif (
                changed
                or due is None
                or was.next_due is None
                or was.label != config.label
                or _checked_differently(config, was)
            ):
                self.rewritten.append((was.id, config, due))
        for was in dropped.values():
            if wanted.problem is None:
                self.gone.append(was.id)
            else:
                self.suspended.append(was.id)
                # The last known state of a paused tenant is kept.
                self.misconfigured += [] if paused else [(was.id, wanted)]


async def _change(conn: AsyncConnection, batch: Sequence[_Wanted], now: datetime, policy: DriftPolicy) -> None:
    ids = [one.tenant_id for one in batch]
    locked = select(TENANT).where(TENANT.c.id.in_(ids)).order_by(TENANT.c.id).with_for_update()
    before = {row.id: row for row in await conn.execute(locked)}
    credentials: dict[str, dict[str, _Row]] = {tenant_id: {} for tenant_id in ids}
    for row in await conn.execute(select(CREDENTIAL).where(CREDENTIAL.c.tenant_id.in_(ids))):
        credentials[row.tenant_id][row.label] = row
    plan = _Plan(now)
    for one in batch:
        plan.add(one, before[one.tenant_id], credentials[one.tenant_id])
    # Apart: a row that cannot be read has fewer columns.
    await _write_rows(conn, [one.row for one in batch if one.config])
    await _write_rows(conn, [one.row for one in batch if not one.config])
    await _add_credentials(conn, plan.added)
    await _rewrite(conn, plan.rewritten)
    await _suspend(conn, CREDENTIAL.c.id.in_(plan.gone), removed_at=now)
    await _suspend(conn, CREDENTIAL.c.id.in_(plan.suspended), removed_at=None)
    for credential_id, wanted in plan.misconfigured:
        await _misconfigure(conn, credential_id, wanted, now, policy)


async def _write_rows(conn: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """All rows with the same columns."""
    if rows:
        columns: dict[str, Any] = {name: bindparam(f"new_{name}") for name in rows[0] if name != "id"}
        statement = update(TENANT).where(TENANT.c.id == bindparam("new_id")).values(columns)
        await conn.execute(statement, [{f"new_{name}": value for name, value in row.items()} for row in rows])


async def _rewrite(conn: AsyncConnection, rewritten: Sequence[tuple[int, CredentialConfig, datetime | None]]) -> None:
    """Clearing the digest of the last full check makes the next check a full one."""
    columns = ("label", "next_due", "kind", "reference", "oauth", "manifest")
    statement = (
        update(CREDENTIAL)
        .where(CREDENTIAL.c.id == bindparam("key"))
        .values(
            {name: bindparam(f"new_{name}", type_=CREDENTIAL.c[name].type) for name in columns}
            | {"removed_at": None, "manifest_digest": None, "epoch": CREDENTIAL.c.epoch + 1}
        )
    )
    if rewritten:
        rows = [
            {"key": id_, "new_label": config.label, "new_next_due": due}
            | {f"new_{name}": value for name, value in _check_columns(config).items()}
            for id_, config, due in rewritten
        ]
        await conn.execute(statement, rows)


async def _suspend(conn: AsyncConnection, which: ColumnElement[bool], removed_at: datetime | None) -> None:
    """Plan no more checks of these credentials; a running one will not be recorded, since the epoch changed."""
    columns = {"next_due": None, "removed_at": removed_at, "epoch": CREDENTIAL.c.epoch + 1}
    await conn.execute(update(CREDENTIAL).where(which).values(columns))


async def _misconfigure(
    conn: AsyncConnection, credential_id: int, wanted: _Wanted, now: datetime, policy: DriftPolicy
) -> None:
    before = await known_queries.load(conn, credential_id)
    report = CheckReport("", "", "", CredentialState.MISCONFIGURED, wanted.problem or "", findings=())
    change = compare(before, report, None, now, policy)
    await known_queries.save(conn, credential_id, before, change.known, next_due=None)
    await event_queries.record_events(conn, wanted.tenant_id, credential_id, change, None, now)


async def _remove(conn: AsyncConnection, gone: Sequence[str], now: datetime) -> None:
    for start in range(0, len(gone), _BATCH):
        batch = gone[start : start + _BATCH]
        await conn.execute(update(TENANT).where(TENANT.c.id.in_(batch)).values(removed_at=now))
        active = CREDENTIAL.c.tenant_id.in_(batch) & CREDENTIAL.c.removed_at.is_(None)
        await _suspend(conn, active, removed_at=now)


async def _wait_again(conn: AsyncConnection, back: Sequence[str], now: datetime) -> None:
    """What a tenant was to be notified of when it left waits as if it had just happened, until it is checked again."""
    for start in range(0, len(back), _BATCH):
        waiting = CAUSE.c.tenant_id.in_(back[start : start + _BATCH]) & CAUSE.c.settled_at.is_(None)
        await conn.execute(update(CAUSE).where(waiting).values(created_at=now))


async def _settle_incidents(conn: AsyncConnection, tenant_ids: set[str], now: datetime) -> None:
    """Resolve incidents whose credentials were removed."""
    still_open = (await conn.execute(select(INCIDENT.c.tenant_id).where(INCIDENT.c.resolved_at.is_(None)))).scalars()
    for tenant_id in sorted(tenant_ids.intersection(still_open)):
        await event_queries.settle(conn, tenant_id, now)
