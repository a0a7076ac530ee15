"""docs/database.md agrees with the tables."""

import re

from monitor.config.retention import REMEMBERED_FOR, SWEEPS_FOR
from monitor.store.tables import METADATA
from tests.paths import ROOT

TEXT = (ROOT / "docs" / "database.md").read_text("utf-8")


def test_every_table_has_its_rule() -> None:
    """The page says once for each table how long its rows are kept, and names no other table."""
    documented = [
        name for names in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", TEXT, re.M) for name in re.findall(r"\w+", names)
    ]
    assert sorted(documented) == sorted(METADATA.tables)


def test_fixed_durations_are_those_of_the_code() -> None:
    """The two durations that no setting changes are documented in days."""
    rules = dict(re.findall(r"^\| `(\w+)` \|.*\| after (\d+) days \|$", TEXT, re.M))
    assert rules == {"refusal": str(REMEMBERED_FOR.days), "sweep": str(SWEEPS_FOR.days)}
