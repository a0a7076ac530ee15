"""`make bench` in the small form: every figure exists; its value is never tested."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.bench.__main__ import PARTS
from tests.command import bare_environment
from tests.paths import ROOT

DOCS = (ROOT / "docs" / "performance.md").read_text("utf-8")
NEIGHBOUR = "neighbour"


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """The output of `--quick --json`."""
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json"]
    environment = {**bare_environment(ROOT, {}), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def without_numbers(text: str) -> str:
    return re.sub(r"\d[\d,.]*", "#", text)


def test_every_part_gives_figures(shown: dict[str, Any]) -> None:
    """Each is a number, above zero where something was surely done; the exporter may not be installed."""
    assert list(dict.fromkeys(part["name"] for part in shown["parts"])) == list(PARTS)
    for part in shown["parts"]:
        assert part["figures"] or (part["name"] == NEIGHBOUR and "not installed" in part["notes"][0])
        for figure in part["figures"]:
            assert figure["value"] >= 0, figure
    values = {figure["what"]: figure["value"] for part in shown["parts"] for figure in part["figures"]}
    assert values["requests a second: a later sweep"] > 0
    assert values["database rows written for one row changed"] == 1


def test_the_page_has_every_figure(shown: dict[str, Any]) -> None:
    """docs/performance.md has the rows that the bench prints, apart from numbers, and the command of each part."""
    rows = {without_numbers(row) for row in re.findall(r"^\| (.+?) \| .* \|$", DOCS, re.M)}
    for part in shown["parts"]:
        assert f"`make bench ARGS={part['name']}`" in DOCS
        assert {without_numbers(figure["what"]) for figure in part["figures"]} <= rows
