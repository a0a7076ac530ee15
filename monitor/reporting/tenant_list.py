"""The list of tenants, worst first: what may be asked of it, and what a row of it says. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checks.credential import CredentialState
from checks.reasons import REASONS
from monitor.incidents.status import TenantStatus
from monitor.notices.wording import counted
from monitor.reporting.told import Told


class Shown(StrEnum):
    """Which tenants the list shows; beside these, the name of every status."""

    ATTENTION = "attention"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class TenantFilter:
    """None leaves an aspect open. `text` is looked for in names, ids and CSMs; `missing` is a permission's id or label.

    `status` is a TenantStatus or one of Shown. `ours` asks for tenants that fail through something of ours.
    """

    text: str | None = None
    status: str = Shown.ANY
    csm: str | None = None
    feature: str | None = None
    kind: str | None = None
    missing: str | None = None
    ours: bool = False

    @property
    def is_open(self) -> bool:
        """It leaves out no tenant but the healthy ones."""
        return self == TenantFilter(status=self.status)


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in the order of the list: where the next page begins."""

    severity: int
    since: datetime
    id: str


@dataclass(frozen=True, slots=True)
class CredentialStanding:
    """What a row needs of each credential. `reasons` are those of undecided permissions, the most frequent first."""

    label: str
    kind: str
    state: CredentialState
    detail: str
    missing: int
    undecided: int
    unchecked: int
    suspects: int
    suspect_state: str | None
    last_checked_at: datetime | None
    next_due: datetime | None
    missing_labels: tuple[str, ...] = ()
    undecided_reason: str | None = None


@dataclass(frozen=True, slots=True)
class TenantRow:
    id: str
    name: str
    csm_name: str | None
    csm_email: str | None
    status: TenantStatus
    since: datetime
    problem: str | None
    paused: str | None
    credentials: tuple[CredentialStanding, ...]
    told: Told | None = None

    @property
    def place(self) -> Place:
        return Place(self.status.severity, self.since, self.id)

    @property
    def next_due(self) -> datetime | None:
        return min((c.next_due for c in self.credentials if c.next_due), default=None)

    @property
    def last_checked_at(self) -> datetime | None:
        """When all of its credentials had been checked last; None while one has never been checked."""
        moments = [c.last_checked_at for c in self.credentials]
        return min((moment for moment in moments if moment is not None), default=None) if all(moments) else None

    @property
    def missing_labels(self) -> tuple[str, ...]:
        return tuple(label for c in self.credentials for label in c.missing_labels)

    @property
    def missing(self) -> int:
        return sum(c.missing for c in self.credentials)

    @property
    def undecided(self) -> int:
        return sum(c.undecided for c in self.credentials)

    @property
    def suspects(self) -> int:
        return sum(c.suspects + (c.suspect_state is not None) for c in self.credentials)

    @property
    def reason(self) -> str:
        """Why it stands so, in one line."""
        return _REASON[self.status](self)


def _failing(row: TenantRow) -> str:
    if not row.credentials:
        return row.problem or ""
    worst = max(row.credentials, key=lambda c: c.state.severity)
    if worst.state is CredentialState.MISCONFIGURED:
        return row.problem or worst.detail or REASONS["misconfigured"]
    return f"{worst.state}: {REASONS.get(worst.detail, worst.detail)}"


def _drifted(row: TenantRow) -> str:
    named = row.missing_labels[:2]
    more = row.missing - len(named)
    return f"{row.missing} missing: {', '.join(named)}{f' and {more} more' if more > 0 else ''}"


def _undecided(row: TenantRow) -> str:
    reason = next((c.undecided_reason for c in row.credentials if c.undecided_reason), None)
    why = REASONS.get(reason or "", "missing under the secret before this one, and not decided since")
    return f"{counted(row.undecided, 'permission')} undecided: {why}"


def _new(row: TenantRow) -> str:
    return "the first check is to come, or to be confirmed"


def _healthy(row: TenantRow) -> str:
    return f"{row.suspects} not confirmed: checked again within minutes" if row.suspects else ""


def _paused(row: TenantRow) -> str:
    return f"not checked: {row.paused}" if row.paused else "not checked"


def _removed(row: TenantRow) -> str:
    return "no longer in the tenants file"


_REASON = {
    TenantStatus.FAILING: _failing,
    TenantStatus.DRIFTED: _drifted,
    TenantStatus.UNDECIDED: _undecided,
    TenantStatus.NEW: _new,
    TenantStatus.HEALTHY: _healthy,
    TenantStatus.PAUSED: _paused,
    TenantStatus.REMOVED: _removed,
}
