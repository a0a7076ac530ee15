"""docs/on-call.md and docs/demo.md call what they send people to by the names that it has on the pages."""

import re

from tests.paths import ROOT

SHOWN = "".join(
    path.read_text("utf-8")
    for part, ending in (("templates/web", "*.html"), ("monitor/reporting", "*.py"), ("monitor/web", "*.py"))
    for path in (ROOT / part).rglob(ending)
)


def test_what_is_to_be_pressed_and_read_is_on_the_pages() -> None:
    """Each name in italics, but for the sentences that end with a colon."""
    pages = ((ROOT / "docs" / name).read_text("utf-8") for name in ("on-call.md", "demo.md"))
    names = {name for page in pages for name in re.findall(r"(?<!\*)\*([A-Z][\w ']+)\*(?!\*\*)", page)}
    assert len(names) > 8
    assert {name for name in names if f">{name}" not in SHOWN and f'"{name}' not in SHOWN} == set()


def test_every_night_says_what_happens_if_nothing_is_done() -> None:
    """Whoever reads it may be allowed to go back to bed."""
    nights = (ROOT / "docs" / "on-call.md").read_text("utf-8").split("\n## ")[1:4]
    assert len(nights) == 3
    for night in nights:
        assert 4 <= len(re.findall(r"^\d\. ", night, re.M)) <= 6
        assert "\n*If you do nothing:* " in night
