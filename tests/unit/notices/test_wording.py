"""Moments and spans as people say them."""

from datetime import datetime, timedelta

import pytest

from monitor.notices.wording import between, lasting, listed
from tests.notices import NOW

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (NOW - 5 * MINUTE, "between 14:00 and 14:05 UTC on 23 Nov 2026"),
        (NOW - timedelta(seconds=40), "between 14:04 and 14:05 UTC on 23 Nov 2026"),
        (NOW, "at 14:05 UTC on 23 Nov 2026"),
        (NOW - DAY, "between 14:05 UTC on 22 Nov 2026 and 14:05 UTC on 23 Nov 2026"),
        (None, "by 14:05 UTC on 23 Nov 2026"),
    ],
)
def test_when_something_happened_is_one_phrase(since: datetime | None, said: str) -> None:
    """One time where both are equal, the day once where it is the same."""
    assert between(since, NOW) == said


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(seconds=20), "less than a minute"),
        (45 * MINUTE, "45 min"),
        (190 * MINUTE, "3 h 10 min"),
        (180 * MINUTE, "3 h"),
        (2 * DAY - MINUTE, "47 h 59 min"),
        (2 * DAY, "2 days"),
        (12 * DAY + 300 * MINUTE, "12 days"),
    ],
)
def test_how_long_something_lasted(span: timedelta, said: str) -> None:
    """As precisely as people ask: days for what is old."""
    assert lasting(span) == said


def test_a_list_is_said_as_people_say_it() -> None:
    assert [listed(["a"]), listed(["a", "b"], "or"), listed(["a", "b", "c"])] == ["a", "a or b", "a, b and c"]
