"""docs/dependencies.md has a reason for every dependency, and the lock files pin them all by hash."""

import re
import tomllib

import pytest

from tests.paths import ROOT

PAGE = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NEEDED = {
    "The service": PROJECT["project"]["dependencies"],
    "Tests": PROJECT["dependency-groups"]["dev"],
    "Building": PROJECT["dependency-groups"]["build"],
}
LOCKED = {
    "requirements.lock": ["The service"],
    "requirements-dev.lock": ["The service", "Tests"],
    "requirements-build.lock": ["Building"],
}
PINNED = re.compile(r"([a-z0-9-]+)==([0-9][\w.!]*)((?: --hash=sha256:[0-9a-f]{64})+)")


def names(requirements: list[str]) -> list[str]:
    return [re.split(r"[^\w.-]", text)[0].lower() for text in requirements]


def pins(file: str) -> dict[str, str]:
    """The version of each package; a line that is no pin with hashes is an error."""
    text = re.sub(r" \\\n +", " ", (ROOT / file).read_text("utf-8"))
    lines = [line for line in text.splitlines() if not re.match(r" *#", line)]
    found = [PINNED.fullmatch(line) for line in lines]
    assert [line for line, pin in zip(lines, found, strict=True) if pin is None] == []
    return {pin[1]: pin[2] for pin in found if pin is not None}


@pytest.mark.parametrize("heading", NEEDED)
def test_every_dependency_is_told_with_a_reason_and_no_other(heading: str) -> None:
    """The table under each heading has the packages that pyproject.toml names for it."""
    table = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    told = re.findall(r"^\| `([\w.-]+)` \| \w.* \|.*\|$", table, re.M)
    assert sorted(told) == sorted(names(NEEDED[heading]))


@pytest.mark.parametrize("file", LOCKED)
def test_every_locked_package_is_pinned_by_hash(file: str) -> None:
    """A lock file holds pins with hashes and nothing else: no address and no option; what is needed is in it."""
    assert "://" not in (ROOT / file).read_text("utf-8")
    assert set(pins(file)) >= {name for part in LOCKED[file] for name in names(NEEDED[part])}


def test_a_package_has_one_version_in_all_lock_files() -> None:
    """What is tested is what is installed."""
    versions: dict[str, set[str]] = {}
    for file in LOCKED:
        for name, version in pins(file).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
