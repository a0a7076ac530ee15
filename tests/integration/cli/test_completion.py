"""Completion in the shells themselves: what Tab offers after the script of `--show-completion` is loaded."""

import os
import shutil
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

from monitor import cli
from tests.cases import for_each
from tests.command import COMMAND, bare_environment

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
    program = shutil.which(shell)
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(f"there is no {shell}: install Debian's package of that name")
        pytest.skip(f"there is no {shell}: install Debian's package of that name")
    return program
