"""docs/web.md agrees with the limits in the code."""

import re

from monitor.cli.serve import MOST_FILES
from monitor.repeated_lines import WITHIN_SECONDS, WRITTEN
from monitor.web.connection_limits import LIMITS
from tests.paths import ROOT


def test_the_limits_of_connections_and_lines_are_documented() -> None:
    """In the section about slow clients, in its order."""
    section = (ROOT / "docs" / "web.md").read_text("utf-8").split("### Slow clients")[1].split("\n#")[0]
    rows = re.findall(r"^\| [a-z].*\| (\d+)", section, re.MULTILINE)
    assert rows == [str(n) for n in (LIMITS.most, LIMITS.head_within, LIMITS.body_within, LIMITS.idle_for)]
    assert f"{MOST_FILES:,}" in section
    assert (WRITTEN, WITHIN_SECONDS) == (10, 10)
    assert "more than ten times in ten seconds" in section
