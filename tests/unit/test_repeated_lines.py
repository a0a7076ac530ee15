"""Every line of a log is written or counted, whatever comes when."""

from logging import LogRecord, makeLogRecord

from hypothesis import given
from hypothesis import strategies as st

from monitor.repeated_lines import WITHIN_SECONDS, WRITTEN, RepeatedLines

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, WITHIN_SECONDS)), max_size=200)


def line(likeness: str) -> LogRecord:
    return makeLogRecord({"msg": likeness})


@given(STEPS)
def test_no_line_is_lost_and_none_is_told_twice(steps: list[tuple[str, float]]) -> None:
    """Written and counted together are all that came; of one likeness at most ten in ten seconds are written."""
    repeated, now = RepeatedLines(), 0.0
    written: dict[str, list[float]] = {name: [] for name in "abc"}
    counted = dict.fromkeys("abc", 0)
    for likeness, seconds in steps:
        now += seconds
        for first, times in repeated.counted(now):
            counted[str(first.msg)] += times
        if repeated.is_written(likeness, line(likeness), now):
            written[likeness].append(now)
    for first, times in repeated.counted():
        counted[str(first.msg)] += times
    for name, moments in written.items():
        came = sum(likeness == name for likeness, _ in steps)
        assert len(moments) + counted[name] == came
        for index, moment in enumerate(moments):
            # A time that ends and the next one may lie within one such span.
            assert sum(moment <= other < moment + WITHIN_SECONDS for other in moments[index:]) <= 2 * WRITTEN
    assert list(repeated.counted()) == []
