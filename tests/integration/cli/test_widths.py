"""What commands print fits the terminal, a phone's too, and stays readable there."""

import asyncio
import re
from datetime import timedelta
from functools import partial

import pytest

from monitor import cli
from monitor.clock import utc_now
from monitor.store.database import Database
from tests.fleet import settle_fleet
from tests.terminal import on_terminal, too_wide

COMMANDS = (
    "status",
    "tenants list",
    "tenants show drifted-tenant",
    "tenants migration",
    "tenants days drifted-tenant",
    "history",
    "report",
    "notices list",
    "manifest show gem",
    "manifest show gem --v3",
)


@pytest.mark.parametrize("columns", [40, 80])
def test_no_line_is_wider_and_no_time_is_broken(
    columns: int, installed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 40 columns a table becomes a list of its cells; a date and its time stay on one line."""
    fleet = {f"{status}-tenant": status for status in ("failing", "drifted", "undecided", "healthy")}
    asyncio.run(settle_fleet(installed, fleet, utc_now() - timedelta(hours=3)))
    for command in COMMANDS:
        lines = on_terminal(monkeypatch, columns, partial(cli.run, command.split()))
        assert len(lines) > 1, command
        assert too_wide(lines, columns) == [], command
        table = [line for line in lines if not line.startswith(("Status", "The period"))]
        assert columns == 40 or not [line for line in table if re.search(r"\d{4}-\d\d-\d\d *$", line)], command


def test_a_narrow_terminal_cuts_nothing(installed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a row has no room, its cells stand below each other, each with its name."""
    asyncio.run(settle_fleet(installed, {"drifted-tenant": "drifted"}, utc_now() - timedelta(hours=3)))
    shown = on_terminal(monkeypatch, 40, lambda: cli.run(["tenants", "list"]))
    assert not [line for line in shown if "…" in line]
    assert [line.split()[0] for line in shown if line[:1].isupper()][:2] == ["TENANT", "STATUS"]
