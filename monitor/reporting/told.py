"""Who was told of a trouble: what is said of its notice. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from monitor.reporting.sentence import Name, Sentence, say


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
    """`reader` is the CSM's name or an address; `at` is when the notice was sent, or written, or the change seen."""

    telling: Telling
    at: datetime
    reader: str | None = None
    notice: int | None = None

    @property
    def said(self) -> Sentence:
        reader, notice = Name(self.reader or "the reader"), f"notice {self.notice}"
        match self.telling:
            case Telling.SENT:
                return say(reader, " was emailed at ", self.at, f" ({notice}).")
            case Telling.PENDING:
                return say("An email to ", reader, ", written at ", self.at, f", waits to be sent ({notice}).")
            case Telling.HELD:
                return say(
                    "Nobody was told: the brake holds the email to ", reader, " since ", self.at, f" ({notice})."
                )
            case Telling.FAILED:
                return say("Nobody was told: the email to ", reader, " of ", self.at, f" failed for good ({notice}).")
            case Telling.DROPPED:
                return say("Nobody was told: the email to ", reader, " of ", self.at, f" was dropped ({notice}).")
            case Telling.SETTLING:
                return say("Nobody was told yet: changes are collected since ", self.at, ".")


_MOST_TELLING = tuple(Telling)


def most_telling(told: Iterable[Told]) -> Told | None:
    """Who knows counts before who may come to know, and of those the latest."""
    return min(told, key=lambda one: (_MOST_TELLING.index(one.telling), -one.at.timestamp()), default=None)
