"""The start of the command."""

import subprocess
import sys

from monitor.version import VERSION
from tests.paths import ROOT


def test_the_collector_rests_while_modules_are_imported_and_no_longer() -> None:
    """What is imported is set aside for good, and what a command makes is collected."""
    script = (
        "import gc, monitor.cli, monitor.__main__ as start\n"
        "monitor.cli.main = lambda: print(gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
        "start.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_the_package_runs_as_the_command_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == f"harvest-monitor {VERSION}\n"
