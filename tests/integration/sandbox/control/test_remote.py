"""The commands that control a sandbox in another process: what they send, and where they connect to."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor import cli
from monitor.errors import ConfigurationError, StoreError
from monitor.sandbox.control.remote import Remote
from monitor.sandbox.sandbox import Sandbox
from monitor.store.database import Database
from monitor.store.sqlite_file import write_lock
from tests.background_server import background_sandbox


@pytest.fixture
def sandbox() -> Sandbox:
    made = Sandbox()
    for name in ("acme", "globex"):
        made.add_account(name)
    return made


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    with background_sandbox(sandbox) as address:
        yield address


class SandboxCommand:
    """What a command prints with --json, or its error."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self._capsys = url, capsys

    def __call__(self, *arguments: str) -> Any:
        assert cli.run(["sandbox", *arguments, "--url", self.url, "--json"]) == 0, self._capsys.readouterr().err
        return json.loads(self._capsys.readouterr().out)

    def refused(self, *arguments: str) -> str:
        assert cli.run(["sandbox", *arguments, "--url", self.url]) == 2
        return self._capsys.readouterr().err


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str]) -> SandboxCommand:
    return SandboxCommand(url, capsys)


def test_presets_are_activated_for_some_and_cleared(run: SandboxCommand) -> None:
    """For each named account, with a time and a share; `clear` ends those for one, or all."""
    shown = run("weather", "blocked", "--account", "acme", "--account", "globex", "--for", "2m", "--share", "0.5")
    assert [(each["weather"], each["account"], each["share"]) for each in shown["faults"]] == [
        ("blocked", "acme", 0.5),
        ("blocked", "globex", 0.5),
    ]
    assert all(100 < each["ends_in"] <= 120 for each in shown["faults"])
    shown = run("weather", "mail-greylisting", "--recipient", "dana@vendor.example")
    assert [(each["weather"], each["recipient"]) for each in shown["mail_faults"]] == [
        ("mail-greylisting", "dana@vendor.example")
    ]
    assert [each["account"] for each in run("weather", "clear", "--account", "acme")["faults"]] == ["globex"]
    assert run("weather", "clear") == {"faults": [], "mail_faults": []}
    assert len(run("weather")["weathers"]) == 18


def test_faults_are_added_listed_and_ended(run: SandboxCommand) -> None:
    """Details are given as NAME=VALUE; a fault ends by its number, its account, its recipient, or with all others."""
    run("fault", "add", "slow", "seconds=0.5", "prefix=/v1/jobs", "--account", "acme", "--times", "3")
    run("fault", "add", "rate_limited", "headers=false")
    shown = run("fault", "add-mail", "answer", "text=452 4.2.2 Mailbox full", "--recipient", "dana@vendor.example")
    first, second = shown["faults"]
    assert (first["seconds"], first["prefix"], first["times"], second["headers"]) == (0.5, "/v1/jobs", 3, False)
    assert shown["mail_faults"][0]["text"] == "452 4.2.2 Mailbox full"
    assert [each["number"] for each in run("fault", "clear", "2")["faults"]] == [1]
    assert run("fault", "clear", "--account", "acme")["faults"] == []
    assert run("fault", "list")["mail_faults"] == shown["mail_faults"]
    assert run("fault", "clear") == {"faults": [], "mail_faults": []}


def test_the_table_says_what_narrows_a_fault(run: SandboxCommand, capsys: pytest.CaptureFixture[str]) -> None:
    """It distinguishes two faults of a kind by method and path, or by the step of a delivery."""
    run("fault", "add", "slow", "method=POST", "prefix=/v1/jobs")
    run("fault", "add", "slow")
    run("fault", "add-mail", "answer", "step=data")
    run("fault", "add-mail", "refused")
    assert cli.run(["sandbox", "fault", "list", "--url", run.url]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[3] for row in rows] == ["slow on POST /v1/jobs", "slow", "answer at data", "refused"]


def ticked(sandbox: Sandbox, endpoint: str) -> list[str]:
    """The keys that may use it."""
    keys = [key for account in sandbox.accounts.values() for key in sandbox.keys.of(account)]
    return [f"{key.account.name}: {key.label}" for key in keys if endpoint in key.ticked]


