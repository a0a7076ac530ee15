"""How many tenants a changed file may remove."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.tenants.sync import removes_too_many


@pytest.mark.parametrize(
    ("before", "gone", "too_many"),
    [
        (0, 0, False),
        (1, 1, False),  # two may always be removed
        (2, 2, False),
        (3, 3, True),
        (40, 2, False),
        (60, 3, False),  # exactly 5 %
        (59, 3, True),
        (10_000, 500, False),
        (10_000, 501, True),
    ],
)
def test_how_many_may_be_removed(before: int, gone: int, too_many: bool) -> None:
    """Two tenants or 5 % may be removed at once; new tenants make no difference."""
    ids = {str(number) for number in range(before)}
    left = {str(number) for number in range(gone, before)} | {f"new-{number}" for number in range(before)}

    assert removes_too_many(ids, left) is too_many


@given(st.sets(st.integers(0, 200)), st.sets(st.integers(0, 200)))
def test_the_limit_is_two_tenants_or_5_percent(before: set[int], after: set[int]) -> None:
    """The limit is max(2, 5 %) of the stored tenants, whatever else is in the file."""
    gone = len(before - after)

    assert removes_too_many([str(i) for i in before], [str(i) for i in after]) is (gone > max(2, 0.05 * len(before)))
