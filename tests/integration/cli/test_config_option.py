"""`--config FILE`: the file with settings, for every command, in front of it or behind it."""

import json
from pathlib import Path

import pytest

from tests.command import run_here

SETTINGS = 'tenants = "nowhere.yaml"\nmanifest = "{manifest}"\n'


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two files of settings: `right.toml`, and `other.toml`, whose manifest does not exist."""
    (tmp_path / "right.toml").write_text(SETTINGS.format(manifest="gem"))
    (tmp_path / "other.toml").write_text(SETTINGS.format(manifest="no-such-manifest"))
    return tmp_path


def test_it_is_taken_in_front_of_the_command_and_behind_it(files: Path) -> None:
    """And it goes over the variable HARVEST_MONITOR_CONFIG."""
    for arguments in (
        ["--config", "right.toml", "manifest", "show"],
        ["manifest", "show", "--config", "right.toml"],
        ["manifest", "--config=right.toml", "show"],
    ):
        shown = run_here(files, *arguments, config="other.toml")
        assert (shown.returncode, "GET: List offers" in shown.stdout) == (0, True), arguments
    assert "no-such-manifest" in run_here(files, "manifest", "show", config="other.toml").stderr


def test_a_file_that_is_not_there_is_an_error_that_names_it(files: Path) -> None:
    """Status 2, also for a command that would need no setting; `check --json` prints its document all the same."""
    for arguments in (["--config", "gone.toml", "status"], ["manifest", "show", "gem", "--config", "gone.toml"]):
        result = run_here(files, *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("error: --config: there is no file gone.toml: correct the path\n")
    document = json.loads(run_here(files, "--config", "gone.toml", "check", "--json").stdout)
    assert document["errors"] == [{"message": "--config: there is no file gone.toml: correct the path"}]


def test_a_mistake_in_the_file_is_told_with_its_name(files: Path) -> None:
    (files / "wrong.toml").write_text("intervall = 3\n")
    result = run_here(files, "status", "--config", "wrong.toml")
    assert (result.returncode, result.stderr) == (
        2,
        "error: wrong.toml: intervall: is not a setting: did you mean interval?\n",
    )
