"""docs/notices.md agrees with the code."""

import re

from monitor.config.settings import Settings
from monitor.drift import EventKind
from monitor.notices.compose.brake import ALWAYS_PASS, CHANCE, GROWN, exceeds_chance
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
    assert (ALWAYS_PASS, CHANCE, GROWN) == (2, 1e-4, 2)
    assert "from three on, if so many by chance are less likely than one in ten thousand" in WORDS
    assert "when the number has doubled" in WORDS
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert f"{defaults['background_alike']} % of checks find one and the same change" in WORDS
    assert f"{defaults['background_any']} % find any permission lost" in WORDS
    assert f"{defaults['sample']} others are checked ahead of time" in WORDS
    assert f"at most {defaults['sample_per_hour']} checks an hour" in WORDS
    assert [wait.total_seconds() / 60 for wait in BACK_OFF] == [1, 5, 15, 60]
    assert "after 1, 5, 15 and 60 minutes and then every hour" in WORDS


def test_the_table_of_the_brake_is_the_rule() -> None:
    """How many tenants hold, by the number checked since the first."""
    rows = re.findall(
        r"^\| (?:checked since the first|one permission, one state|any permission) \| (.*) \|$", PAGE, re.M
    )
    checked, *held = [[int(cell.replace(",", "")) for cell in row.split(" | ")] for row in rows]
    rates = (Settings.model_fields["background_alike"].default, Settings.model_fields["background_any"].default)
    for rate, documented in zip(rates, held, strict=True):
        from_here = [next(k for k in range(1, n) if exceeds_chance(k, n, rate / 100)) for n in checked]
        assert from_here == documented


def test_kinds_and_templates_exist() -> None:
    """Whatever the page names exists."""
    kinds = {"lost", "found", "newly_required"}
    assert kinds <= {kind.value for kind in EventKind}
    assert all(f"`{kind}`" in PAGE for kind in kinds)
    named = re.search(r"HTML for (.*?)\.", WORDS)
    assert named
    templates = {name.partition(".")[0] for name in Renderer().environment.list_templates() if ".subject." in name}
    assert set(re.findall(r"`(\w+)`", named[1])) == templates
