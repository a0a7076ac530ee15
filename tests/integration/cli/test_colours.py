"""Colours of the words that say how something stands: for people at a terminal, and for nobody else."""

import asyncio
import re
from datetime import timedelta
from functools import partial

import pytest

from monitor import cli
from monitor.clock import utc_now
from monitor.store.database import Database
from tests.fleet import settle_fleet
from tests.terminal import in_colour

RED, GREEN, YELLOW = "31", "32", "33"
COLOURS = {"failing": RED, "drifted": RED, "undecided": YELLOW, "healthy": GREEN}


@pytest.fixture
def fleet(installed: Database) -> Database:
    """A tenant of each status, which is its name, too."""
    standing = {f"{status}-tenant": status for status in COLOURS}
    asyncio.run(settle_fleet(installed, standing, utc_now() - timedelta(hours=3)))
    return installed


def coloured(text: str) -> set[tuple[str, str]]:
    """Each coloured piece, with the number of its colour."""
    return {(piece.strip(), colour) for colour, piece in re.findall(r"\x1b\[(?:\d;)?(3\d)m([^\x1b]+)\x1b", text)}


def test_each_status_has_its_colour_in_lists_and_sentences(fleet: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the table, the summary above it and `status`; never in a tenant's name, or in the word `status` itself."""
    for command in (["tenants", "list"], ["status"]):
        shown = in_colour(monkeypatch, 80, partial(cli.run, command))
        assert coloured(shown) >= set(COLOURS.items()), command
        assert not any("tenant" in piece for piece, _ in coloured(shown) if len(piece) < 20), command
    one = in_colour(monkeypatch, 80, lambda: cli.run(["tenants", "show", "drifted-tenant"]))
    assert ("drifted", RED) in coloured(one)
    assert ("missing", RED) in coloured(one)


def test_no_color_pipes_and_json_have_none(
    fleet: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With NO_COLOR a terminal gets no colour; --json is the same on a terminal and in a pipe."""
    plain = in_colour(monkeypatch, 80, lambda: cli.run(["tenants", "list"]), no_color="1")
    assert "drifted" in plain
    assert coloured(plain) == set()
    document = in_colour(monkeypatch, 80, lambda: cli.run(["tenants", "list", "--json"]))
    capsys.readouterr()
    assert cli.run(["tenants", "list", "--json"]) == 0
    assert capsys.readouterr().out == document
    for command in (["tenants", "list"], ["status"], ["tenants", "show", "drifted-tenant"]):
        cli.run(command)
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err, command
