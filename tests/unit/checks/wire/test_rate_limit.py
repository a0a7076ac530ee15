"""We use only part of the customer's rate limit."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from checks.wire.rate_limit import LONGEST_WAIT_SECONDS, V1_WINDOW_SECONDS, RateLimiter, rate_limit, v3_rate_limit

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "pause"),
    [
        ("50", "49", None, 0.0),
        ("50", "25", None, 0.0),  # exactly half is left
        ("50", "24", None, V1_WINDOW_SECONDS),  # no reset given: one window
        ("50", "24", str(int(NOW.timestamp()) + 7), 7.0),
        ("50", "24", "4", 4.0),  # seconds instead of a timestamp
        ("50", "24", str(int(NOW.timestamp()) - 60), 1.0),  # clocks differ
        ("50", "24", "soon", V1_WINDOW_SECONDS),
        (None, "0", None, 0.0),  # nothing given, nothing to obey
        ("many", "few", None, 0.0),
    ],
)
def test_less_than_half_the_limit_left_means_a_pause(
    limit: str | None, remaining: str | None, reset: str | None, pause: float
) -> None:
    """Below half the limit the rest of the window belongs to the customer's own integration."""
    names = {"x-ratelimit-limit": limit, "x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    headers = {name: value for name, value in names.items() if value is not None}
    assert rate_limit(headers, NOW).pause_seconds == pause


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "3", "x-ratelimit-reset": "9"}, 3.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 9)}, 9.0),
        ({"retry-after": "Mon, 01 Jun 2026 12:00:05 GMT"}, 5.0),
        ({"retry-after": "0"}, 1.0),
        ({"retry-after": "-5"}, V1_WINDOW_SECONDS),
        ({"retry-after": "86400"}, LONGEST_WAIT_SECONDS),  # a wrong header cannot stop a check for a day
        ({}, V1_WINDOW_SECONDS),
        ({"retry-after": "nonsense"}, V1_WINDOW_SECONDS),
    ],
)
def test_after_a_429_we_wait_as_long_as_it_asks(headers: dict[str, str], seconds: float) -> None:
    """Retry-After if there is one, else until the reset, else one window of ten seconds."""
    assert rate_limit(headers, NOW).back_off_seconds == seconds


@pytest.mark.parametrize(
    ("date", "second", "pause"),
    [
        ("Mon, 01 Jun 2026 12:00:10 GMT", 0, 20.0),
        ("Mon, 01 Jun 2026 12:00:30 GMT", 0, 30.0),
        ("Mon, 01 Jun 2026 12:00:59 GMT", 0, 1.0),
        (None, 10, 20.0),  # by our clock
        ("yesterday", 44, 16.0),
    ],
)
def test_a_window_of_v3_ends_on_the_half_minute_whatever_the_reset_says(
    date: str | None, second: int, pause: float
) -> None:
    """Recorded on 2026-05-11: the reset is thirty seconds ahead of each answer; the window begins at :00 and :30."""
    now = NOW + timedelta(seconds=second)
    headers = {"x-ratelimit-limit": "150", "x-ratelimit-remaining": "60"}
    headers |= {"x-ratelimit-reset": str(int(now.timestamp()) + 30)} | ({} if date is None else {"date": date})
    assert v3_rate_limit(headers, now).pause_seconds == pause
    assert v3_rate_limit(headers, now).back_off_seconds == pause
    assert v3_rate_limit({**headers, "x-ratelimit-remaining": "75"}, now).pause_seconds == 0


@given(
    st.dictionaries(
        st.sampled_from(["date", "retry-after", "x-ratelimit-reset", "x-ratelimit-limit", "x-ratelimit-remaining"]),
        st.text(max_size=14),
    )
)
@example({"retry-after": "0\x1f"})
def test_no_header_makes_us_wait_for_ever_or_fail(headers: dict[str, str]) -> None:
    """Whatever the headers hold, a wait is between nothing and two minutes."""
    for limit in (rate_limit(headers, NOW), v3_rate_limit(headers, NOW)):
        assert 0 <= limit.pause_seconds <= LONGEST_WAIT_SECONDS
        assert 1 <= limit.back_off_seconds <= LONGEST_WAIT_SECONDS


async def test_requests_are_spaced_by_the_rate() -> None:
    """Two a second: the first at once, each next one half a second later."""
    clock = Clock()
    limiter = RateLimiter(2, clock.read, clock.sleep)
    starts = []
    for _ in range(4):
        await limiter.wait_for_turn()
        starts.append(clock.now)
    assert starts == [100.0, 100.5, 101.0, 101.5]


async def test_a_rate_of_zero_is_no_limit() -> None:
    """Rate 0 lets every request through at once."""
    clock = Clock()
    limiter = RateLimiter(0, clock.read, clock.sleep)
    for _ in range(100):
        assert await limiter.wait_for_turn() == 0
    assert clock.now == 100.0


async def test_a_pause_delays_the_next_request() -> None:
    """After a pause of ten seconds the next request comes ten seconds later, not ten plus a gap."""
    clock = Clock()
    limiter = RateLimiter(2, clock.read, clock.sleep)
    await limiter.wait_for_turn()
    limiter.pause(timedelta(seconds=10).total_seconds())
    assert await limiter.wait_for_turn() == 10.0
