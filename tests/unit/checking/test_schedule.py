"""When the next check is due."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.checking.schedule import (
    CATCH_UP_AT_ONCE,
    CATCH_UP_FACTOR,
    CATCH_UP_PER_SECOND,
    CatchUp,
    interval_start,
    key_of,
    next_due,
    next_regular,
    phase,
)
from monitor.drift.suspicion import back_off
from tests.reports import HOUR, MINUTE, T0

moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
intervals = st.timedeltas(timedelta(seconds=1), timedelta(days=30))
keys = st.text(max_size=20)


@given(keys, moments, intervals)
def test_the_next_check_is_ahead_and_within_one_interval(key: str, now: datetime, interval: timedelta) -> None:
    """At any time, the next regular check is later than now and at most one interval away."""
    assert now < next_regular(key, now, interval) <= now + interval


@given(keys, moments, intervals)
def test_a_key_keeps_its_moment(key: str, now: datetime, interval: timedelta) -> None:
    """Regular checks are exactly one interval apart, so the length of checks does not shift them."""
    regular = next_regular(key, now, interval)
    assert next_regular(key, regular, interval) == regular + interval
    assert next_regular(key, regular - timedelta(microseconds=1), interval) == regular


@given(keys, moments, intervals, st.floats(0, 1))
def test_a_late_check_does_not_shift_the_plan(key: str, now: datetime, interval: timedelta, share: float) -> None:
    """A service that wakes late returns to its old plan: the times stay the same modulo the interval."""
    regular = next_regular(key, now, interval)
    late = regular + 7 * interval + share * interval
    assert (next_regular(key, late, interval) - regular) % interval == timedelta(0)


@given(keys, moments, intervals, st.timedeltas(timedelta(0), timedelta(days=60)))
def test_a_suspicion_is_checked_no_later_than_the_next_regular_check(
    key: str, now: datetime, interval: timedelta, check_again_in: timedelta
) -> None:
    """A suspicion makes the next check earlier, never later."""
    due = next_due(key, now, interval, check_again_in)
    assert due == min(now + check_again_in, next_due(key, now, interval, None))


@pytest.mark.parametrize("interval", [MINUTE, 4 * HOUR, timedelta(days=1)])
def test_ten_thousand_credentials_are_spread_evenly(interval: timedelta) -> None:
    """Each hundredth of the interval gets its share: a hundred on average, never twice or half of it."""
    phases = [phase(key_of(f"tenant-{number}", "Gem Harvest API Key"), interval) for number in range(10_000)]
    buckets = Counter(int(found / interval * 100) for found in phases)
    assert set(buckets) == set(range(100))
    assert max(buckets.values()) < 150
    assert min(buckets.values()) > 60


def test_the_phase_is_the_same_in_every_process() -> None:
    """The hash is fixed, so a restart or another worker has the same plan."""
    assert phase("acme/Gem Harvest API Key", 4 * HOUR) == timedelta(seconds=679, microseconds=308877)


@pytest.mark.parametrize(
    ("checks", "confirm_after", "waited"),
    [
        (1, MINUTE, MINUTE),  # the check that confirms
        (2, MINUTE, 2 * MINUTE),  # it decided nothing
        (3, MINUTE, 4 * MINUTE),
        (8, MINUTE, 128 * MINUTE),
        (9, MINUTE, 4 * HOUR),  # 256 minutes would be more than the interval
        (5000, MINUTE, 4 * HOUR),  # no overflow after years
        (1, 5 * HOUR, 4 * HOUR),  # a confirmation longer than the interval
        (1, timedelta(0), timedelta(0)),  # at once, if set so
        (2, timedelta(0), timedelta(seconds=2)),  # but not in a tight loop
    ],
)
def test_checks_of_a_suspicion_back_off(checks: int, confirm_after: timedelta, waited: timedelta) -> None:
    """The wait doubles with each check that decides nothing, up to the interval."""
    assert back_off(checks, confirm_after, 4 * HOUR) == waited


@given(moments, intervals)
def test_an_interval_begins_where_the_last_one_ended(now: datetime, interval: timedelta) -> None:
    """Intervals follow each other from 1970 without a gap, whatever the clock does."""
    began = interval_start(now, interval)
    assert began <= now < began + interval
    assert interval_start(began, interval) == began
    assert interval_start(began - timedelta(microseconds=1), interval) == began - interval


def test_four_hours_begin_on_the_clock() -> None:
    """Intervals of four hours begin at 00:00, 04:00, 08:00 UTC and so on."""
    assert interval_start(T0 + 3 * HOUR, 4 * HOUR) == T0


@given(
    st.integers(0, 100_000),
    st.timedeltas(timedelta(seconds=1), timedelta(days=1)),
    st.lists(st.tuples(st.floats(0, 3600), st.floats(0, 1)), max_size=30),
)
def test_what_is_late_is_caught_up_without_a_burst(
    credentials: int, interval: timedelta, steps: list[tuple[float, float]]
) -> None:
    """In any span of time at most a few checks start, and the catch-up rate times its seconds."""
    catch_up, at, begun = CatchUp(), 0.0, [0]
    rate = max(CATCH_UP_FACTOR * credentials / interval.total_seconds(), CATCH_UP_PER_SECOND)
    moments = [0.0]
    for passed, share in steps:
        at += passed
        checks = int(catch_up.allowed(credentials, interval, at) * share)
        assert checks >= 0
        catch_up.begun(checks)
        moments.append(at)
        begun.append(begun[-1] + checks)
    at_once = max(CATCH_UP_AT_ONCE, 2 * rate)
    for first in range(len(begun)):
        for last in range(first + 1, len(begun)):
            assert begun[last] - begun[first] <= at_once + rate * (moments[last] - moments[first + 1]) + 0.001


def test_a_service_that_keeps_up_never_waits() -> None:
    """Ten thousand credentials at their planned times, a tick every second: all that is due may start."""
    catch_up, interval = CatchUp(), 4 * HOUR
    seconds = interval.total_seconds()
    due = Counter(int(phase(f"tenant-{number}", interval).total_seconds()) for number in range(10_000))
    for at in range(int(seconds)):
        assert catch_up.allowed(10_000, interval, at) >= due[at]
        catch_up.begun(due[at])
