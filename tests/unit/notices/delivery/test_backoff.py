"""How long is waited for a notice, and for a mail server that fails."""

from datetime import timedelta
from itertools import count, takewhile

from hypothesis import given
from hypothesis import strategies as st

from monitor.notices.delivery.backoff import (
    AT_ONCE,
    DOUBTS,
    FIRST_PAUSE,
    GIVE_UP_AFTER,
    LONGEST_PAUSE,
    MailServerState,
    back_off,
    pause,
)
from tests.notices import NOW

SHARES = st.floats(0, 1)
DAY = timedelta(days=1)


def test_a_notice_is_tried_for_three_days() -> None:
    """After 1, 5, 15 and 60 minutes, then every hour, until the waits are three days together; then no more."""
    waits = [wait for wait in takewhile(bool, map(back_off, count(1))) if wait]
    assert waits[:6] == [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 60, 60)]
    assert GIVE_UP_AFTER - timedelta(hours=1) < sum(waits, timedelta()) <= GIVE_UP_AFTER
    assert [back_off(len(waits) + more) for more in (1, 2, 1000)] == [None] * 3


@given(st.integers(1, 10_000), SHARES, SHARES)
def test_pauses_double_up_to_the_longest(failures: int, share: float, other: float) -> None:
    """Each is at least as long as the one before, whatever chance takes off; none is beyond five minutes."""
    assert FIRST_PAUSE * 0.75 <= pause(1, share) <= FIRST_PAUSE
    assert pause(failures, share) <= LONGEST_PAUSE
    if pause(failures + 1, 0) < LONGEST_PAUSE:
        assert pause(failures + 1, share) > pause(failures, other)
    assert pause(failures + 10, share) >= LONGEST_PAUSE * 0.75


def test_a_server_that_failed_is_left_alone_then_asked_with_one() -> None:
    """In the pause nothing is under way, after it one mail until the server answered."""
    standing = MailServerState().failed(NOW, 0)
    assert standing.until == NOW + FIRST_PAUSE
    rooms = [standing.room(NOW + seconds * timedelta(seconds=1)) for seconds in (0, 4.9, 5, 3600)]
    assert rooms == [0, 0, 1, 1]
    assert standing.answered().room(NOW) == AT_ONCE


def test_a_clock_that_is_set_back_strands_nobody() -> None:
    """A pause further away than the longest one was set under another clock, and is over."""
    assert MailServerState().failed(NOW + DAY, 0).room(NOW) == 1


def test_doubts_are_a_failure_when_they_come_in_a_row() -> None:
    """One mail that makes the server hang up stops nobody; three mails in a row do, and so does one in a trial."""
    standing = MailServerState()
    for _ in range(DOUBTS - 1):
        standing = standing.doubted(NOW, 0)
        assert standing.room(NOW) == AT_ONCE
    assert not standing.answered().doubted(NOW, 0).paused
    standing = standing.doubted(NOW, 0)
    assert (standing.paused, standing.failures) == (True, 1)
    assert standing.doubted(NOW + FIRST_PAUSE, 0).failures == 2


def test_those_that_go_down_together_count_once() -> None:
    """What fails while the server is left alone had begun before, and lengthens no pause."""
    standing = MailServerState().failed(NOW, 0)
    assert standing.failed(NOW + FIRST_PAUSE / 2, 0) == standing.doubted(NOW, 0) == standing
    assert standing.failed(NOW + FIRST_PAUSE, 0).failures == 2


@given(st.lists(st.tuples(st.sampled_from(["answered", "failed", "doubted"]), SHARES, st.integers(0, 600))))
def test_a_server_is_always_asked_again(story: list[tuple[str, float, int]]) -> None:
    """Whatever happened before, five minutes later there is room for a mail; and an answer opens it for all."""
    standing, now = MailServerState(), NOW
    for what, share, seconds in story:
        now += timedelta(seconds=seconds)
        standing = standing.answered() if what == "answered" else getattr(standing, what)(now, share)
        assert standing.paused == (standing.until is not None)
        assert standing.room(now + LONGEST_PAUSE) >= 1
        assert standing.answered().room(now) == AT_ONCE
