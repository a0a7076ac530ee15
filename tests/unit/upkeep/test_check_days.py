"""Summing up the checks of a day."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from checks.credential import CredentialState
from monitor.upkeep.check_days import Day, merged

A_DAY = Day(
    day=date(2026, 11, 23),
    credential_id=1,
    checks=1,
    drifted=0,
    undecided=0,
    failed=0,
    state=CredentialState.OK,
    least_granted=None,
    most_missing=None,
    most_undecided=None,
    most_excess=None,
    requests=1,
    seconds=1,
)
_count, _maybe = st.integers(0, 100), st.none() | st.integers(0, 70)
days = st.lists(
    st.builds(
        Day,
        day=st.sampled_from([date(2026, 11, 23), date(2026, 11, 24)]),
        credential_id=st.integers(1, 2),
        checks=_count,
        drifted=_count,
        undecided=_count,
        failed=_count,
        state=st.sampled_from(CredentialState),
        least_granted=_maybe,
        most_missing=_maybe,
        most_undecided=_maybe,
        most_excess=_maybe,
        requests=_count,
        seconds=_count,
    )
)


@given(days, st.randoms(use_true_random=False), st.integers(0, 10))
def test_a_day_is_the_same_whatever_the_batches(parts: list[Day], random: object, cut: int) -> None:
    """However the checks are shuffled and split into batches, as after a crash, they give the same rows."""
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merged([*merged(shuffled[:cut]), *shuffled[cut:]]) == merged(parts)


@given(days)
def test_nothing_is_counted_twice_or_lost(parts: list[Day]) -> None:
    """The rows add up to what went in, and there is one for each credential and day."""
    rows = merged(parts)
    assert len({row.key for row in rows}) == len(rows)
    assert sum(row.checks for row in rows) == sum(part.checks for part in parts)
    assert sum(row.requests for row in rows) == sum(part.requests for part in parts)


def test_a_day_keeps_its_worst_values() -> None:
    """The worst state, the fewest granted, the most missing; what was not checked does not count as zero."""
    good = replace(A_DAY, least_granted=61, most_missing=0, most_undecided=2, most_excess=0)
    bad = replace(A_DAY, drifted=1, least_granted=58, most_missing=3, most_undecided=0, most_excess=1)
    unanswered = replace(A_DAY, failed=1, state=CredentialState.BLOCKED)
    assert merged([good, unanswered, bad]) == [
        replace(
            A_DAY, checks=3, drifted=1, failed=1, state=CredentialState.BLOCKED, least_granted=58, most_missing=3,
            most_undecided=2, most_excess=1, requests=3, seconds=3,
        )
    ]  # fmt: skip
