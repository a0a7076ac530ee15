"""The tail of a Poisson distribution."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.notices.compose.chance import poisson_tail


@pytest.mark.parametrize(
    ("count", "mean", "chance"),
    [
        (0, 0.3, 1.0),
        (1, 0.0, 0.0),
        (1, 1e-12, 1e-12),
        (3, 0.05, 2.00673e-5),
        (16, 5.0, 6.90082e-5),
        (79, 50.0, 9.231751e-5),
        (5_000, 5_000.0, 0.50188),
        (3, 700.0, 1.0),
    ],
)
def test_known_values(count: int, mean: float, chance: float) -> None:
    """Small chances keep their digits, and large means do not underflow."""
    assert poisson_tail(count, mean) == pytest.approx(chance, rel=1e-4)


@given(st.integers(1, 40), st.floats(0.001, 40))
def test_it_is_what_the_terms_below_leave(count: int, mean: float) -> None:
    """The tail and the sum of all terms below it are one."""
    below = sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(count))
    assert poisson_tail(count, mean) == pytest.approx(1 - below, abs=1e-12)


@given(st.integers(1, 200), st.floats(0.001, 200))
def test_more_are_less_likely(count: int, mean: float) -> None:
    """Each further one lowers the chance."""
    assert poisson_tail(count + 1, mean) <= poisson_tail(count, mean)
