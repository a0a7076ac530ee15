"""`tenants recheck`: what it says, and what it exits with."""

import asyncio
from datetime import timedelta

import pytest

from monitor import cli
from monitor.cli.database import who
from monitor.clock import utc_now
from monitor.store.database import Database
from monitor.store.tables import OPERATOR_ACTION
from tests.fleet import STANDING, settle_fleet
from tests.integration.cli.conftest import Documented
from tests.store import check, rows


def test_each_tenant_has_its_line_and_a_refusal_its_exit_status(
    installed: Database, capsys: pytest.CaptureFixture[str], documented: Documented
) -> None:
    """0 if all were asked for, 2 if one was not; with the user and the reason on record."""
    asyncio.run(settle_fleet(installed, {"acme": "healthy", "globex": "healthy"}, utc_now() - timedelta(hours=1)))
    assert cli.run(["tenants", "recheck", "acme", "--reason", "Dana asked"]) == 0
    assert capsys.readouterr().err == "acme: its check is due now\n"
    assert cli.run(["tenants", "recheck", "nobody", "globex", "acme"]) == 2
    said = capsys.readouterr().err
    assert "error: nobody: no such tenant is recorded" in said
    assert "\nglobex: its check is due now\n" in said
    assert "error: acme: it was asked for less than ten minutes ago: ask again at " in said
    assert [(row["who"], row["subject"], row["reason"]) for row in asyncio.run(rows(installed, OPERATOR_ACTION))] == [
        (who(), "acme", "Dana asked"),
        (who(), "globex", ""),
    ]
    found = documented("tenants", "recheck", "acme", status=2)
    assert [(one["id"], one["answer"]) for one in found["tenants"]] == [("acme", "too_soon")]
    assert (found["waited"], found["results"]) == (None, [])


async def _serve(database: Database) -> None:
    """As the service does: a check that loses something, a moment after it was asked for."""
    while not await rows(database, OPERATOR_ACTION):
        await asyncio.sleep(0.05)
    report = STANDING["undecided"]
    assert report is not None
    await check(database, report, utc_now())


def test_with_wait_the_result_is_shown(installed: Database, documented: Documented) -> None:
    """How the tenant stands after the check that was asked for."""
    asyncio.run(settle_fleet(installed, {"acme": "new"}, utc_now() - timedelta(hours=1)))

    async def beside() -> dict[str, object]:
        asked = asyncio.create_task(asyncio.to_thread(documented, "tenants", "recheck", "acme", "--wait"))
        await _serve(installed)
        return dict(await asked)

    found = asyncio.run(beside())
    assert found["waited"] == "done"
    assert [(one["id"], one["status"]) for one in found["results"]] == [("acme", "undecided")]
