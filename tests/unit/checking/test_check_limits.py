"""How many checks begin at once, and how long a credential is held."""

from datetime import timedelta

import pytest

from monitor.checking.check_limits import MOST_REQUESTS, CheckLimits, concurrency
from monitor.config.settings import Settings


@pytest.mark.parametrize(
    ("total", "deadline", "expected"),
    [
        (0, "5m", 50),  # no limit in all
        (5, "5m", 16),  # 1,500 requests in five minutes are 16 whole checks
        (0.1, "5m", 1),  # one at a time, however slow
        (1000, "5m", 50),
    ],
)
def test_no_more_checks_begin_than_the_total_rate_carries_to_their_end(
    total: float, deadline: str, expected: int
) -> None:
    """Otherwise each of many checks would get a little of the rate, and none would end before its deadline."""
    settings = Settings(total_requests_per_second=total, deadline=deadline, concurrency=50)  # type: ignore[arg-type]
    assert concurrency(settings) == expected
    assert expected * MOST_REQUESTS <= max(total * 300, MOST_REQUESTS) or total == 0


@pytest.mark.parametrize(
    ("deadline", "expected"),
    [
        ("5m", timedelta(minutes=6, seconds=30)),  # a minute to write down
        ("3s", timedelta(seconds=36)),  # checks that are over so soon leave no credential for a minute
    ],
)
def test_a_credential_is_held_longer_than_any_check_lasts(deadline: str, expected: timedelta) -> None:
    """Deadline, the last request on the wire, and time to write down: a minute, and no more than the deadline."""
    settings = Settings(deadline=deadline, request_timeout="30s")  # type: ignore[arg-type]
    assert CheckLimits.of(settings).lease == expected
