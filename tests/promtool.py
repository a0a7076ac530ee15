"""Prometheus' own checker of rules, rule tests and metrics."""

import shutil
import subprocess
from pathlib import Path


class PromtoolMissing(Exception):
    """promtool is not installed on this machine: apt-get install prometheus (Debian), or a release of Prometheus."""


class Promtool:
    def __init__(self) -> None:
        found = shutil.which("promtool")
        if found is None:
            raise PromtoolMissing(PromtoolMissing.__doc__)
        self._path = found

    def check(self, *arguments: str | Path, text: str = "") -> None:
        """AssertionError with what it says, if it finds anything at all."""
        done = subprocess.run([self._path, *map(str, arguments)], input=text, capture_output=True, text=True)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "FAILED" not in said, said
