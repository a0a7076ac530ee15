"""What happens to the tenants of a simulation: who changes in which way, and when."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from checks.credential import CredentialState
from checks.report import CheckReport
from tests.reports import failed, served

CAUSES = 6  # of a day on which one follows the other
EVERY = timedelta(hours=4)
SHARED = tuple(f"shared{number}" for number in range(CAUSES))


class WaveKind(StrEnum):
    ONE = "one permission"
    EACH = "a different permission each"
    REVOKED = "key revoked"
    DAY = "one cause after another over a day"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table: a wave of this kind and share, with an interval of so many settle times."""

    tenants: int
    share: float
    kind: WaveKind
    ratio: int

    @property
    def turned(self) -> int:
        return max(1, round(self.tenants * self.share))


Loss = tuple[datetime, str | None]
"""When, and which permission; None is the whole key."""


def losses(cell: Cell, began: datetime, rng: random.Random) -> dict[int, list[Loss]]:
    """Tenants by number, and what happens to each."""
    found: dict[int, list[Loss]] = {}
    causes = range(CAUSES if cell.kind is WaveKind.DAY else 1)
    for cause in causes:
        for tenant in rng.sample(range(cell.tenants), cell.turned):
            what = {WaveKind.EACH: own(tenant), WaveKind.REVOKED: None}.get(cell.kind, SHARED[cause])
            found.setdefault(tenant, []).append((began + cause * EVERY, what))
    return found


def own(tenant: int) -> str:
    """A permission that no other tenant of the simulation has."""
    return f"own{tenant}"


def report(known: Sequence[str], happened: Sequence[Loss], now: datetime) -> CheckReport:
    """What a check finds at this moment."""
    lost = {what for at, what in happened if at <= now}
    if None in lost:
        return failed(CredentialState.INVALID)
    verdicts: Mapping[str, str] = {name: "m" if name in lost else "g" for name in known}
    return served(verdicts)
