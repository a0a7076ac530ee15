"""The list of tenants, worst first: what may be asked of it, and what a row of it says. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from checks.credential import CredentialState
from checks.reasons import DETAILS, REASONS
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

    `status` is a TenantStatus or one of Shown. `ours` asks for tenants that fail through something of ours. `folded` is
    a burst: its tenants are left out, unless they have another trouble as well.
    """

    text: str | None = None
    status: str = Shown.ANY
    csm: str | None = None
    feature: str | None = None
    kind: str | None = None
    missing: str | None = None
    ours: bool = False
    folded: int | None = None

    @property
    def is_open(self) -> bool:
        """It leaves out no tenant but the healthy ones."""
        return self == TenantFilter(status=self.status, folded=self.folded)


class TenantPlace(NamedTuple):
    """A row's place in the order of the list: where the next page begins."""

    severity: int
    since: datetime
    id: str


@dataclass(frozen=True, slots=True)
class CredentialStanding:
    """What a row needs of each credential. `undecided_reason` is the most frequent one of its undecided permissions.

    `carried` counts those that were missing under the secret before this one, without a verdict since.
    """

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
    carried: int = 0


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
    def place(self) -> TenantPlace:
        return TenantPlace(self.status.severity, self.since, self.id)

    @property
    def next_due(self) -> datetime | None:
        """Of the credentials in trouble, if some are: another one's check brings no news of them."""
        in_trouble = [c for c in self.credentials if c.state is not CredentialState.OK or c.missing or c.undecided]
        return min((c.next_due for c in in_trouble or self.credentials if c.next_due), default=None)

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
    def carried(self) -> int:
        return sum(c.carried for c in self.credentials)

    @property
    def worst(self) -> CredentialStanding | None:
        return max(self.credentials, key=lambda c: c.state.severity, default=None)

    @property
    def state(self) -> CredentialState:
        """The worst of its credentials; a row without a usable credential is misconfigured."""
        if self.worst is None:
            return CredentialState.OK if self.problem is None else CredentialState.MISCONFIGURED
        return self.worst.state

    @property
    def undecided_why(self) -> str:
        if not self.undecided:
            return "missing under the secret before this one, and not decided since"
        reason = next((c.undecided_reason for c in self.credentials if c.undecided_reason), "")
        return REASONS.get(reason, reason or "no reason was recorded")

    @property
    def suspects(self) -> int:
        return sum(c.suspects + (c.suspect_state is not None) for c in self.credentials)

    @property
    def reason(self) -> str:
        """Why it stands so, in one line."""
        return _REASON[self.status](self)


def _failing(row: TenantRow) -> str:
    worst = row.worst
    if worst is None:
        return f"tenants file, {row.problem}" if row.problem else "it has no credential"
    if worst.state is CredentialState.MISCONFIGURED:
        return row.problem or DETAILS.get(worst.detail, worst.detail) or REASONS["misconfigured"]
    return f"{worst.state}: {DETAILS.get(worst.detail, worst.detail)}"


def _drifted(row: TenantRow) -> str:
    named = row.missing_labels[:2]
    more = row.missing - len(named)
    return f"{row.missing} missing: {', '.join(named)}{f' and {more} more' if more > 0 else ''}"


def _undecided(row: TenantRow) -> str:
    return f"{counted(row.undecided or row.carried, 'permission')} undecided: {row.undecided_why}"


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
