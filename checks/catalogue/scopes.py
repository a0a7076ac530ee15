"""The scopes of Harvest v3, by the titles Greenhouse shows them under, and the lists that may be read with them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml


@dataclass(frozen=True, slots=True)
class Scope:
    """`list` is the target of the one request that reads a record of it, or None; `needs` what else that takes.

    `phrase` is what it allows as a verb phrase, where the title is not one.
    """

    name: str
    title: str
    list: str | None = None
    needs: str | None = None
    phrase: str | None = None

    @property
    def effect(self) -> str:
        """What it allows, to go on after "can no longer": `list offers`."""
        return self.phrase or f"{self.title[:1].lower()}{self.title[1:]}"

    @property
    def resource(self) -> str:
        return self.name.split(":")[1] if ":" in self.name else self.name

    @property
    def group(self) -> str:
        """Its heading in the Dev Center's list "Manage scopes", which groups by resource."""
        return self.resource.replace("_", " ").capitalize()

    @property
    def is_read(self) -> bool:
        return self.name.endswith((":list", ":show"))

    @property
    def proves(self) -> bool:
        """A refusal of its list means the scope, or the user's role, and nothing else."""
        # GET /v3/webhooks, for one, is for partners' clients only (Greenhouse's OpenAPI, September 2026).
        return self.list is not None and self.needs is None


@cache
def known() -> dict[str, Scope]:
    """Every scope of this release by its name, in the order of Greenhouse's documentation."""
    rows = yaml.safe_load(resources.files("checks.catalogue").joinpath("scopes.yaml").read_text(encoding="utf-8"))[
        "scopes"
    ]
    return {row["scope"]: _scope(row) for row in rows}


@cache
def groups() -> dict[str, tuple[Scope, ...]]:
    """All of `known` by heading."""
    return {group: tuple(found) for group, found in grouped(known()).items()}


def is_group(name: str) -> bool:
    return name.casefold() in {group.casefold() for group in groups()}


def scope(name: str) -> Scope:
    """One that Greenhouse has added since is titled by its own words."""
    found = known().get(name)
    return found or Scope(name, name.rpartition(":")[2].replace("_", " ").capitalize())


def grouped(names: Iterable[str]) -> dict[str, list[Scope]]:
    """Scopes as Greenhouse's screen has them: by heading, each heading and each title in alphabetical order."""
    groups: dict[str, list[Scope]] = {}
    for each in sorted(map(scope, set(names)), key=lambda one: (one.group, one.title)):
        groups.setdefault(each.group, []).append(each)
    return groups


def _scope(row: dict[str, str]) -> Scope:
    target = row["list"].removeprefix("GET ") if "list" in row else None
    return Scope(row["scope"], row["title"], target, row.get("needs"), row.get("phrase"))
