"""The picture of the demo's terminal: what stays on the screen, and what the committed one shows."""

import html
import re

import pytest

from monitor.cli.demo.setup import TENANTS
from tests.pictures import IMAGES
from tests.pictures.terminal import THEMES, acts, left_on_screen, svg


def text_of(drawn: str) -> str:
    """What a reader of the SVG reads."""
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", drawn, flags=re.S))).replace(
        "\xa0", " "
    )


def test_a_spinner_leaves_nothing_behind() -> None:
    """Each frame erases the one before, and the last one its line; a blank line stays."""
    frames = "\x1b[?25l\x1b[32m⠋\x1b[0m 0 of 2\r\x1b[2K\x1b[32m⠙\x1b[0m 2 of 2\r\n\x1b[?25h\r\x1b[1A\x1b[2K"
    output = f"\r\n\x1b[1m1.\x1b[0m A check\r\n{frames}{frames}Acme  ok\r\n\r\nIn the end\r\n"
    assert left_on_screen(output) == "\n\x1b[1m1.\x1b[0m A check\nAcme  ok\n\nIn the end\n"


def test_the_picture_ends_after_the_repair() -> None:
    """Of the demo's paragraphs it has the first five, and of the link no secret."""
    screen = "\nAbout\n\nPages http://host/link/hml_a-B_9\n\n1. a\nb\n\n2. c\n\n3. d\n\nTables\n"
    assert acts(screen) == "About\n\nPages http://host/link/hml_…\n\n1. a\nb\n\n2. c\n\n3. d"


@pytest.mark.parametrize("scheme", THEMES)
def test_a_picture_has_the_text_and_loads_nothing(scheme: str) -> None:
    """Bold or not, every word is there; no font comes from elsewhere."""
    drawn = svg("\x1b[1mlost\x1b[0m Globex › GET: List offers", THEMES[scheme])
    assert "lost Globex › GET: List offers" in text_of(drawn)
    assert not re.search(r"url\((?!#)|@font-face|href", drawn)


@pytest.mark.parametrize("scheme", THEMES)
def test_the_committed_picture_shows_todays_demo(scheme: str) -> None:
    """Every customer of the demo is in it with its situation; if this fails, run `make pictures`."""
    drawn = (IMAGES / f"demo-{scheme}.svg").read_text("utf-8")
    shown = text_of(drawn)
    assert [each.id for each in TENANTS if each.name not in shown or each.situation not in shown] == []
    assert not re.search(r"url\((?!#)|@font-face|href", drawn)
    assert len(drawn) < 100_000
