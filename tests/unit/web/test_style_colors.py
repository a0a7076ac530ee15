"""The colours of the style sheet can be read: WCAG 2, level AA."""

import pytest

from monitor.web.style_colors import LINES, TEXTS, contrast, least_contrast, palettes
from tests.paths import ROOT

PALETTES = palettes((ROOT / "templates" / "web" / "pages.css").read_text("utf-8"))
LEAST = {**dict.fromkeys(TEXTS, 4.5), **dict.fromkeys(LINES, 3.0)}


def test_contrast_is_that_of_wcag() -> None:
    """Black on white is 21; #767676 is the lightest grey that may be text on white."""
    assert round(contrast("#000", "#ffffff"), 2) == 21
    assert contrast("#767676", "#fff") == contrast("#fff", "#767676") == pytest.approx(4.54, abs=0.005)


def test_text_and_lines_can_be_seen_on_every_ground(subtests: pytest.Subtests) -> None:
    """Text at least 4.5:1, lines that carry a meaning 3:1; on light and dark screens, and on paper."""
    for scheme in ("light", "dark", "print"):
        for token, least in LEAST.items():
            with subtests.test(scheme=scheme, token=token):
                assert least_contrast(getattr(PALETTES, scheme), token) >= least


def test_the_first_button_can_be_read() -> None:
    """It is paper on ink."""
    for palette in (PALETTES.light, PALETTES.dark):
        assert contrast(palette["paper"], palette["ink"]) >= 4.5
