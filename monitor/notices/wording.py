"""Values as words: text from outside made safe for one line, moments, durations, numbers, lists."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

# With lone surrogates, which stand for bytes that are not UTF-8: no database stores them, and nothing can send them.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def clean(text: str) -> str:
    """One line without control characters or marks that change the direction of writing."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def time_and_day(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%H:%M} UTC on {at.day} {at:%b %Y}"


def between(since: datetime | None, until: datetime) -> str:
    """When something happened that was seen at `until`, and not yet at `since`."""
    if since is None:
        return f"by {time_and_day(until)}"
    if time_and_day(since) == time_and_day(until):
        return f"at {time_and_day(until)}"
    begin = f"{since.astimezone(UTC):%H:%M}" if since.astimezone(UTC).date() == until.astimezone(UTC).date() else None
    return f"between {begin or time_and_day(since)} and {time_and_day(until)}"


def lasting(span: timedelta) -> str:
    """How long something was so, as precisely as people ask: `45 min`, `3 h 10 min`, and days from two days on."""
    minutes = max(round(span.total_seconds() / 60), 0)
    if minutes >= 2 * 24 * 60:
        return counted(round(minutes / (24 * 60)), "day")
    parts = [f"{number} {unit}" for number, unit in ((minutes // 60, "h"), (minutes % 60, "min")) if number]
    return " ".join(parts) or "less than a minute"


def duration(span: timedelta) -> str:
    """A span in the largest unit that leaves no remainder: `15 minutes`, `4 hours`, `90 seconds`."""
    seconds = round(span.total_seconds())
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return counted(seconds // size, unit)
    return counted(seconds, "second")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(items: Sequence[str], word: str = "and") -> str:
    """`a, b and c`, or with another word between the last two."""
    *others, last = items
    return f"{', '.join(others)} {word} {last}" if others else last
