"""Which lines of a log are written, and which only counted, because the same one came too often. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from logging import LogRecord

WITHIN_SECONDS = 10.0
WRITTEN = 10
"""So many like it are written within the time; what comes after them is counted until it has passed."""


@dataclass(slots=True)
class _Repeated:
    first: LogRecord
    since: float
    times: int = 0


class RepeatedLines:
    """`now` counts seconds and never goes back."""

    def __init__(self) -> None:
        self._seen: dict[str, _Repeated] = {}  # in the order in which their time began, so the first ends first

    def is_written(self, likeness: str, line: LogRecord, now: float) -> bool:
        """Lines of the same `likeness` are one and the same to a reader."""
        repeated = self._seen.setdefault(likeness, _Repeated(line, now))
        repeated.times += 1
        return repeated.times <= WRITTEN

    def counted(self, now: float | None = None) -> Iterator[tuple[LogRecord, int]]:
        """The lines whose time has passed, each with how many like it were not written; of all of them without `now`.

        Each is told once.
        """
        while self._seen:
            likeness, repeated = next(iter(self._seen.items()))
            if now is not None and now - repeated.since < WITHIN_SECONDS:
                return
            del self._seen[likeness]
            if repeated.times > WRITTEN:
                yield repeated.first, repeated.times - WRITTEN
