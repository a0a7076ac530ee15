"""CONTRIBUTING.md is a map of the project as it is."""

import re
from itertools import takewhile

from tests.paths import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
TREE = PAGE.split("```\n")[1]
ROOMS = {"monitor": ROOT / "monitor", "checks": ROOT / "checks"}


def packages(of: str) -> set[str]:
    return {folder.name for folder in ROOMS[of].iterdir() if (folder / "__init__.py").exists()}


def named_below(top: str) -> set[str]:
    """The folders that the tree names below one of the top level."""
    lines = TREE.split(f"{top}/", 1)[1].splitlines()[1:]
    below = takewhile(lambda line: line.startswith("  "), lines)
    return {name for line in below for name in re.findall(r"(\w+)/", line[: line.find("   ", 3)])}


def test_the_map_names_every_room_and_no_other() -> None:
    """A new room needs a line in the map."""
    assert packages("monitor") == named_below("monitor")
    assert packages("checks") == named_below("checks") - {"manifests"}


def test_the_map_fits_on_a_screen() -> None:
    """The tree has at most 25 lines, and the way of one check ten steps."""
    assert len(TREE.splitlines()) <= 25
    assert re.findall(r"^(\d+)\. ", PAGE, re.M) == [str(number) for number in range(1, 11)]


def test_every_file_that_is_named_exists() -> None:
    """Paths are the project's, or below monitor/ in the way of one check."""
    paths = [path for path in re.findall(r"`([\w./-]+/[\w./-]*)`", PAGE) if not path.startswith("/")]
    assert len(paths) > 40
    assert [path for path in paths if not any((root / path).exists() for root in (ROOT, ROOT / "monitor"))] == []


def test_every_kind_of_addition_names_its_test() -> None:
    """Each row of "Add something" says where to edit, and which test finds what was forgotten."""
    rows = [row.split(" | ") for row in re.findall(r"^\| an? (.*) \|$", PAGE, re.M)]
    assert {row[0] for row in rows} >= {"permission", "email", "metric", "setting", "migration"}
    assert [row[0] for row in rows if "`tests/" not in row[2]] == []
