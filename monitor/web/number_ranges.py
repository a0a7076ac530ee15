"""Many numbers in one short field of a form: `17-57 60`."""

import re
from collections.abc import Iterable

MOST = 100_000
LARGEST_ID = 2**31 - 1  # Postgres refuses to compare its ids with anything larger
_PART = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")


class BadNumbers(Exception):
    """The field was altered, or names more numbers than anybody can choose."""


def as_ranges(numbers: Iterable[int]) -> str:
    """Exactly these, in their order of size."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def from_ranges(text: str, most: int = MOST) -> list[int]:
    """BadNumbers for anything else."""
    numbers: set[int] = set()
    for part in text.split():
        found = _PART.fullmatch(part)
        if found is None:
            raise BadNumbers
        first, last = int(found[1]), int(found[2] or found[1])
        # Before they are written out: a range of a few digits may be longer than the memory.
        if not 0 <= last - first < most or last > LARGEST_ID:
            raise BadNumbers
        numbers.update(range(first, last + 1))
        if len(numbers) > most:
            raise BadNumbers
    return sorted(numbers)