def test_permissions_are_unticked_and_ticked(sandbox: Sandbox, run: SandboxCommand) -> None:
    """For each named account, for one of several keys by its label, or for all at once."""
    for account, label in (("acme", "Old"), ("acme", "New"), ("globex", "Old")):
        sandbox.add_key(account, ["GET /v1/jobs", "GET /v1/users"], label=label)
    shown = run("untick", "GET /v1/jobs", "GET /v1/users", "--account", "acme", "--key", "New")
    assert [(key["account"], key["label"], key["granted"]) for key in shown["keys"]] == [("acme", "New", 0)]
    assert ticked(sandbox, "GET /v1/jobs") == ["acme: Old", "globex: Old"]
    run("untick", "GET /v1/jobs", "--key", "Old")
    assert ticked(sandbox, "GET /v1/jobs") == []
    run("tick", "GET /v1/jobs", "--account", "globex", "--account", "acme", "--key", "Old")
    assert ticked(sandbox, "GET /v1/jobs") == ["acme: Old", "globex: Old"]


def test_keys_are_killed_and_enabled(sandbox: Sandbox, run: SandboxCommand, capsys: pytest.CaptureFixture[str]) -> None:
    """One account's key, or all; the table shows their state then. Accounts without a key are skipped."""
    sandbox.add_account("hooli")
    keys = [sandbox.add_key(name) for name in ("acme", "globex")]
    run("kill", "--account", "acme")
    assert [key.dead for key in keys] == [True, False]
    assert [key["dead"] for key in run("kill")["keys"]] == [True, True]
    assert cli.run(["sandbox", "enable", "--account", "globex", "--url", run.url]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split("\t") == ["globex", "Harvest API Key", "live", "144"]
    assert [key.dead for key in keys] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["GET /v1/jobs", "--account", "umbrella"], "there is no account 'umbrella' in the sandbox; there are: acme"),
        (["GET /v1/job", "--account", "globex"], "did you mean GET /v1/jobs"),
        (["GET /v1/jobs", "--account", "acme"], "account acme has 2 keys: name one by its label ('Old', 'New')"),
        (["GET /v1/jobs", "--account", "acme", "--key", "Odd"], "account acme has no key 'Odd': name one by its label"),
        (["GET /v1/jobs"], "account acme has 2 keys"),
        (["GET /v1/jobs", "--key", "New"], "account globex has no key 'New'"),
    ],
)
def test_what_cannot_be_unticked_is_an_error(
    sandbox: Sandbox, run: SandboxCommand, arguments: list[str], words: str
) -> None:
    """The message says what to do; of several keys either all are changed or none."""
    for account, label in (("acme", "Old"), ("acme", "New"), ("globex", "Old")):
        sandbox.add_key(account, label=label)
    for command in ("untick", "tick"):
        assert words in " ".join(run.refused(command, *arguments).split())
    assert len(ticked(sandbox, "GET /v1/jobs")) == 3


@pytest.mark.parametrize("command", [["untick", "GET /v1/jobs"], ["tick", "GET /v1/jobs"], ["kill"], ["enable"]])
def test_a_sandbox_that_does_not_run_is_an_error(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The message says how to start one, and how to name it."""
    assert cli.run(["sandbox", *command, "--url", "http://127.0.0.1:1"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no sandbox answers at http://127.0.0.1:1" in said
    assert "start one with `harvest-monitor sandbox`, or give its address with --url" in said


def test_mails_are_listed_and_shown(sandbox: Sandbox, run: SandboxCommand, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands show what the mail server accepted: the recipient, and the text."""
    raw = b"Subject: Missing\r\nTo: dana@vendor.example\r\n\r\nHello Dana\r\n"
    for reader in ("dana@vendor.example", "lee@vendor.example"):
        sandbox.mailbox.accept("monitor@vendor.example", [reader], encrypted=True, raw=raw)
    found = run("mails", "--recipient", "lee@vendor.example")
    assert (found["count"], [mail["number"] for mail in found["mails"]]) == (2, [2])
    assert (found["mails"][0]["subject"], found["mails"][0]["encrypted"]) == ("Missing", True)
    assert run("mails", "1")["text"] == "Hello Dana\n"
    assert "there is no such mail" in run.refused("mails", "7")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["weather", "hail"], "the sandbox refuses: invalid body: there is no weather 'hail'"),
        (["weather", "blocked", "--for", "soon"], "must be seconds as a number, or a text such as 90s"),
        (["weather", "blocked", "--account", "umbrella"], "there is no account 'umbrella'"),
        (["fault", "add", "slow", "seconds"], "'seconds' must be NAME=VALUE"),
        (["fault", "add", "slow", "speed=1"], "speed: is not known here"),
        (["fault", "clear", "1", "--account", "acme"], "or nothing to end all"),
    ],
)
def test_a_mistake_is_said_in_words(run: SandboxCommand, arguments: list[str], words: str) -> None:
    """The command's own mistakes and the sandbox's refusals have exit status 2 and activate nothing."""
    assert words in " ".join(run.refused(*arguments).split())
    assert run("fault", "list") == {"faults": [], "mail_faults": []}


