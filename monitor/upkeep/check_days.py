"""All checks of one credential on one day, summed up in one row: pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from checks.credential import CredentialState


@dataclass(frozen=True, slots=True)
class Day:
    """One day (UTC) of one credential.

    `drifted`, `undecided` and `failed` count the `checks` with that outcome; the rest were compliant. `state` is the
    worst of the day. The four counts of permissions come from full checks that were answered, and are None on a day
    without one. `seconds` adds up the checks' durations, each rounded.
    """

    day: date
    credential_id: int
    checks: int
    drifted: int
    undecided: int
    failed: int
    state: CredentialState
    least_granted: int | None
    most_missing: int | None
    most_undecided: int | None
    most_excess: int | None
    requests: int
    seconds: int

    @property
    def key(self) -> tuple[date, int]:
        return (self.day, self.credential_id)


def merged(days: Iterable[Day]) -> list[Day]:
    """One row for each credential and day, sorted by key, whatever the order and the batches they come in."""
    by_key: dict[tuple[date, int], Day] = {}
    for day in days:
        present = by_key.get(day.key)
        by_key[day.key] = day if present is None else _sum(present, day)
    return [by_key[key] for key in sorted(by_key)]


def _sum(one: Day, other: Day) -> Day:
    return Day(
        day=one.day,
        credential_id=one.credential_id,
        checks=one.checks + other.checks,
        drifted=one.drifted + other.drifted,
        undecided=one.undecided + other.undecided,
        failed=one.failed + other.failed,
        state=max(one.state, other.state, key=lambda state: state.severity),
        least_granted=min(_known(one.least_granted, other.least_granted), default=None),
        most_missing=max(_known(one.most_missing, other.most_missing), default=None),
        most_undecided=max(_known(one.most_undecided, other.most_undecided), default=None),
        most_excess=max(_known(one.most_excess, other.most_excess), default=None),
        requests=one.requests + other.requests,
        seconds=one.seconds + other.seconds,
    )


def _known(*counts: int | None) -> list[int]:
    return [count for count in counts if count is not None]
