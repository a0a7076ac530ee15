"""How a tenant stands, in one word for people: pure."""

from dataclasses import dataclass
from enum import StrEnum


class TenantStatus(StrEnum):
    """The worst first. Stored with every change, and exported: a value never changes."""

    FAILING = "failing"
    DRIFTED = "drifted"
    UNDECIDED = "undecided"
    NEW = "new"
    HEALTHY = "healthy"
    PAUSED = "paused"
    REMOVED = "removed"

    @property
    def severity(self) -> int:
        """0 is the worst: lists are ordered by it."""
        return _IN_ORDER.index(self)


_IN_ORDER = tuple(TenantStatus)

PRESENT = tuple(status for status in _IN_ORDER if status is not TenantStatus.REMOVED)
"""The statuses of tenants that were not removed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a tenant's status follows from; the counts are over its active credentials, in confirmed terms.

    `problem` says that something is wrong with its row in the tenants file. `failing` and `unsettled` count
    credentials, `unsettled` those whose first full check is still to come, or not confirmed yet. `missing` counts
    required permissions, `undecided` those without a verdict at present, or missing under a secret since replaced.
    """

    removed: bool = False
    paused: bool = False
    problem: bool = False
    credentials: int = 0
    failing: int = 0
    missing: int = 0
    undecided: int = 0
    unsettled: int = 0


def status_of(standing: Standing) -> TenantStatus:
    """The first that applies. Suspicions alone change nothing: they are about to be confirmed, or forgotten."""
    if standing.removed:
        return TenantStatus.REMOVED
    if standing.paused:
        return TenantStatus.PAUSED
    if standing.failing or (standing.problem and not standing.credentials):
        return TenantStatus.FAILING
    if standing.missing:
        return TenantStatus.DRIFTED
    if standing.undecided:
        return TenantStatus.UNDECIDED
    return TenantStatus.NEW if standing.unsettled or not standing.credentials else TenantStatus.HEALTHY
