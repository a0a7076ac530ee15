"""docs/dependencies.md has a reason for every dependency, and the lock files pin each by hash."""

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
    """The version of each package; any line that is not a pin with hashes is an error."""
    text = re.sub(r" \\\n +", " ", (ROOT / file).read_text("utf-8"))
    lines = [line for line in text.splitlines() if not re.match(r" *#", line)]
    found = [PINNED.fullmatch(line) for line in lines]
    assert [line for line, pin in zip(lines, found, strict=True) if pin is None] == []
    return {pin[1]: pin[2] for pin in found if pin is not None}


@pytest.mark.parametrize("heading", NEEDED)
def test_the_page_gives_a_reason_for_exactly_the_dependencies(heading: str) -> None:
    """The table under each heading has the packages that pyproject.toml lists for it."""
    table = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `([\w.-]+)` \| \w.* \|.*\|$", table, re.M)
    assert sorted(documented) == sorted(names(NEEDED[heading]))


@pytest.mark.parametrize("file", LOCKED)
def test_every_locked_package_is_pinned_by_hash(file: str) -> None:
    """A lock file contains only pins with hashes, no address or option, and everything that is needed."""
    assert "://" not in (ROOT / file).read_text("utf-8")
    assert set(pins(file)) >= {name for part in LOCKED[file] for name in names(NEEDED[part])}


def test_a_package_has_one_version_in_all_lock_files() -> None:
    """What is tested is what is installed."""
    versions: dict[str, set[str]] = {}
    for file in LOCKED:
        for name, version in pins(file).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
