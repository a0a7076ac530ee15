"""The time of day, compared with the seconds that pass."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.clock import ClockJumps, elapsed, utc_now
from tests.reports import T0


class Machine:
    """A machine's two clocks."""

    def __init__(self) -> None:
        self.now = T0
        self.seconds = 1000.0

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), max_size=10))
def test_a_jump_is_what_the_time_of_day_moved_beyond_the_seconds_passed(steps: list[tuple[float, float]]) -> None:
    """After any time, and in either direction; each jump is reported once."""
    machine = Machine()
    jumps = ClockJumps(lambda: machine.now, lambda: machine.seconds)
    for passed, jump in steps:
        machine.passes(passed)
        machine.now += timedelta(seconds=jump)
        assert abs(jumps.since_last() - jump) < 0.001
        assert abs(jumps.since_last()) < 0.001


def test_both_clocks_of_this_machine_work() -> None:
    """A UTC time with its zone, and seconds that never go back."""
    assert utc_now().utcoffset() == timedelta(0)
    assert elapsed() <= elapsed()
