"""`make bench`, in the small form: every figure is there; what they are is never a test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.__main__ import PARTS
from tests.command import bare_environment

ROOT = Path(__file__).parents[2]
NEIGHBOUR = "neighbour"


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What `--quick --json` prints."""
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json"]
    environment = {**bare_environment(ROOT, {}), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_every_part_gives_figures(shown: dict[str, Any]) -> None:
    """Each is a number, more than nothing where something was surely done; the neighbour may not be installed."""
    assert list(dict.fromkeys(part["name"] for part in shown["parts"])) == list(PARTS)
    for part in shown["parts"]:
        assert part["figures"] or (part["name"] == NEIGHBOUR and "not installed" in part["notes"][0])
        for figure in part["figures"]:
            assert figure["value"] >= 0, figure
    values = {figure["what"]: figure["value"] for part in shown["parts"] for figure in part["figures"]}
    assert values["requests a second: a later sweep"] > 0
    assert values["database rows written for one row changed"] == 1
