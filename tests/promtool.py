"""promtool, Prometheus' own checker of rules, rule tests and metrics."""

import shutil
import subprocess
from pathlib import Path

from tests.real_part import PartUnavailable


class PromtoolUnavailable(PartUnavailable):
    """promtool is not installed on this machine: apt-get install prometheus (Debian), or a release of Prometheus."""


class Promtool:
    def __init__(self) -> None:
        found = shutil.which("promtool")
        if found is None:
            raise PromtoolUnavailable(PromtoolUnavailable.__doc__)
        self._path = found

    def check(self, *arguments: str | Path, text: str = "") -> None:
        """AssertionError with promtool's output, if it finds anything at all."""
        done = subprocess.run([self._path, *map(str, arguments)], input=text, capture_output=True, text=True)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert "FAILED" not in output, output
