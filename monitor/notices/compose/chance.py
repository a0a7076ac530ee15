"""How likely it is that so many tenants change by chance. Pure."""

import math

_NEGLIGIBLE = 1e-17  # of the sum so far: less than a float can show


def poisson_tail(count: int, mean: float) -> float:
    """The chance of `count` or more where `mean` are expected: P(Poisson(mean) >= count).

    Summed from the largest term outwards, so that a small chance keeps its digits and a large mean does not underflow.
    """
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if count <= mean:
        return max(0.0, 1.0 - _below(count, mean))
    term, total, number = _term(count, mean), 0.0, count
    while term > total * _NEGLIGIBLE:
        total += term
        number += 1
        term *= mean / number
    return min(1.0, total)


def _below(count: int, mean: float) -> float:
    """P(Poisson(mean) < count), for a count up to the mean."""
    number = count - 1
    term, total = _term(number, mean), 0.0
    while number >= 0 and term > total * _NEGLIGIBLE:
        total += term
        term *= number / mean
        number -= 1
    return total


def _term(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
