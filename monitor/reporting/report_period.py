"""A report's period: a month or a quarter, in UTC. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from checks.errors import HarvestMonitorError

_FORM = re.compile(r"(20\d\d)-(?:(0[1-9]|1[0-2])|[Qq]([1-4]))", re.ASCII)
_ORDINALS = ("1st", "2nd", "3rd", "4th")


class PeriodError(HarvestMonitorError):
    """There is no report of such a period; `next_step` says which to ask for."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(f"{message} {next_step}")
        self.message = message
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From `begin` until just before `end`."""

    begin: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Period:
    """`name` is what people type, such as 2026-11 or 2026-Q4; `title` stands in sentences."""

    name: str
    title: str
    whole: TimeSpan


def month(year: int, number: int) -> Period:
    begin = _first_of(year, number)
    return Period(f"{year}-{number:02}", f"{begin:%B %Y}", TimeSpan(begin, _first_of(year, number + 1)))


def quarter(year: int, number: int) -> Period:
    whole = TimeSpan(_first_of(year, 3 * number - 2), _first_of(year, 3 * number + 1))
    return Period(f"{year}-Q{number}", f"the {_ORDINALS[number - 1]} quarter of {year}", whole)


def parse_period(text: str) -> Period:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise PeriodError(
            "That is no period of a report.", "Write a month such as 2026-11, or a quarter such as 2026-Q4."
        )
    year, of_month, of_quarter = found.groups()
    return month(int(year), int(of_month)) if of_month else quarter(int(year), int(of_quarter))


def default_period(recorded_since: datetime, now: datetime) -> Period:
    """The last full month, or the running one where nothing was recorded before it."""
    running = month(now.year, now.month)
    if recorded_since >= running.whole.begin:
        return running
    before = running.whole.begin - timedelta(days=1)
    return month(before.year, before.month)


def choices(recorded_since: datetime, now: datetime) -> tuple[Period, ...]:
    """Every period that can be reported on: months, then quarters, the newest first."""
    months = list(_months(recorded_since, now))
    quarters = dict.fromkeys(quarter(m.whole.begin.year, (m.whole.begin.month + 2) // 3) for m in months)
    return (*reversed(months), *reversed(quarters))


def covered(period: Period, recorded_since: datetime, now: datetime) -> TimeSpan:
    """The part of the period that is known: neither before statuses were recorded nor in the future."""
    if period.whole.begin >= now:
        raise PeriodError(f"{_capital(period.title)} has not begun.", _choose(recorded_since, now))
    if period.whole.end <= recorded_since:
        since = f"{recorded_since.day} {recorded_since:%B %Y}"
        raise PeriodError(
            f"Nothing is known of {period.title}: statuses are recorded since {since}.", _choose(recorded_since, now)
        )
    return TimeSpan(max(period.whole.begin, recorded_since), min(period.whole.end, now))


def _choose(recorded_since: datetime, now: datetime) -> str:
    first, last = f"{recorded_since:%Y-%m}", f"{now:%Y-%m}"
    return f"Choose {first}, the only month so far." if first == last else f"Choose a month from {first} to {last}."


def _months(first: datetime, last: datetime) -> Iterator[Period]:
    at = month(first.year, first.month)
    while at.whole.begin < last:
        yield at
        at = month(at.whole.end.year, at.whole.end.month)


def _first_of(year: int, number: int) -> datetime:
    return datetime(year + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
