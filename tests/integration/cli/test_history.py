"""`history`, `history --follow` and `history verify`, as they print and end."""

import asyncio
import io
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, insert, text

from monitor import cli
from monitor.cli import history_follow
from monitor.cli.history_follow import follow
from monitor.config import settings_loader
from monitor.config.settings import PREFIX, Settings
from monitor.incidents.history_follower import HistoryFollower
from monitor.incidents.history_queries import PastEvent, Wanted
from monitor.store.database import Database
from monitor.store.tables import DRIFT_EVENT
from monitor.tenants.fingerprint_key import registered_key
from monitor.upkeep.audit.chain import AuditKey
from tests.history import an_event, prepared, record_events, sign, tamper
from tests.store import T0

WAIT_SECONDS = 60


@pytest.fixture
def signed(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Six signed events of an installation with its key, and one that is not signed yet."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{tmp_path / 'harvest-monitor.sqlite3'}")
    database = Database(settings_loader.load().database)

    async def prepare() -> None:
        await prepared(database)
        await record_events(database, 6)
        await sign(database, AuditKey.derived(await registered_key(database, settings_loader.load(), T0)))
        await record_events(database, 1)

    asyncio.run(prepare())
    yield database
    asyncio.run(database.close())


def verified(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    status = cli.run(["history", "verify", "--json", *arguments])
    return status, json.loads(capsys.readouterr().out)


# The command as it was.


def test_without_a_subcommand_it_lists_events(signed: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """With all its options, as a table, as one JSON document and as CSV."""
    assert cli.run(["history", "--tenant", "acme", "--limit", "2", "--json"]) == 0
    assert [event["id"] for event in json.loads(capsys.readouterr().out)["events"]] == [6, 7]
    assert cli.run(["history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], len(lines)) == ("AT\tTENANT\tKIND\tWHAT\tWINDOW", 8)
    assert cli.run(["history", "--csv", "--kind", "regained"]) == 0
    assert capsys.readouterr().out.startswith("id,at,kind,")


def test_options_of_history_before_a_subcommand_are_refused(
    signed: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would be ignored: every tenant is verified."""
    assert cli.run(["history", "--tenant", "acme", "verify"]) == 2
    assert "for `history` alone" in capsys.readouterr().err


# Verifying.


def test_an_intact_history_ends_with_0(signed: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what was compared, and what to note elsewhere, which a later run compares."""
    assert cli.run(["history", "verify"]) == 0
    printed = capsys.readouterr()
    assert "drift_event\t6\t0\t1\t2026-11-23 08:00:00Z\n" in printed.out
    assert "intact up to batch 2" in printed.err
    status, document = verified(capsys)
    assert (status, document["intact"], document["batches"], document["findings"]) == (0, True, 2, [])
    assert document["tables"][0] == {
        "table": "drift_event", "verified": 6, "pruned": 0, "unsigned": 1, "oldest_unsigned": T0.isoformat(),
    }  # fmt: skip
    assert verified(capsys, "--noted", document["noted"])[0] == 0
    assert verified(capsys, "--noted", "2-0123456789abcdef")[0] == 1


def test_what_was_changed_ends_with_1(signed: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """The finding names batch, table and ids; behind the batch all is well."""
    asyncio.run(tamper(signed, "DELETE FROM drift_event WHERE id = 3"))
    status, document = verified(capsys)
    assert status == 1
    assert document["findings"] == [
        {
            "problem": "removed", "message": "batch 1: 1 of its 5 rows of drift_event is gone (id 3)", "batch": 1,
            "last_batch": 1, "table": "drift_event", "first_id": 3, "last_id": 3, "signed": 5, "found": 4, "ids": [3],
        }
    ]  # fmt: skip
    assert cli.run(["history", "verify"]) == 1
    assert "removed\tbatch 1: 1 of its 5 rows" in capsys.readouterr().out
    assert verified(capsys, "--from-batch", "2")[0] == 0


def test_what_cannot_be_verified_ends_with_2(
    signed: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Another key, none that is registered, a batch that is not there, or a note that is none."""
    for arguments, message in ((["--from-batch", "9"], "no batch 9"), (["--noted", "x"], "17-2f68")):
        assert cli.run(["history", "verify", *arguments]) == 2
        assert message in capsys.readouterr().err
    key = tmp_path / "harvest-monitor.key"
    right = key.read_text()
    key.write_text("00" * 32)
    assert cli.run(["history", "verify"]) == 2
    assert "not the key" in capsys.readouterr().err
    key.write_text(right)
    asyncio.run(tamper(signed, "DELETE FROM installation"))
    assert cli.run(["history", "verify"]) == 2
    assert "no key of the installation is registered" in capsys.readouterr().err


# Following.


@asynccontextmanager
async def following(database: Database) -> AsyncIterator[None]:
    """While it prints the ids of events; it is ended by SIGTERM."""
    started = asyncio.Event()

    def show(found: Sequence[PastEvent]) -> None:
        print(*(event.id for event in found))
        started.set()

    task = asyncio.create_task(follow(database, Wanted(), show))
    try:
        await asyncio.wait_for(started.wait(), WAIT_SECONDS)
        yield
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, WAIT_SECONDS)


class Printed:
    """What was printed so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out: list[str] = []
        self.err = ""

    async def until(self, expected: list[str], in_err: str = "") -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while self.out != expected or in_err not in self.err:
                await asyncio.sleep(0.01)
                out, err = self._capsys.readouterr()
                self.out += out.split()
                self.err += err
                assert len(self.out) <= len(expected), self.out


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_follow, "POLL_SECONDS", 0.02)


async def test_new_events_are_printed_as_they_are_recorded(
    database: Database, capsys: pytest.CaptureFixture[str], quick: None
) -> None:
    """Each once, those before not at all; SIGTERM ends it."""
    await prepared(database)
    await record_events(database, 2)
    printed = Printed(capsys)
    async with following(database):
        await record_events(database, 2)
        await printed.until(["3", "4"])
        await record_events(database, 1)
        await printed.until(["3", "4", "5"])


async def test_a_database_that_is_away_is_waited_for(
    database: Database, database_url: URL, capsys: pytest.CaptureFixture[str], quick: None
) -> None:
    """It says so once, and that it is back; nothing recorded meanwhile is missed."""
    if database.is_sqlite:
        return
    await prepared(database)
    printed, other = Printed(capsys), Database(database_url.set(database="template1"))
    async with following(database):
        for allowed in ("false", "true"):
            async with other.writing() as conn:
                await conn.execute(text(f"ALTER DATABASE {database_url.database} ALLOW_CONNECTIONS {allowed}"))
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                await conn.execute(text(ended), {"name": database_url.database})
            if allowed == "false":
                await printed.until([], "waiting for the database")
        await printed.until([], "the database is back")
        await record_events(database, 1)
        await printed.until(["1"])
    await other.close()
    assert printed.err.count("waiting for the database") == printed.err.count("is back") == 1


async def test_a_closed_pipe_ends_it(sqlite: Database, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """Also while there is nothing to print."""
    reader, writer = os.pipe()
    started = asyncio.Event()
    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        task = asyncio.create_task(follow(sqlite, Wanted(), lambda found: started.set()))
        await asyncio.wait_for(started.wait(), WAIT_SECONDS)
        assert not task.done()
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            await asyncio.wait_for(task, WAIT_SECONDS)


async def test_an_event_that_commits_late_is_found(workers: list[Database]) -> None:
    """Its id is below that of events already shown."""
    one, other = workers[:2]
    if one.is_sqlite:
        return
    await prepared(one)
    follower = HistoryFollower(one, Wanted())
    await follower.start()
    async with other.writing() as late:
        await late.execute(insert(DRIFT_EVENT).values(an_event()))
        await record_events(one, 1)
        assert [event.id for event in await follower.poll()] == [2]
    assert [event.id for event in await follower.poll()] == [1]
    for _ in range(40):
        assert await follower.poll() == []


async def test_earlier_events_are_shown_if_asked_for(sqlite: Database) -> None:
    """By time or number, as without following, and never again."""
    await prepared(sqlite)
    await record_events(sqlite, 3)
    for wanted, ids in ((Wanted(), []), (Wanted(limit=2), [2, 3]), (Wanted(since=T0), [1, 2, 3])):
        follower = HistoryFollower(sqlite, wanted)
        assert [event.id for event in await follower.start()] == ids
        assert await follower.poll() == []


class InterruptedOutput(io.StringIO):
    """Ctrl-C as soon as the first events are printed."""

    interrupted = False

    def flush(self) -> None:
        if not self.interrupted:
            self.interrupted = True
            os.kill(os.getpid(), signal.SIGINT)


def test_following_prints_a_line_for_each_event(signed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON documents without line breaks, CSV, or columns between tabs; Ctrl-C ends it with status 0."""
    for options, header in ((["--json"], 0), (["--csv"], 1), ([], 1)):
        output = InterruptedOutput()
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", output)
            assert cli.run(["history", "--follow", "--limit", "2", *options]) == 0
        lines = output.getvalue().splitlines()
        assert len(lines) == header + 2, options
        if options == ["--json"]:
            assert [json.loads(line)["id"] for line in lines] == [6, 7]
