"""`notices show|release|drop`: read before it is let go, never all of them by accident."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor import cli
from monitor.cli import notices
from monitor.config import settings
from monitor.drift import EventKind
from monitor.notices.notice import Status
from monitor.store.database import Database
from monitor.store.tables import NOTICE, OPERATOR_ACTION
from tests.composer import ComposerHarness
from tests.store import rows


@pytest.fixture
def held(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Three held notices, numbers 1 to 3, and the operator's about them."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(f"{settings.PREFIX}{name.upper()}", raising=False)
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{tmp_path / 'harvest-monitor.sqlite3'}")
    monkeypatch.setenv("HARVEST_MONITOR_MAIL_FROM", "monitor@vendor.example")
    database = Database(settings.load().database)

    async def prepare() -> None:
        world = ComposerHarness(database)
        await world.burst(EventKind.LOST, 3)
        await world.run()

    asyncio.run(prepare())
    yield database
    asyncio.run(database.close())


def statuses(database: Database) -> list[str]:
    return [row["status"] for row in asyncio.run(rows(database, NOTICE))]


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.run([*arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_a_held_notice_can_be_read(held: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As it would be sent: reader, subject, text and HTML, with its status and the reason it was written."""
    page = tmp_path / "notice.html"
    assert cli.run(["notices", "show", "1", "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "Status: held\n" in shown
    assert "Tenant: burst0\nWhy: lost:GET: List offers\n" in shown
    assert "From: monitor@vendor.example\nTo: dana+burst0@vendor.example\n" in shown
    assert "Subject: Burst0: Greenhouse permission missing: GET: List offers\n\nHello Dana Reyes,\n" in shown
    assert page.read_text("utf-8").startswith("<!")
    notice = document(capsys, "notices", "show", "1")["notice"]
    assert (notice["status"], notice["actions"]) == ("held", [])
    assert notice["text"] in shown
    assert notice["html"] == page.read_text("utf-8")


def test_an_unknown_number_is_an_error(held: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the command that shows the numbers."""
    assert cli.run(["notices", "show", "99"]) == 2
    assert "there is no notice 99" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "action"), [("release", "notices release"), ("drop", "notices drop")])
def test_who_decided_when_and_why_is_shown(
    held: Database, capsys: pytest.CaptureFixture[str], command: str, action: str
) -> None:
    """The reason is kept with each notice, however many were decided on at once."""
    assert cli.run(["notices", command, "--all", "--reason", "our own mistake"]) == 0
    for number in ("1", "2", "3"):
        (done,) = document(capsys, "notices", "show", number)["notice"]["actions"]
        assert (done["action"], done["reason"]) == (action, "our own mistake")
    cli.run(["notices", "show", "1"])
    assert f": {action}, our own mistake\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["release", "drop"])
def test_a_script_must_say_all(held: Database, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Without numbers and without a terminal nothing happens."""
    assert cli.run(["notices", command]) == 2
    assert cli.run(["notices", command, "1", "--all"]) == 2
    assert "or --all" in capsys.readouterr().err
    assert statuses(held)[:3] == [Status.HELD] * 3
    assert asyncio.run(rows(held, OPERATOR_ACTION)) == []


@pytest.mark.parametrize(("answer", "expected"), [(True, Status.PENDING), (False, Status.HELD)])
def test_a_person_is_asked(held: Database, monkeypatch: pytest.MonkeyPatch, answer: bool, expected: Status) -> None:
    """On a terminal: how many, and only then all of them."""
    asked = []

    def confirm(question: str, abort: bool) -> None:
        asked.append(question)
        if not answer:
            raise notices.typer.Abort

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(notices.typer, "confirm", confirm)
    assert (cli.run(["notices", "release"]) == 0) == answer
    assert asked == ["Send all 3 held notices?"]
    assert statuses(held)[:3] == [expected] * 3
