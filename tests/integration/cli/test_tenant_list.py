"""`tenants list`: one word for each tenant, in a terminal, in a pipe and as JSON."""

import asyncio
import re
from datetime import timedelta

import pytest

from monitor import cli
from monitor.clock import utc_now
from monitor.store.database import Database
from tests.fleet import settle_fleet
from tests.integration.cli.conftest import Documented
from tests.terminal import on_terminal, too_wide

ONE_OF_EACH = {f"{status}-tenant": status for status in ("healthy", "new", "undecided", "drifted", "failing")}
LONG = "a-customer-with-an-id-that-is-longer-than-any-column"


def settled(database: Database, fleet: dict[str, str]) -> None:
    asyncio.run(settle_fleet(database, fleet, utc_now() - timedelta(hours=3)))


def listed(documented: Documented, *options: str) -> list[str]:
    return [tenant["id"] for tenant in documented("tenants", "list", *options)["tenants"]]


def test_json_keeps_its_keys_and_has_the_status(installed: Database, documented: Documented) -> None:
    """Scripts read these keys, and the order by id; whoever adds one adds it here."""
    settled(installed, ONE_OF_EACH)
    tenants = documented("tenants", "list")["tenants"]
    assert [tenant["id"] for tenant in tenants] == sorted(ONE_OF_EACH)
    for tenant in tenants:
        assert list(tenant) == [
            *("id", "name", "kinds", "status", "status_since", "reason", "told", "paused", "state", "problem"),
            *("incident_since", "last_checked_at"),
            *("granted", "missing", "undecided", "unchecked", "suspects", "excess"),
        ]
        assert ONE_OF_EACH[tenant["id"]] == tenant["status"]
    drifted = tenants[0]
    assert (drifted["state"], drifted["reason"]) == ("ok", "2 missing: GET: jobs, GET: offers")
    assert drifted["status_since"] == drifted["incident_since"]
    assert list(drifted["told"]) == ["telling", "at", "reader", "notice"]
    assert drifted["told"]["telling"] == "settling"


def test_ok_is_said_only_where_all_is_well(
    installed: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on a terminal nor in a pipe does a tenant that is not healthy have a line with `ok`."""
    settled(installed, ONE_OF_EACH)
    assert cli.run(["tenants", "list"]) == 0
    piped = capsys.readouterr().out.splitlines()
    shown = on_terminal(monkeypatch, 80, lambda: cli.run(["tenants", "list"]))
    for lines in (piped, shown):
        (well,) = [line for line in lines if re.search(r"\bok\b", line)]
        assert well.startswith("healthy-tenant")
    assert sum("invalid" in line for line in shown) == 1


def test_a_pipe_gets_every_column_in_full_and_the_summary_apart(
    installed: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is cut or counted together there, however long or many; the summary is on stderr."""
    settled(installed, {LONG: "drifted", **{f"t{number:02}": "healthy" for number in range(21)}})
    assert cli.run(["tenants", "list"]) == 0
    said = capsys.readouterr()
    header, *rows = [line.split("\t") for line in said.out.splitlines()]
    assert header[:7] == ["TENANT", "NAME", "KIND", "STATUS", "SINCE", "REASON", "STATE"]
    assert [row[0] for row in rows] == sorted([LONG, *(f"t{number:02}" for number in range(21))])
    assert {len(row) for row in rows} == {len(header)}
    assert "…" not in said.out
    assert said.err == "22 tenants: 1 drifted, 21 healthy\n"


def test_a_terminal_of_80_columns_is_enough(installed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The summary, then the worst first, one line each; what is too long ends with `…`."""
    settled(installed, {**ONE_OF_EACH, LONG: "drifted"})
    for columns in (80, 120):
        lines = on_terminal(monkeypatch, columns, lambda: cli.run(["tenants", "list"]))
        assert too_wide(lines, columns) == []
        assert lines[0] == "6 tenants: 1 failing, 2 drifted, 1 undecided, 1 new, 1 healthy"
        header, *rows = [line for line in lines[1:] if line]
        assert header.split()[0] == "TENANT"
        statuses = [re.split(r"  +", row)[1 if columns == 80 else 2] for row in rows]
        assert statuses == ["failing", "drifted", "drifted", "undecided", "new", "healthy"]
        (long,) = [row for row in rows if row.startswith("a-customer")]
        assert "…" in long.split()[0]
        assert ("Healthy-Tenant" in lines[-3]) == (columns == 120)


def test_many_alike_are_one_line_on_a_terminal(installed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 20 for the same reason are counted, the healthy as well; --all lists them."""
    alike = {f"t{number:02}": "drifted" for number in range(21)} | {f"w{number:02}": "healthy" for number in range(21)}
    settled(installed, {**alike, "acme": "undecided"})
    lines = on_terminal(monkeypatch, 80, lambda: cli.run(["tenants", "list"]))
    assert lines[:2] == [
        "43 tenants: 21 drifted, 1 undecided, 21 healthy",
        "21 tenants lack GET: jobs, GET: offers",
    ]
    assert "21 tenants are healthy" in lines
    assert "--all lists these one by one." in lines
    assert [line.split()[0] for line in lines if line.startswith(("acme", "t0", "w0"))] == ["acme"]
    every = on_terminal(monkeypatch, 80, lambda: cli.run(["tenants", "list", "--all"]))
    assert sum(line.startswith(("acme", "t", "w")) for line in every) == 43


def test_filters_leave_out_the_others(
    installed: Database, documented: Documented, capsys: pytest.CaptureFixture[str]
) -> None:
    """By status, permission (id or label), CSM and kind of credential; the summary says of how many."""
    settled(installed, ONE_OF_EACH)
    everybody = sorted(ONE_OF_EACH)
    wanted = {
        ("--status", "drifted"): ["drifted-tenant"],
        ("--status", "attention"): [id_ for id_ in everybody if id_ != "healthy-tenant"],
        ("--missing", "jobs"): ["drifted-tenant"],
        ("--missing", "GET: jobs"): ["drifted-tenant"],
        ("--missing", "users"): [],
        ("--csm", "DANA@vendor.example"): everybody,
        ("--csm", "lee@vendor.example"): [],
        ("--kind", "harvest-key"): everybody,
        ("--kind", "harvest-oauth"): [],
        ("--missing", "jobs", "--status", "failing"): [],
    }
    for options, expected in wanted.items():
        assert listed(documented, *options) == expected, options
    assert cli.run(["tenants", "list", "--status", "drifted"]) == 0
    assert capsys.readouterr().err == "1 of 5 tenants: 1 drifted\n"
    assert cli.run(["tenants", "list", "--missing", "GET: nothing"]) == 0
    assert "none of 5 tenants fits; `harvest-monitor manifest show`" in capsys.readouterr().err


def test_an_unknown_status_is_a_usage_error(installed: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """The message has the words that there are."""
    assert cli.run(["tenants", "list", "--status", "ok"]) == 2
    assert "undecided" in capsys.readouterr().err
