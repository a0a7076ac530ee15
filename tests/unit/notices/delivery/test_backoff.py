"""How long to wait after a failure of a notice, or of the mail server."""

from datetime import timedelta
from itertools import count, takewhile

from hypothesis import given
from hypothesis import strategies as st

from monitor.notices.delivery.backoff import (
    CONCURRENCY,
    FIRST_PAUSE,
    GIVE_UP_AFTER,
    LONGEST_PAUSE,
    MAX_DOUBTS,
    MailServerState,
    back_off,
    pause,
)
from tests.notices import NOW

JITTERS = st.floats(0, 1)
DAY = timedelta(days=1)


def test_a_notice_is_tried_for_three_days() -> None:
    """After 1, 5, 15 and 60 minutes, then every hour, until the waits add up to three days; then no more."""
    waits = [wait for wait in takewhile(bool, map(back_off, count(1))) if wait]
    assert waits[:6] == [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 60, 60)]
    assert GIVE_UP_AFTER - timedelta(hours=1) < sum(waits, timedelta()) <= GIVE_UP_AFTER
    assert [back_off(len(waits) + more) for more in (1, 2, 1000)] == [None] * 3


@given(st.integers(1, 10_000), JITTERS, JITTERS)
def test_pauses_double_up_to_the_longest(failures: int, jitter: float, other: float) -> None:
    """Each is at least as long as the one before, whatever the jitter; none is longer than five minutes."""
    assert FIRST_PAUSE * 0.75 <= pause(1, jitter) <= FIRST_PAUSE
    assert pause(failures, jitter) <= LONGEST_PAUSE
    if pause(failures + 1, 0) < LONGEST_PAUSE:
        assert pause(failures + 1, jitter) > pause(failures, other)
    assert pause(failures + 10, jitter) >= LONGEST_PAUSE * 0.75


def test_a_server_that_failed_is_left_alone_then_tested_with_one() -> None:
    """During the pause nothing is under way, after it one email until the server answers."""
    state = MailServerState().failed(NOW, 0)
    assert state.until == NOW + FIRST_PAUSE
    capacities = [state.capacity(NOW + seconds * timedelta(seconds=1)) for seconds in (0, 4.9, 5, 3600)]
    assert capacities == [0, 0, 1, 1]
    assert state.answered().capacity(NOW) == CONCURRENCY


def test_a_clock_set_back_makes_nothing_wait() -> None:
    """A pause that ends later than the longest one could was set under another clock, and is over."""
    assert MailServerState().failed(NOW + DAY, 0).capacity(NOW) == 1


def test_several_doubts_in_a_row_are_a_failure() -> None:
    """One email that makes the server disconnect stops no other; three in a row do, and so does one after a pause."""
    state = MailServerState()
    for number in range(MAX_DOUBTS - 1):
        state = state.doubted(NOW, 0, f"email {number}")
        assert state.capacity(NOW) == CONCURRENCY
    assert not state.answered().doubted(NOW, 0, "another").paused
    assert state.doubted(NOW, 0, "email 0") == state  # the same one once more says nothing new
    state = state.doubted(NOW, 0, "another")
    assert (state.paused, state.failures) == (True, 1)
    assert state.doubted(NOW + FIRST_PAUSE, 0, "another").failures == 2


def test_attempts_that_fail_together_count_once() -> None:
    """An attempt that fails during a pause began before it, and does not lengthen it."""
    state = MailServerState().failed(NOW, 0)
    assert state.failed(NOW + FIRST_PAUSE / 2, 0) == state.doubted(NOW, 0, "another") == state
    assert state.failed(NOW + FIRST_PAUSE, 0).failures == 2


@given(st.lists(st.tuples(st.sampled_from(["answered", "failed", "doubted"]), JITTERS, st.integers(0, 600))))
def test_a_server_is_always_tried_again(attempts: list[tuple[str, float, int]]) -> None:
    """Whatever happened before, five minutes later one email may be tried; and an answer lets all of them through."""
    state, now = MailServerState(), NOW
    for number, (what, jitter, seconds) in enumerate(attempts):
        now += timedelta(seconds=seconds)
        after = {
            "answered": state.answered(),
            "failed": state.failed(now, jitter),
            "doubted": state.doubted(now, jitter, str(number)),
        }
        state = after[what]
        assert state.paused == (state.until is not None)
        assert state.capacity(now + LONGEST_PAUSE) >= 1
        assert state.answered().capacity(now) == CONCURRENCY
