"""How the bench prints its figures."""

import sys
from types import FrameType
from typing import Any

import pytest

from tests.bench.figures import Figure, Part, document, markdown, plain
from tests.bench.sampler import REST, layer_of
from tests.paths import ROOT

PART = Part("speed", "How fast", [Figure("wheels", 4), Figure("speed", 1234.5, "km/h", 2000)], ["Downhill."])


def test_an_aim_is_an_upper_or_a_lower_bound() -> None:
    """A value equal to the aim meets only a lower bound; without an aim there is nothing to meet."""
    assert [Figure("x", value, aim=2).met for value in (1.9, 2)] == [True, False]
    assert [Figure("x", value, aim=2, under=False).met for value in (1.9, 2)] == [False, True]
    assert Figure("x", 2).met is None


def test_each_form_has_every_figure() -> None:
    """For people, docs and programs; the docs name the command."""
    (line,) = [line for line in plain(PART).splitlines() if "speed" in line]
    assert line.split() == ["speed", "1,234", "km/h", "<", "2,000", "km/h", "met"]
    assert "`make bench ARGS=speed`" in markdown(PART)
    assert "| speed | 1,234 km/h | < 2,000 km/h | met |" in markdown(PART)
    (shown,) = document([PART], date="2026-11-24")["parts"]
    assert [figure["value"] for figure in shown["figures"]] == [4, 1234.5]
    assert shown["notes"] == ["Downhill."]


def frame_in(file: str) -> FrameType:
    """The frame of a function in this file, called from here."""
    names: dict[str, Any] = {"take": sys._getframe}
    exec(compile("def function():\n    return take()\nframe = function()", file, "exec"), names)
    found: FrameType = names["frame"]
    return found


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        (f"{ROOT}/checks/v1/gate.py", "client, gate, answers"),
        (f"{ROOT}/checks/v1/verdicts.py", "requests and verdicts"),
        (f"{ROOT}/monitor/incidents/standing_queries.py", "SQLAlchemy and the store"),
        ("/somewhere/checks/monitor/.venv/lib/python3.11/site-packages/httpx/_models.py", "httpx, aiohttp"),
    ],
)
def test_processor_time_counts_for_a_layer(file: str, layer: str) -> None:
    """By the file of the innermost function that belongs to one."""
    assert layer_of(frame_in(file)) == layer


def test_the_standard_library_counts_for_its_caller() -> None:
    """Without a caller in any layer, it counts for the rest."""
    assert layer_of(None) == REST
    assert layer_of(frame_in("/usr/lib/python3.11/json/decoder.py")) == layer_of(sys._getframe())
