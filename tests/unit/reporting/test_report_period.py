"""Which periods there are reports of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.reporting.amounts import length, percent, short_length
from monitor.reporting.report_period import PeriodError, choices, covered, default_period, month, parse_period, quarter

NOW = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)
SINCE = datetime(2026, 5, 12, 8, 0, tzinfo=UTC)
TEXTS = (
    "2026-13",
    "2026-00",
    "2026-Q5",
    "2026",
    "2026-1",
    "November",
    "",
    "2026-11-01",
    "1999-12",
    "٢٠٢٦-11",
    "9" * 99,
)


def test_what_is_no_period_is_refused_with_an_example(subtests: pytest.Subtests) -> None:
    """The message names both forms, and does not repeat what was written."""
    for text in TEXTS:
        with subtests.test(text), pytest.raises(PeriodError, match="2026-11, or a quarter such as 2026-Q4"):
            parse_period(text)


@given(st.integers(2000, 2098), st.integers(1, 4))
def test_a_quarter_is_its_three_months(year: int, number: int) -> None:
    """Without a gap, and a year is its quarters; a name leads back to its period."""
    whole = quarter(year, number)
    months = [month(year, 3 * number - 2 + place) for place in range(3)]
    assert [one.whole.begin for one in months] == [whole.whole.begin, *(one.whole.end for one in months[:-1])]
    assert months[-1].whole.end == whole.whole.end
    for period in (whole, *months):
        assert parse_period(period.name) == period


def test_the_default_is_the_last_full_month() -> None:
    """Or the running one where nothing was recorded before it."""
    assert default_period(SINCE, NOW).name == "2026-10"
    assert default_period(NOW - timedelta(days=3), NOW).name == "2026-11"
    assert default_period(SINCE, datetime(2027, 1, 1, tzinfo=UTC)).name == "2026-12"


def test_every_period_to_choose_can_be_reported_on() -> None:
    """Months, then quarters, the newest first; the first and the last cover what is known of them."""
    offered = choices(SINCE, NOW)
    assert [one.name for one in offered] == [
        *(f"2026-{number:02}" for number in range(11, 4, -1)),
        *("2026-Q4", "2026-Q3", "2026-Q2"),
    ]
    for one in offered:
        assert covered(one, SINCE, NOW).length > timedelta(0)
    assert covered(month(2026, 5), SINCE, NOW).begin == SINCE
    assert covered(month(2026, 11), SINCE, NOW).end == NOW


def test_nothing_is_claimed_about_other_periods() -> None:
    """Neither the future nor the time before statuses were recorded; the message says what to choose."""
    with pytest.raises(PeriodError, match=r"December 2026 has not begun\. Choose a month from 2026-05 to 2026-11"):
        covered(month(2026, 12), SINCE, NOW)
    with pytest.raises(PeriodError, match=r"statuses are recorded since 12 May 2026\. Choose a month from 2026-05"):
        covered(quarter(2026, 1), SINCE, NOW)


def test_only_all_of_it_is_100_percent() -> None:
    """Shares are rounded down, and a little is not nothing."""
    shares = {None: "–", 0.0: "0 %", 1e-9: "below 0.01 %", 0.5831: "58.31 %", 0.999999: "99.99 %", 1.0: "100 %"}
    assert {share: percent(share).replace("\N{NO-BREAK SPACE}", " ") for share in shares} == shares


def test_lengths_have_two_units_that_belong_together() -> None:
    """Days with hours, never days with minutes."""
    day, minute = timedelta(days=1), timedelta(minutes=1)
    lengths = {
        day + 4 * 60 * minute: ("1 day and 4 hours", "1 d 4 h"),
        day + 4 * minute: ("1 day", "1 d"),
        61 * minute: ("1 hour and 1 minute", "1 h 1 min"),
        minute / 2: ("less than a minute", "< 1 min"),
        1_200 * day: ("1,200 days", "1,200 d"),
    }
    assert {span: (length(span), short_length(span)) for span in lengths} == lengths
    assert short_length(None) == "–"
