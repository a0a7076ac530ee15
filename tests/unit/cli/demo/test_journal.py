import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.credential import Token
from checks.v3.token_answers import expiry_of
from monitor.cli.demo.journal import NAME, AdminAction, Verb, open_journal
from monitor.cli.demo.setup import set_up
from monitor.errors import ConfigurationError

UNTICKED = AdminAction(Verb.UNTICK, "globex", ("GET: List offers",))
OFFERS = "GET /v1/offers"
NOW = datetime(2026, 11, 30, 8, 15, tzinfo=UTC)


def _cut_off(folder: Path, *actions: AdminAction) -> None:
    """The folder of a demo that was killed after these actions."""
    with open_journal(folder) as journal:
        journal.restart(NOW)
        for action in actions:
            journal.add(action)
        left = (folder / NAME).read_text()
    (folder / NAME).write_text(left)


def test_actions_before_a_kill_are_repeated_in_the_new_sandbox(tmp_path: Path) -> None:
    """The sandbox forgets them: Globex is without what its admin unticked, and has what was ticked since."""
    _cut_off(tmp_path, UNTICKED)
    with open_journal(tmp_path) as journal:
        assert journal.is_cut_off
        assert OFFERS not in set_up(journal).sandbox.key("globex").ticked
    _cut_off(tmp_path, UNTICKED, AdminAction(Verb.TICK, "globex", ("GET: List offers",)))
    with open_journal(tmp_path) as journal:
        assert OFFERS in set_up(journal).sandbox.key("globex").ticked


def test_the_script_repeats_no_action(tmp_path: Path) -> None:
    """What was ticked again stays ticked: otherwise it would be lost a second time."""
    _cut_off(tmp_path, UNTICKED, AdminAction(Verb.TICK, "globex", ("GET: List offers",)))
    with open_journal(tmp_path) as journal:
        setup = set_up(journal)
        setup.do(Verb.UNTICK, "globex", "GET: List offers")
        assert OFFERS in setup.sandbox.key("globex").ticked
        setup.do(Verb.UNTICK, "initech", "GET: List Candidates")
        assert "GET /v1/candidates" not in setup.sandbox.key("initech").ticked
        assert len(journal.actions) == 3


def test_an_incomplete_line_is_ignored(tmp_path: Path) -> None:
    """Its action was not carried out yet."""
    _cut_off(tmp_path)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"verb": "unti')
    with open_journal(tmp_path) as journal:
        assert (journal.is_cut_off, journal.actions) == (True, [])
        journal.add(UNTICKED)
        assert (tmp_path / NAME).read_text().splitlines()[1:] == [json.dumps(asdict(UNTICKED))]


def test_a_demo_that_ended_is_over_and_its_emails_are_kept(tmp_path: Path) -> None:
    """The next one starts over, in a folder with nothing but the emails of those before it."""
    with open_journal(tmp_path / "demo") as journal:
        journal.restart(NOW)
        (journal.folder / "mail").mkdir()
        (journal.folder / "mail" / "a.eml").touch()
        (journal.folder / "service.log").touch()
    with open_journal(tmp_path / "demo") as journal:
        assert not journal.is_cut_off
        journal.restart(NOW)
        kept = journal.folder / "mail-until-2026-11-30-081500"
        assert sorted(path.name for path in journal.folder.iterdir()) == [NAME, kept.name]
        assert [path.name for path in kept.iterdir()] == ["a.eml"]
        journal.restart(NOW + timedelta(days=1))  # without emails nothing is put aside
        assert sorted(path.name for path in journal.folder.iterdir()) == [NAME, kept.name]


def test_a_folder_has_one_demo_at_a_time(tmp_path: Path) -> None:
    """The running one is not disturbed."""
    with open_journal(tmp_path), pytest.raises(ConfigurationError, match="a demo is running in"):
        with open_journal(tmp_path):
            pass


def test_no_demo_outlives_its_tokens(tmp_path: Path) -> None:
    """Keys and tokens are in files that only their owner can read; a token lasts for months."""
    with open_journal(tmp_path) as journal:
        sandbox = set_up(journal).sandbox
    held = list((tmp_path / "keys").iterdir())
    assert {file.stat().st_mode & 0o777 for file in held} == {0o600}
    tokens = [Token(file.read_text().strip()) for file in held if file.suffix == ".token"]
    assert len(tokens) == len(sandbox.select(sandbox.clients, None)) == 6
    in_half_a_year = datetime.now(UTC) + timedelta(days=180)
    assert all(ends is not None and ends > in_half_a_year for ends in map(expiry_of, tokens))


def test_another_folder_with_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ConfigurationError, match="is not empty and not from an earlier demo"), open_journal(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
