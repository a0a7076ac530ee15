"""How large the database will be after some days, if it grows as it did lately: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

WINDOW = timedelta(days=30)
"""The growth rate is measured over this time, or over the database's age if it is younger."""

YOUNGEST = timedelta(days=1)
"""No forecast for a younger database."""

DAY_ROW_BYTES = 42.0
"""Size of a row of check_day while there is none; measured over a simulated year (docs/database.md)."""


@dataclass(frozen=True, slots=True)
class Growth:
    """One table, or the part of it that is pruned: `kept_days` says after how long, None means never.

    `bytes` is None if the database cannot tell, `rows_a_day` if it is too young.
    """

    name: str
    rows: int
    bytes: int | None
    rows_a_day: float | None
    kept_days: float | None = None
    bytes_of_first_row: float = 0.0

    @property
    def bytes_a_day(self) -> float | None:
        if self.bytes is None or self.rows_a_day is None:
            return None
        return self.rows_a_day * (self.bytes / self.rows if self.rows else self.bytes_of_first_row)

    def bytes_after(self, days: float) -> float | None:
        """What is pruned grows no larger than what is added within its `kept_days`."""
        # Today's size is known even if the database is too young for a rate.
        daily = self.bytes_a_day if days else 0.0
        if daily is None or self.bytes is None:
            return None
        grown = self.bytes + daily * days
        return grown if self.kept_days is None else min(grown, max(self.bytes, daily * self.kept_days))


def total_after(growths: Sequence[Growth], days: float) -> float | None:
    """Of all tables together; None if one of them is unknown."""
    each = [growth.bytes_after(days) for growth in growths]
    return None if None in each else sum(filter(None, each))
