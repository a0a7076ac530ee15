"""What happens next to a tenant: its next check, or what somebody has to do first. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from checks.credential import CredentialState
from monitor.incidents.status import TenantStatus
from monitor.reporting.sentence import Piece, Sentence, say
from monitor.reporting.tenant_list import TenantRow

_IN_THE_FILE = "Correct its row in the tenants file, or the secret that it names; it is then checked within a minute."
_OF_STATES: Mapping[CredentialState, str] = {
    CredentialState.MISCONFIGURED: _IN_THE_FILE,
    CredentialState.INVALID: "The customer's admin enables the credential again, or makes a new one for you to store.",
    CredentialState.BLOCKED: "Find out with the customer whether the credential's list of trusted addresses has ours.",
    CredentialState.RETIRED: "The customer moves to Harvest v3: `harvest-monitor tenants migration {id}` says how.",
}


def next_step(row: TenantRow, now: datetime) -> Sentence:
    return say(*_WHAT[row.status](row), *_check(row, now))


def _check(row: TenantRow, now: datetime) -> list[Piece]:
    if row.next_due is None:
        return ["No check is planned."]
    if row.next_due <= now:
        return ["Its next check is due since ", row.next_due, "."]
    return ["Its next check is at ", row.next_due, "."]


def _failing(row: TenantRow) -> list[Piece]:
    if row.worst is None:
        return [_IN_THE_FILE, " "]
    step = _OF_STATES.get(row.worst.state)
    return [step.format(id=row.id), " "] if step else []


def _drifted(row: TenantRow) -> list[Piece]:
    what = "this permission" if row.missing == 1 else "these permissions"
    return [f"The customer's admin ticks {what} of the credential, and the first check after that sees it. "]


def _paused(row: TenantRow) -> list[Piece]:
    return ["It is checked again once `paused` is gone from its row in the tenants file. "]


def _nothing(row: TenantRow) -> list[Piece]:
    return []


_WHAT: Mapping[TenantStatus, Callable[[TenantRow], list[Piece]]] = {
    TenantStatus.FAILING: _failing,
    TenantStatus.DRIFTED: _drifted,
    TenantStatus.UNDECIDED: _nothing,
    TenantStatus.NEW: _nothing,
    TenantStatus.HEALTHY: _nothing,
    TenantStatus.PAUSED: _paused,
    TenantStatus.REMOVED: _nothing,
}
