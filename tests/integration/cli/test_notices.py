"""`notices show|release|drop`: read before it is let go, never all of them by accident."""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from monitor import cli
from monitor.cli import notices
from monitor.cli.database import moment, who
from monitor.clock import utc_now
from monitor.config import settings_loader
from monitor.config.settings import PREFIX, Settings
from monitor.drift import EventKind
from monitor.notices.notice import Status
from monitor.store.database import Database
from monitor.store.tables import NOTICE, OPERATOR_ACTION
from tests.composer import ComposerHarness
from tests.store import rows


@pytest.fixture
def held(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Three held notices, numbers 1 to 3, and the operator's about them."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{tmp_path / 'harvest-monitor.sqlite3'}")
    monkeypatch.setenv("HARVEST_MONITOR_MAIL_FROM", "monitor@vendor.example")
    database = Database(settings_loader.load().database)

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
    assert "Subject: Burst0: Greenhouse permission missing (List offers)\n\nHello Dana Reyes,\n" in shown
    assert page.read_text("utf-8").startswith("<!")
    notice = document(capsys, "notices", "show", "1")["notice"]
    assert (notice["status"], notice["actions"]) == ("held", [])
    assert notice["text"] in shown
    assert notice["html"] == page.read_text("utf-8")


def test_an_unknown_number_is_an_error(held: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the command that shows the numbers."""
    assert cli.run(["notices", "show", "99"]) == 2
    assert "there is no notice 99" in capsys.readouterr().err


def test_html_that_cannot_be_written_is_an_error(
    held: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """No folder, or no HTML part: it says which, and shows nothing half."""
    assert cli.run(["notices", "show", "1", "--html", str(tmp_path / "none" / "notice.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err

    async def without_html() -> None:
        async with held.writing() as conn:
            await conn.execute(update(NOTICE).values(html=""))

    asyncio.run(without_html())
    assert cli.run(["notices", "show", "1", "--html", str(tmp_path / "notice.html")]) == 2
    assert "has no HTML part" in capsys.readouterr().err
    assert not (tmp_path / "notice.html").exists()


@pytest.mark.parametrize(("command", "action"), [("release", "notices release"), ("drop", "notices drop")])
def test_who_decided_when_and_why_is_shown(
    held: Database, capsys: pytest.CaptureFixture[str], command: str, action: str
) -> None:
    """The reason is kept with each notice, with the user and the moment, however many were decided on at once."""
    before = utc_now()
    assert cli.run(["notices", command, "--all", "--reason", "our own mistake"]) == 0
    for number in ("1", "2", "3"):
        (done,) = document(capsys, "notices", "show", number)["notice"]["actions"]
        assert (done["action"], done["who"], done["reason"]) == (action, who(), "our own mistake")
        assert before <= datetime.fromisoformat(done["at"]) <= utc_now()
    assert cli.run(["notices", "show", "1"]) == 0
    shown = capsys.readouterr().out
    assert f"Operator: {moment(datetime.fromisoformat(done['at']))} {who()}: {action}, our own mistake\n" in shown


def test_a_later_decision_is_shown_beside_the_earlier_ones(held: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Released by one command, and not touched by those that name others."""
    assert cli.run(["notices", "release", "2", "--reason", "as Greenhouse said"]) == 0
    assert cli.run(["notices", "drop", "1", "3", "--reason", "a mistake"]) == 0
    reasons = {
        number: [done["reason"] for done in document(capsys, "notices", "show", str(number))["notice"]["actions"]]
        for number in (1, 2, 3)
    }
    assert reasons == {1: ["a mistake"], 2: ["as Greenhouse said"], 3: ["a mistake"]}
    assert statuses(held)[:3] == [Status.DROPPED, Status.PENDING, Status.DROPPED]


def test_a_notice_is_shown_as_it_would_be_sent(held: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """What is read before the release is what is sent after it, and reading changes nothing."""
    before = asyncio.run(rows(held, NOTICE))
    assert cli.run(["notices", "show", "1"]) == 0
    assert before[0]["text"].rstrip() in capsys.readouterr().out
    assert asyncio.run(rows(held, NOTICE)) == before
    assert cli.run(["notices", "release", "1"]) == 0
    after = asyncio.run(rows(held, NOTICE))[0]
    assert [after[part] for part in ("recipient", "subject", "text", "html", "message_id")] == [
        before[0][part] for part in ("recipient", "subject", "text", "html", "message_id")
    ]


@pytest.mark.parametrize("command", ["release", "drop"])
def test_a_script_must_say_all(held: Database, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Without numbers and without a terminal nothing happens."""
    assert cli.run(["notices", command]) == 2
    assert cli.run(["notices", command, "1", "--all"]) == 2
    assert "or --all" in capsys.readouterr().err
    assert statuses(held)[:3] == [Status.HELD] * 3
    assert asyncio.run(rows(held, OPERATOR_ACTION)) == []


@pytest.mark.parametrize(
    ("command", "question", "answer", "expected"),
    [
        ("release", "Send all that are held (3 notices)?", True, Status.PENDING),
        ("release", "Send all that are held (3 notices)?", False, Status.HELD),
        ("drop", "Never send all that are held (3 notices)?", True, Status.DROPPED),
        ("drop", "Never send all that are held (3 notices)?", False, Status.HELD),
    ],
)
def test_a_person_is_asked(
    held: Database, monkeypatch: pytest.MonkeyPatch, command: str, question: str, answer: bool, expected: Status
) -> None:
    """On a terminal: how many, and only then all of them."""
    asked = []

    def confirm(question: str, abort: bool) -> None:
        asked.append(question)
        if not answer:
            raise notices.typer.Abort

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(notices.typer, "confirm", confirm)
    assert (cli.run(["notices", command]) == 0) == answer
    assert asked == [question]
    assert statuses(held)[:3] == [expected] * 3


@pytest.mark.parametrize("terminal", ["stdin", "stdout"])
@pytest.mark.parametrize("command", ["release", "drop"])
def test_half_a_terminal_is_none(held: Database, monkeypatch: pytest.MonkeyPatch, command: str, terminal: str) -> None:
    """Where the question cannot be read, or not be answered, --all has to be said."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal == "stdin")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal == "stdout")
    assert cli.run(["notices", command]) == 2
    assert statuses(held)[:3] == [Status.HELD] * 3
