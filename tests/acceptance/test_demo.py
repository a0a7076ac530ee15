"""The demo, as a newcomer runs it, kills it, goes on with it and ends it."""

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from monitor.sandbox.control.remote import Remote
from tests.command import COMMAND, SECONDS, bare_environment, run, run_json, until


@dataclass(frozen=True)
class Played:
    """A demo that was killed once its first email was sent, and the next one, in which an admin unticks one more
    permission after the story, until Ctrl-C.
    """

    folder: Path
    first_emails: frozenset[str]
    in_use: subprocess.CompletedProcess[str]
    status: int
    said: str

    @property
    def live(self) -> str:
        """What was said between the story and Ctrl-C."""
        return self.said.partition("Ctrl-C ends the demo.\n")[2].partition("\nThe demo has ended")[0]

    def ask(self, *arguments: str) -> Any:
        return run_json(self.folder.parent, *arguments, config=self.folder / "harvest-monitor.toml")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One for all tests: it takes most of a minute."""
    here = tmp_path_factory.mktemp("newcomer")
    folder = here / "demo"
    first = _demo(here, "first.log", database_url="postgresql://nobody@production.example/monitor")
    until(lambda: any((folder / "mail").glob("*.eml")))
    emails = frozenset(path.name for path in (folder / "mail").glob("*.eml"))
    in_use = run(here, "demo")
    first.kill()
    first.wait()
    second = _demo(here, "second.log")
    try:
        until(lambda: "Ctrl-C ends the demo." in (here / "second.log").read_text("utf-8"))
        (url,) = re.findall(r"(\S+)/_sandbox/", (here / "second.log").read_text("utf-8"))
        Remote(url).post("/revoke", {"account": "acme", "endpoints": ["GET /v1/jobs"]})
        until(lambda: "emailed  Acme Corp: " in (here / "second.log").read_text("utf-8"))
        second.send_signal(signal.SIGINT)
        status = second.wait(timeout=SECONDS)
    finally:
        second.kill()
    return Played(folder, emails, in_use, status, (here / "second.log").read_text("utf-8"))


def _demo(here: Path, log: str, **settings: object) -> subprocess.Popen[bytes]:
    environment = bare_environment(here, settings) | {"PYTHONUNBUFFERED": "1"}
    with (here / log).open("wb") as output:
        return subprocess.Popen([str(COMMAND), "demo"], cwd=here, env=environment, stdout=output, stderr=output)


def test_a_killed_demo_says_what_it_finds_and_continues(played: Played) -> None:
    """kill -9 once emails are sent: in the end every event is there once, and every email was written.

    Tokens end with the sandbox that issued them; their tenants do not fail, as the next sandbox issues new ones.
    """
    assert (played.in_use.returncode, played.status) == (2, 0)
    assert "a demo is running in" in played.in_use.stderr
    assert "An earlier demo was cut off here." in played.said
    assert re.search(r"^   \d+ changes recorded, \d+ of them not in an email yet$", played.said, re.M)
    assert re.search(r"^   http://127.0.0.1:\d+/sign-in/link/hml_\S+$", played.said, re.M)
    assert re.search(r"^   \d+ emails? sent$", played.said, re.M)
    events = played.ask("history")["events"]
    facts = [(event["tenant_id"], event["kind"], event["permission_id"], event["state"]) for event in events]
    assert len(set(facts)) == len(facts)
    assert [kind for tenant, kind, *_ in facts if tenant in ("globex", "initech")].count("lost") == 4
    failed = sorted((tenant, kind, state) for tenant, kind, permission, state in facts if permission is None)
    assert failed == [
        ("umbrella", "found", "invalid"),
        ("weyland", "credential_failed", "retired"),
        ("weyland", "credential_failed", "unreachable"),
    ]
    lines = played.ask("tenants", "list")["tenants"]
    states = {line["id"]: (line["kinds"], line["state"]) for line in lines}
    assert states["oscorp"] == states["cyberdyne"] == (["harvest-oauth"], "ok")
    assert states["weyland"] == (["harvest-key"], "retired")
    notices = played.ask("notices", "list")["notices"]
    sent = [notice for notice in notices if notice["status"] == "sent"]
    assert {notice["status"] for notice in notices} == {"sent", "held"}
    assert len(list((played.folder / "mail").glob("*.eml"))) == len(sent) > len(played.first_emails)


def test_after_the_story_it_shows_what_is_found_and_emailed(played: Played) -> None:
    """An admin unticks one more: what is lost, the email about it, and where that email is; each once."""
    (lost,) = re.findall(r"^   \d\d:\d\d:\d\dZ  lost     Acme Corp: (.*)$", played.live, re.M)
    (emailed,) = re.findall(r"^   \d\d:\d\d:\d\dZ  emailed  (Acme Corp: .*) \(to dana.reyes@\S+\)$", played.live, re.M)
    (file,) = re.findall(r"^   (\S+/acme-\S+)$", played.live, re.M)
    assert (lost, "List jobs" in emailed) == ("GET: List jobs", True)
    assert (played.folder.parent / file).is_file()


def test_the_end_says_what_stays_and_how_to_go_on(played: Played) -> None:
    """The database, the emails and the log with their places; and the commands that it names work."""
    end = played.said.partition("\nThe demo has ended")[2]
    for name in re.findall(r"^   (\S+)  ", end, re.M):
        assert (played.folder / name).exists(), name
    assert f"{len(list((played.folder / 'mail').glob('*.eml')))} emails" in end
    (export, command, again) = re.findall(r"^   (export .*|\S*harvest-monitor .*)$", end, re.M)
    assert again.endswith("harvest-monitor demo")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{export}\n{command}"],
        cwd=played.folder.parent,
        env=bare_environment(played.folder.parent, {}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stdout.splitlines()[0].split("\t")[0]) == (0, "AT")


def test_hints_begin_with_one_export_and_fit_the_terminal(played: Played) -> None:
    """Nothing of the story or the hints is wider than 80 columns, but for the link that signs in."""
    hints = re.findall(r"What to try next.*\n((?:   .*\n)+)", played.said)[0].splitlines()
    assert hints[0] == '   export HARVEST_MONITOR_CONFIG="$PWD"/demo/harvest-monitor.toml'
    assert len(hints) > 4
    assert not any("export" in hint or "HARVEST_MONITOR_" in hint for hint in hints[1:])
    story = played.said.partition("\nThe pages")[2].partition("\nFrom now on, live:")[0]
    assert [line for line in story.splitlines() if cell_len(line) > 80 and "/sign-in/link/" not in line] == []


def test_settings_of_the_shell_are_left_aside(played: Played) -> None:
    """Somebody who has a real installation at hand does not fill its database with the demo's customers."""
    said = (played.folder.parent / "first.log").read_text("utf-8")
    assert "these are left aside: HARVEST_MONITOR_DATABASE_URL" in said
