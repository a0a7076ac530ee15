"""Completion in the shells themselves: what Tab offers after the script of `--show-completion` is loaded."""

import asyncio
import os
import shutil
import subprocess
import time
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

from monitor import cli
from monitor.clock import utc_now
from monitor.config.settings import PREFIX
from monitor.store.database import Database
from tests.cases import for_each
from tests.command import COMMAND, bare_environment
from tests.fleet import settle_fleet
from tests.real_part import PartUnavailable, real_part

# Each asks for the values of an option that begin with `o`, as Tab does. zsh completes only at a terminal: here
# `_arguments`, to which the script hands what it found, prints it.
SHELLS = {
    "bash": """
        source ./script
        COMP_WORDS=(harvest-monitor check --write-probes o); COMP_CWORD=3; _harvest_monitor_completion harvest-monitor
        echo "${COMPREPLY[*]}"
    """,
    "zsh": """
        compdef() { true; }
        _arguments() { print -r -- "${${1##*\\(\\(}%%\\)*}"; }
        source ./script
        words=(harvest-monitor check --write-probes o); CURRENT=4; _harvest_monitor_completion
    """,
    "fish": """
        source ./script
        complete --do-complete "harvest-monitor check --write-probes o"
    """,
}


@for_each(list(SHELLS))
def test_tab_offers_what_fits(shell: str, tmp_path: Path) -> None:
    """After the script that `--show-completion` and `--install-completion` print and install for this shell."""
    program = _required(shell)
    with patch.dict(os.environ, {"_HARVEST_MONITOR_COMPLETE": f"source_{shell}"}), redirect_stdout(StringIO()) as out:
        assert cli.run([]) == 0
    (tmp_path / "script").write_text(out.getvalue())
    done = subprocess.run(
        [program, "-c", SHELLS[shell]],
        cwd=tmp_path,
        env={**bare_environment(tmp_path, {}), "PATH": f"{COMMAND.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout.strip('" \n'), done.stderr) == ("off", "")


def _required(shell: str) -> str:
    with real_part():
        if (program := shutil.which(shell)) is None:
            raise PartUnavailable(f"there is no {shell}: install Debian's package of that name")
    return program


def offered(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Tab offers at the end of this line, by the protocol of the script for bash."""
    words = line.split(" ")
    monkeypatch.setenv("_HARVEST_MONITOR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert cli.run([]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out.split()


def test_ids_of_tenants_and_names_of_manifests_are_offered(
    installed: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a command takes one."""
    fleet = {"acme": "healthy", "apex": "drifted", "globex": "healthy"}
    asyncio.run(settle_fleet(installed, fleet, utc_now() - timedelta(hours=3)))
    commands = (
        "check",
        "tenants show",
        "tenants recheck globex",
        "tenants days",
        "history --tenant",
        "report --tenant",
    )
    for begun in commands:
        assert offered(f"harvest-monitor {begun} a", capsys, monkeypatch) == ["acme", "apex"], begun
    assert offered("harvest-monitor manifest show g", capsys, monkeypatch) == ["gem"]


def test_where_ids_would_take_long_or_fail_nothing_is_offered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No database yet, one that is none, one behind a network, settings that are wrong: nothing is said."""
    (tmp_path / "none").write_text("not a database")
    for name, value in (
        ("DATABASE_URL", f"sqlite:///{tmp_path}/not-there"),
        ("DATABASE_URL", f"sqlite:///{tmp_path}/none"),
        ("DATABASE_URL", "postgresql://198.51.100.1/monitor"),
        ("INTERVAL", "often"),
    ):
        with monkeypatch.context() as given:
            given.setenv(f"{PREFIX}{name}", value)
            began = time.monotonic()
            assert offered("harvest-monitor tenants show a", capsys, given) == [], value
            assert time.monotonic() - began < 30, value
    assert not (tmp_path / "not-there").exists()
