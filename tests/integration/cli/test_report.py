"""`report`: the same as the pages, on the command line."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from monitor import cli
from monitor.clock import utc_now
from monitor.config.settings import PREFIX, Settings
from monitor.store.database import Database
from tests.reports import HOUR, MINUTE, served
from tests.store import a_tenant, check, sync


@pytest.fixture
def installation(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two tenants, one of which lost a permission, since 80 days; gives the month that began after that."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{tmp_path / 'harvest-monitor.sqlite3'}")
    begin = utc_now() - timedelta(days=80)
    asyncio.run(_record(sqlite, begin))
    return f"{begin + timedelta(days=31):%Y-%m}"


async def _record(database: Database, begin) -> None:
    await sync(database, a_tenant("acme"), a_tenant("globex"), now=begin)
    for credential_id in (1, 2):
        await check(database, served({"jobs": "g"}), begin + HOUR, credential_id=credential_id)
    await check(database, served({"jobs": "m"}), begin + 5 * HOUR)
    await check(database, served({"jobs": "m"}), begin + 5 * HOUR + MINUTE)


def test_all_and_one_in_every_form(installation: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A table with the finding above it, one JSON document, or CSV with a header line."""

    def ask(*arguments: str) -> str:
        assert cli.run(["report", "--period", installation, *arguments]) == 0
        return capsys.readouterr().out

    text = ask()
    assert "2 tenants had every required permission 50.00 % of the time. None lost a permission" in text
    assert text.splitlines()[-2].split("\t")[:5] == ["acme", "Acme", "0 %", "0", "1"]
    assert ask("--csv").count("\n") == 3
    assert json.loads(ask("--json"))["share"] == 0.5
    assert "GET: jobs\t" in ask("--tenant", "acme")
    assert json.loads(ask("--tenant", "acme", "--json"))["loss_list"][0]["ending"] == "open"
    assert ask("--tenant", "globex", "--csv").count("\n") == 1


@pytest.mark.usefixtures("installation")
def test_mistakes_end_with_status_2_and_say_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed as a result."""
    for arguments, said in (
        (["--period", "2026-13"], "such as 2026-11, or a quarter such as 2026-Q4"),
        (["--period", "2020-01"], "statuses are recorded since"),
        (["--period", "2090-Q1"], "has not begun"),
        (["--tenant", "nobody"], "tenants list"),
        (["--csv", "--json"], "choose one of them"),
    ):
        assert cli.run(["report", *arguments]) == 2
        printed = capsys.readouterr()
        assert (said in printed.err, printed.out) == (True, ""), arguments
