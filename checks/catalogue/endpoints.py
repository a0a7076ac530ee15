"""The closed list of requests that may ever be sent to Greenhouse, read from `endpoints.yaml`.

Nothing in the list is a template: what goes out is `Entry.method` and `Entry.target`, as they are in the file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import unquote

import yaml

from checks.catalogue.entry import Cell, Entry, Hurdle, RequestClass, Role, Service
from checks.errors import CatalogueError


class NeverRule(NamedTuple):
    """A documented request that is never sent, known by method and path, whatever ids are in it."""

    endpoint: str
    method: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    probes: Mapping[str, Entry]
    controls: Mapping[str, Entry]
    anonymous: Entry
    never: tuple[NeverRule, ...]

    def entry(self, endpoint: str) -> Entry:
        """The probe or control of a documented endpoint, such as `GET /v1/jobs/{id}`; CatalogueError if none."""
        found = self.probes.get(endpoint) or self.controls.get(endpoint)
        if found is None:
            raise CatalogueError(f"the catalogue holds no request for {endpoint!r}")
        return found

    def controls_of(self, cell: Cell) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.controls.values() if entry.cell == cell)

    def lists_of(self, service: Service) -> tuple[Entry, ...]:
        cell = Cell(RequestClass.LIST, service)
        return tuple(entry for entry in self.probes.values() if entry.cell == cell)

    def all_entries(self) -> tuple[Entry, ...]:
        return (*self.probes.values(), *self.controls.values(), self.anonymous)

    def never_rule(self, method: str, path: str) -> NeverRule | None:
        """The rule that forbids this request, however its path is spelled (case, %-encoding, doubled slashes)."""
        # Decoded first, so that an encoded slash is collapsed like a written one.
        plain = re.sub(r"/+", "/", unquote(path.partition("?")[0])).casefold()
        for rule in self.never:
            if rule.method == method.upper() and rule.pattern.fullmatch(plain):
                return rule
        return None


def _entry(row: Mapping[str, Any], role: Role) -> Entry:
    method, target = row["sends"].split(" ")
    return Entry(
        endpoint=row["endpoint"],
        method=method,
        target=target,
        body=b"" if row.get("body", "none") == "none" else row["body"].encode("ascii"),
        request_class=RequestClass(row["class"]),
        guards=row["guards"],
        role=role,
        title=row.get("title", row["endpoint"]),
        hurdles=frozenset(map(Hurdle, row.get("fails", ()))),
        gives_list=row["class"] == RequestClass.LIST or row.get("gives") == "list",
    )


def _by_endpoint(rows: Iterable[Mapping[str, Any]], role: Role) -> dict[str, Entry]:
    return {row["endpoint"]: _entry(row, role) for row in rows}


def _never(endpoint: str) -> NeverRule:
    method, path = endpoint.split(" ")
    # One of them is documented with a slash at its end (PATCH /v2/users/): either spelling is refused.
    parts = re.split(r"\{[^}]+\}", path.casefold().rstrip("/"))
    return NeverRule(endpoint, method, re.compile("[^/]+".join(map(re.escape, parts)) + "/?"))


@cache
def catalogue() -> Catalogue:
    """The catalogue of this release."""
    data = yaml.safe_load(resources.files("checks.catalogue").joinpath("endpoints.yaml").read_text(encoding="utf-8"))
    return Catalogue(
        probes=_by_endpoint(data["probes"], Role.PROBE),
        controls=_by_endpoint(data["controls"], Role.CONTROL),
        anonymous=_entry(data["anonymous"][0], Role.ANONYMOUS),
        never=tuple(map(_never, data["never"])),
    )
