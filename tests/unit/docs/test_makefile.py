"""The Makefile finds a Python that is new enough, whatever it is called here."""

import shutil
import subprocess
from pathlib import Path

from tests.paths import ROOT

MAKE = shutil.which("make")


def found(folder: Path, **versions: tuple[int, int]) -> str:
    """Which one it takes, where only these are installed; each says of itself which version it is."""
    for path in folder.iterdir():
        path.unlink()
    for name, version in versions.items():
        # Called as `python -c 'sys.exit(sys.version_info < (3, 11))'`: by whether it is older.
        (folder / name).write_text(f"#!/bin/sh\nexit {int(version < (3, 11))}\n")
        (folder / name).chmod(0o755)
    assert MAKE is not None
    command = [MAKE, "-C", str(ROOT), "-s", "--no-print-directory", "--eval", "python:; @echo [$(PYTHON)]", "python"]
    done = subprocess.run(command, env={"PATH": f"{folder}"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().strip("[]")


def test_make_takes_the_first_python_that_is_new_enough(tmp_path: Path) -> None:
    """An old `python3`, as on some systems, is none."""
    assert found(tmp_path, python3=(3, 13)) == "python3"
    assert found(tmp_path, **{"python3": (3, 9), "python3.12": (3, 12)}) == "python3.12"
    assert found(tmp_path, **{"python3": (3, 13), "python3.11": (3, 11)}) == "python3.11"
    assert found(tmp_path, python3=(3, 9)) == ""
