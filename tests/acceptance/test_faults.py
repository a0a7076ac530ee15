"""The short form of the matrix in docs/reliability.md; `make faults` and `make soak` are the long ones."""

from pathlib import Path

from tests.faults.run import at_the_first_start, in_turn
from tests.faults.soak import ResourceSampler
from tests.faults.strikes import kill, kill_while_mailing, outage


def test_no_fault_loses_anything_or_makes_anything_grow(tmp_path: Path) -> None:
    """Every event is there once, every email was sent at least once, and everything due was checked.

    After an outage of Greenhouse there are no more open files and tasks than before.
    """
    sampler = ResourceSampler()
    strikes = [sampler, outage, sampler, kill_while_mailing, kill]
    result = in_turn(strikes, "short", tmp_path / "world", smtp_timeout="2s")
    assert result.findings.fatal == []
    assert (result.strikes, result.findings.changes > 0) == (len(strikes), True)
    before, after = sampler.samples
    assert after.checks > before.checks > 0
    assert (after.handles, after.tasks) == (before.handles, before.tasks)


def test_a_service_killed_at_its_first_start_starts_again(tmp_path: Path) -> None:
    """Whether or not there were tables, tenants and a key already."""
    result = at_the_first_start(2, "short", tmp_path / "world")
    assert (result.strikes, result.findings.fatal) == (2, [])
