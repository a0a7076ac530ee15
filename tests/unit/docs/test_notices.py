"""docs/notices.md agrees with the code."""

import re

from monitor.drift import EventKind
from monitor.notices.compose.brake import ALWAYS_PASS, ONE_IN
from monitor.notices.content.render import Renderer
from monitor.notices.delivery.backoff import BACK_OFF
from monitor.notices.notice import Status
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "notices.md").read_text("utf-8")
WORDS = " ".join(PAGE.split())


def test_every_status_is_explained() -> None:
    """The page's table has exactly the statuses of the code."""
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.M)
    assert rows == [status.value for status in Status]


def test_figures_are_those_of_the_code() -> None:
    """The brake's limits and the delays between retries."""
    assert (ALWAYS_PASS, 100 // ONE_IN) == (2, 5)
    assert "more than two tenants, and more than 5 % of all" in WORDS
    assert [wait.total_seconds() / 60 for wait in BACK_OFF] == [1, 5, 15, 60]
    assert "after 1, 5, 15 and 60 minutes and then every hour" in WORDS


def test_kinds_and_templates_exist() -> None:
    """Whatever the page names exists."""
    kinds = {"lost", "found", "newly_required"}
    assert kinds <= {kind.value for kind in EventKind}
    assert all(f"`{kind}`" in PAGE for kind in kinds)
    named = re.search(r"HTML for (.*?)\.", WORDS)
    assert named
    templates = {name.partition(".")[0] for name in Renderer().environment.list_templates() if ".subject." in name}
    assert set(re.findall(r"`(\w+)`", named[1])) == templates
