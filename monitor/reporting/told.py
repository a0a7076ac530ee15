"""Who was told of a trouble: what lists say of its notice. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Telling(StrEnum):
    """How far the news got. A notice that failed or was dropped told nobody."""

    SENT = "sent"
    PENDING = "pending"
    HELD = "held"
    FAILED = "failed"
    DROPPED = "dropped"
    SETTLING = "settling"  # changes are still collected: no notice is written yet


@dataclass(frozen=True, slots=True)
class Told:
    """The most telling notice. `reader` is the CSM's name or an address; `at` is when it was sent, or written."""

    telling: Telling
    reader: str | None = None
    at: datetime | None = None
    notice: int | None = None


_MOST_TELLING = tuple(Telling)


def most_telling(told: Iterable[Told]) -> Told | None:
    """Who knows counts before who may come to know, and of those the latest."""
    return min(
        told, key=lambda one: (_MOST_TELLING.index(one.telling), -(one.at.timestamp() if one.at else 0)), default=None
    )
