"""Many numbers in one short field of a form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.web.number_ranges import LARGEST_ID, MOST, BadNumbers, as_ranges, from_ranges


@given(st.sets(st.integers(0, 200)))
def test_exactly_these_numbers_come_back(numbers: set[int]) -> None:
    """Gaps are kept: a number that was not chosen is never among them."""
    assert from_ranges(as_ranges(numbers)) == sorted(numbers)


def test_a_wave_is_a_few_characters() -> None:
    """10,000 numbers in a row are one range."""
    assert as_ranges(range(7, 10_007)) == "7-10006"
    assert as_ranges([3, 1, 2, 5]) == "1-3 5"


def test_what_is_no_such_field_is_refused() -> None:
    """Before anything is written out: a few characters can name more numbers than fit into memory."""
    for text in (
        "x",
        "1,2",
        "2-1",
        "-1",
        "1-",
        "1-2-3",
        "9" * 19,
        str(LARGEST_ID + 1),
        f"1-{MOST + 1}",
        "0-999999999999999999",
        "١",
    ):
        with pytest.raises(BadNumbers):
            from_ranges(text)
    with pytest.raises(BadNumbers):
        from_ranges("1-3", most=2)
