"""The options of `history`."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from monitor.cli.history import parse_since
from monitor.errors import ConfigurationError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("90s", NOW - timedelta(seconds=90)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T08:30", datetime(2026, 11, 1, 8, 30, tzinfo=UTC)),
        ("2026-11-01T08:30+02:00", datetime(2026, 11, 1, 8, 30, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_since_is_a_date_a_time_or_a_duration_before_now(text: str, moment: datetime) -> None:
    """A time without a zone is UTC."""
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "7 weeks", "2026-13-01", "d", "1.2.3d", "400d"])
def test_an_unusable_since_is_an_error_that_shows_the_forms(text: str) -> None:
    """The message has an example of each form."""
    with pytest.raises(ConfigurationError, match="2026-11-01"):
        parse_since(text, NOW)
