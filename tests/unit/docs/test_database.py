"""docs/database.md and the tables say the same."""

import re

from monitor.config.retention import REMEMBERED_FOR, SWEEPS_FOR
from monitor.store.tables import METADATA
from tests.paths import ROOT

TEXT = (ROOT / "docs" / "database.md").read_text("utf-8")


def test_every_table_has_its_rule() -> None:
    """What is kept how long is told of each table once, and of no table that is not there."""
    told = [
        name for names in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", TEXT, re.M) for name in re.findall(r"\w+", names)
    ]
    assert sorted(told) == sorted(METADATA.tables)


def test_what_no_setting_changes_is_told_in_days() -> None:
    """The two spans that are no settings are those of the code."""
    rules = dict(re.findall(r"^\| `(\w+)` \|.*\| after (\d+) days \|$", TEXT, re.M))
    assert rules == {"refusal": str(REMEMBERED_FOR.days), "sweep": str(SWEEPS_FOR.days)}
