"""How many checks run at once, and how long the lease of a credential is."""

from datetime import timedelta

import pytest

from monitor.checking.check_limits import REQUESTS, CheckLimits, concurrency
from monitor.config.settings import Settings


@pytest.mark.parametrize(
    ("total", "deadline", "expected"),
    [
        (0, "5m", 50),  # no total limit
        (5, "5m", 8),  # 1,500 requests in five minutes are 8 whole first checks
        (0.1, "5m", 1),  # one at a time, however slow
        (1000, "5m", 50),
    ],
)
def test_no_more_checks_run_than_the_total_rate_lets_end_in_time(total: float, deadline: str, expected: int) -> None:
    """Otherwise many checks would share the rate, and none would end before its deadline."""
    settings = Settings(total_requests_per_second=total, deadline=deadline, concurrency=50)  # type: ignore[arg-type]
    assert concurrency(settings) == expected
    assert expected * REQUESTS <= max(total * 300, REQUESTS) or total == 0


@pytest.mark.parametrize(
    ("deadline", "expected"),
    [
        ("5m", timedelta(minutes=6, seconds=30)),  # a minute to record it
        ("3s", timedelta(seconds=36)),  # checks that are so short keep no credential for a minute
    ],
)
def test_a_lease_is_longer_than_any_check(deadline: str, expected: timedelta) -> None:
    """The deadline, the last request, and time to record: one minute, or the deadline if that is shorter."""
    settings = Settings(deadline=deadline, request_timeout="30s")  # type: ignore[arg-type]
    assert CheckLimits.of(settings).lease == expected
