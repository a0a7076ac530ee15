"""Whether the files of our packages are those that were installed: their names are common (docs/decisions/0009)."""

import base64
import hashlib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath, distribution, packages_distributions
from pathlib import Path

from monitor.upkeep.finding import DoctorArea, HealthFinding

NAME = "harvest-monitor"
PACKAGES = ("checks", "monitor", "templates")
_NEXT_STEP = "install harvest-monitor again, in a virtual environment of its own (README, step 1)"
_SHOWN = 3


def of_distribution(found: Distribution | None = None) -> Iterator[HealthFinding]:
    """Nothing is found in a working copy, which pip lists no files of."""
    ours = found or distribution(NAME)
    listed = {str(file): file for file in ours.files or () if file.parts[0] in PACKAGES}
    if not listed:
        return
    changed = sorted(name for name, file in listed.items() if not _is_as_installed(file))
    if changed:
        yield _finding(f"{_names(changed)} of this program is not as it was installed")
    foreign = sorted({*_files_there(Path(str(ours.locate_file("")))), *listed} - listed.keys())
    if foreign:
        owners = {owner for name in PACKAGES for owner in packages_distributions().get(name, ())} - {NAME}
        whose = f" ({', '.join(sorted(owners))})" if owners else ""
        yield _finding(f"files of another program are among this one's{whose}: {_names(foreign)}")


def _finding(problem: str) -> HealthFinding:
    return HealthFinding(DoctorArea.INSTALLATION, problem, _NEXT_STEP)


def _is_as_installed(file: PackagePath) -> bool:
    if file.hash is None:  # what Python compiled
        return True
    try:
        digest = hashlib.new(file.hash.mode, file.read_binary()).digest()
    except OSError:
        return False
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value


def _files_there(site: Path) -> Iterator[str]:
    for package in PACKAGES:
        for file in (site / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(site).as_posix()


def _names(files: list[str]) -> str:
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(files[:_SHOWN]) + more
