"""Which files appeared or changed since they were looked at last: by what the system knows of them, without reading."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

SETTLED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """`first` are files that are there and were never looked at before."""

    changed: frozenset[str]
    first: frozenset[str]


@dataclass(slots=True)
class FileWatch:
    """A file that is gone says nothing: it may be about to be replaced. What is being written counts once it rests."""

    _known: dict[str, int | None] = field(default_factory=dict)
    _moving: dict[str, int] = field(default_factory=dict)

    def look(self, paths: Iterable[str], now: float) -> Seen:
        """`now` in seconds of the system's clock. Takes some microseconds for each file; on a slow drive more."""
        known, moving = dict[str, int | None](), dict[str, int]()
        changed, first = set[str](), set[str]()
        for path in paths:
            before = self._known.get(path)
            signature, rests = _signature(path, now)
            known[path] = signature
            if signature is None or signature == before:
                continue
            if path not in self._known:
                first.add(path)
            elif rests or self._moving.get(path) == signature:
                changed.add(path)
            else:
                known[path], moving[path] = before, signature
        self._known, self._moving = known, moving
        return Seen(frozenset(changed), frozenset(first))


def _signature(path: str, now: float) -> tuple[int | None, bool]:
    """None if nothing is there; and whether it was left alone for a moment."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None, False
    # Copies may keep size and modification time, chmod keeps both, and Kubernetes swaps a linked folder. As one number:
    # there may be tens of thousands.
    signature = hash((found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev))
    return signature, now - found.st_ctime > SETTLED_SECONDS
