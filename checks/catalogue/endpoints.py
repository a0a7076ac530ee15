"""The closed list of requests that may ever be sent to Greenhouse, read from `endpoints.yaml`.

Nothing in the list is a template: what goes out is `Entry.method` and `Entry.target`, as they stand in the file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import unquote

import yaml

from checks.errors import CatalogueError


class RequestClass(StrEnum):
    """What kind of request it is; Greenhouse may check things in another order for each."""

    LIST = "list"
    BY_ID = "by-id"
    NESTED = "nested"
    POST = "POST"
    PATCH = "PATCH"
    PUT = "PUT"
    DELETE = "DELETE"
    AUTH = "auth"  # a question to the auth server of Harvest v3


class Service(StrEnum):
    """Which part of Greenhouse answers; /v1/applications is served apart (status incident 5zr6zrxpqkj4, 2018)."""

    APPLICATIONS = "applications"
    REST = "rest"


class WriteProbes(StrEnum):
    """Which write probes may be sent: none, those with id 0 in the path, or also the three without an id."""

    OFF = "off"
    SAFE = "safe"
    ALL = "all"

    def allows(self, needed: "WriteProbes") -> bool:
        order = list(WriteProbes)
        return order.index(needed) <= order.index(self)


class Role(StrEnum):
    PROBE = "probe"
    CONTROL = "control"
    ANONYMOUS = "anonymous"
    BEARER = "bearer"  # with a token of Harvest v3


class Cell(NamedTuple):
    """What one control speaks for."""

    request_class: RequestClass
    service: Service


@dataclass(frozen=True)
class Entry:
    """One request that may be sent. `body` is what goes out, byte for byte; empty for none.

    What is drawn from target and guards is kept: a check looks at it thousands of times.
    """

    endpoint: str
    method: str
    target: str
    body: bytes
    request_class: RequestClass
    guards: str
    role: Role
    title: str

    @cached_property
    def service(self) -> Service:
        return Service.APPLICATIONS if self.segment == "applications" else Service.REST

    @cached_property
    def cell(self) -> Cell:
        return Cell(self.request_class, self.service)

    @cached_property
    def segment(self) -> str:
        """The first path segment after `/v1`."""
        return self.target.partition("?")[0].split("/")[2]

    @property
    def is_write(self) -> bool:
        return self.method != "GET" and self.request_class is not RequestClass.AUTH

    @cached_property
    def needs(self) -> WriteProbes:
        """The least setting of write probes under which this request may be sent."""
        if not self.is_write:
            return WriteProbes.OFF
        return WriteProbes.SAFE if "Z" in self.guards.split("+") else WriteProbes.ALL


class NeverRule(NamedTuple):
    """A documented request that is never sent, known by method and path whatever ids stand in it."""

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
    )


def _by_endpoint(rows: Iterable[Mapping[str, Any]], role: Role) -> dict[str, Entry]:
    return {row["endpoint"]: _entry(row, role) for row in rows}


def _never(endpoint: str) -> NeverRule:
    method, path = endpoint.split(" ")
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
