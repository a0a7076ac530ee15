"""Values as words: text from outside made safe for one line, moments, durations, numbers."""

import re
from datetime import UTC, datetime, timedelta

# With lone surrogates, which stand for bytes that are not UTF-8: no database stores them, and nothing can send them.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def clean(text: str) -> str:
    """One line without control characters or marks that change the direction of writing."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def duration(span: timedelta) -> str:
    """A span in the largest unit that leaves no remainder: `15 minutes`, `4 hours`, `90 seconds`."""
    seconds = round(span.total_seconds())
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return counted(seconds // size, unit)
    return counted(seconds, "second")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
