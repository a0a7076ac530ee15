"""What the database comes to in so many days, if the days to come are like the last ones: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

WINDOW = timedelta(days=30)
"""What came in so long is taken for the rate; in less where the database is younger."""

YOUNGEST = timedelta(days=1)
"""Of a database that is younger nothing is said."""

DAY_ROW_BYTES = 42.0
"""Of a row of check_day, for as long as there is none: as measured over a simulated year (docs/database.md)."""


@dataclass(frozen=True, slots=True)
class Growth:
    """One table, or the part of it that goes: `kept_days` is for how long, None for good.

    `bytes` is None where the database can not tell, `rows_a_day` where it is too young.
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
        """What goes after a while comes to no more than comes in in that while."""
        daily = self.bytes_a_day if days else 0.0
        if daily is None or self.bytes is None:
            return None
        grown = self.bytes + daily * days
        return grown if self.kept_days is None else min(grown, max(self.bytes, daily * self.kept_days))


def total_after(growths: Sequence[Growth], days: float) -> float | None:
    """Of all tables together; None where one of them can not be told."""
    each = [growth.bytes_after(days) for growth in growths]
    return None if None in each else sum(filter(None, each))
