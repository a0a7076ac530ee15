"""How many tenants stand how, and what that was a day ago: pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.incidents.status import PRESENT, TenantStatus


@dataclass(frozen=True, slots=True)
class StatusCount:
    """Tenants of one status: how many there are, and how many came in and went out within the last day."""

    status: TenantStatus
    tenants: int
    came: int
    went: int

    @property
    def net(self) -> int:
        return self.came - self.went


def status_counts(
    tenants: Mapping[TenantStatus, int], moves: Mapping[tuple[TenantStatus | None, TenantStatus], int]
) -> tuple[StatusCount, ...]:
    """The worst first. `moves` are tenants by their status a day ago (None: not there yet) and their status now."""
    return tuple(
        StatusCount(
            status,
            tenants.get(status, 0),
            came=sum(number for (before, now), number in moves.items() if now is status is not before),
            went=sum(number for (before, now), number in moves.items() if before is status is not now),
        )
        for status in PRESENT
    )