def test_options_for_starting_do_not_select_a_running_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    """`--port` before a command could be mistaken for the sandbox to control, so it is refused."""
    assert cli.run(["sandbox", "--port", "9000", "weather"]) == 2
    assert "weather finds a running one by --url" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "url",
    [
        "https://harvest.greenhouse.io",
        "http://harvest.greenhouse.io",
        "http://192.0.2.7:8765",
        "https://127.0.0.1:8765",
        "http://127.0.0.1.evil.example:8765",
        "http://127.0.0.1@evil.example:8765",
        "http://user:password@127.0.0.1:8765",
        "http://127.0.0.1:8765/v1",
        "http://127.0.0.1:99999",
        "http://[::1",
        "file:///etc/passwd",
        "8765",
    ],
)
def test_it_connects_to_this_machine_only(url: str) -> None:
    """Any address that is not a sandbox's on loopback is refused before connecting."""
    with pytest.raises(ConfigurationError, match="an address on this machine, such as"):
        Remote(url)


def test_a_name_that_leads_elsewhere_gets_no_request(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even `localhost` can resolve to another machine: the peer is checked before a request is sent."""
    monkeypatch.setattr("monitor.sandbox.control.remote.is_loopback", lambda host: host == "localhost")
    with pytest.raises(ConfigurationError, match="localhost is not on this machine"):
        Remote(url.replace("127.0.0.1", "localhost")).get("/trouble")


def test_the_address_of_the_page_works(url: str) -> None:
    """An address copied from the browser is accepted."""
    for address in (url, f"{url}/", f"{url}/_sandbox", f"{url}/_sandbox/"):
        assert Remote(address).get("/trouble")["faults"] == []


def test_no_sandbox_there_is_an_error() -> None:
    """The message says how to start one."""
    with pytest.raises(ConfigurationError, match=r"no sandbox answers at http://127.0.0.1:1 .*harvest-monitor sandbox"):
        Remote("http://127.0.0.1:1").get("/trouble")


async def test_a_database_is_locked_and_unlocked(sqlite: Database) -> None:
    """While it is locked nobody else can begin to write; its contents do not change."""
    file = Path(sqlite.url.database or "")
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
        with write_lock(file):
            assert other.execute("SELECT count(*) FROM tenant").fetchone() == (0,)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            with (
                pytest.raises(StoreError, match=r"cannot be locked \(database is locked\)"),
                write_lock(file, timeout=0),
            ):
                pass
        other.execute("BEGIN IMMEDIATE")


def test_only_a_database_of_harvest_monitor_is_locked(tmp_path: Path) -> None:
    """Another program's database, another kind of file, and a missing one are left as they are."""
    stranger, text, missing = tmp_path / "stranger.sqlite3", tmp_path / "notes.txt", tmp_path / "missing.sqlite3"
    with closing(sqlite3.connect(stranger)) as conn:
        conn.execute("CREATE TABLE tenant (id)")
    text.write_text("notes")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for file, words in ((stranger, "is not a Harvest Monitor database"), (text, "cannot be"), (missing, "cannot be")):
        with pytest.raises(StoreError, match=words), write_lock(file):
            pass
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_lock_has_an_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error cannot lock a service's database for longer than an hour."""
    assert cli.run(["sandbox", "hold-database", str(tmp_path / "x.sqlite3"), "--for", "2h"]) == 2
    assert "at most an hour" in capsys.readouterr().err
