"""The short form of the matrix in docs/reliability.md; the long ones are `make faults` and `make soak`."""

from pathlib import Path

from tests.faults.run import at_the_first_start, in_turn
from tests.faults.soak import ResourceSampler
from tests.faults.strikes import kill, kill_while_mailing, outage


def test_whatever_strikes_nothing_is_lost_and_nothing_grows(tmp_path: Path) -> None:
    """Every event is there once, every mail was sent at least once, nothing that was due was left out.

    After an outage of Greenhouse there are no more open files and tasks than before.
    """
    look = ResourceSampler()
    strikes = [look, outage, look, kill, kill_while_mailing, kill]
    result = in_turn(strikes, "short", tmp_path / "world", smtp_timeout="2s")
    assert result.findings.fatal == []
    assert (result.strikes, result.findings.changes > 0) == (len(strikes), True)
    before, after = look.samples
    assert after.checks > before.checks > 0
    assert (after.handles, after.tasks) == (before.handles, before.tasks)


def test_killed_at_its_first_start_it_begins_again(tmp_path: Path) -> None:
    """Whether there were tables, tenants and a key, or not yet."""
    result = at_the_first_start(2, "short", tmp_path / "world")
    assert (result.strikes, result.findings.fatal) == (2, [])
