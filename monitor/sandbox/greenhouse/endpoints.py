"""The endpoints of Harvest v1 and v2, read from `endpoints.yaml`, and the one that a method and path mean."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import yaml

from monitor.errors import ConfigurationError

# A placeholder names a record of the collection before it in the path; these two are spelled differently there.
_SPELLED = {"custom_field": "custom_fields", "candidate": "tags"}
_GRANT_WORDS = ("all", "none", "gem", "gem+eeoc")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint; the columns are explained at the top of `endpoints.yaml`.

    `refers` pairs each placeholder of the path with the collection of its record; `collection` is what a GET reads.
    """

    name: str
    method: str
    path: str
    group: str
    title: str
    request_class: str
    cell: str
    refers: tuple[tuple[str, str], ...]
    collection: str
    gives_object: bool
    needs: tuple[str, ...]
    instead: str | None
    objects: tuple[str, ...]
    query: frozenset[str]
    query_needs: tuple[str, ...]
    on_behalf_of: str | None
    does: str
    gem: str | None
    comes_with: str | None
    standing: str

    @property
    def writes(self) -> bool:
        return self.method != "GET"


@cache
def endpoints() -> dict[str, Endpoint]:
    """Every endpoint by its name, e.g. `GET /v1/candidates/{id}`, in the order of the documentation."""
    text = resources.files("monitor.sandbox.greenhouse").joinpath("endpoints.yaml").read_text(encoding="utf-8")
    return {row["endpoint"]: _endpoint(row) for row in yaml.safe_load(text)}


def cells() -> list[str]:
    """All cells, as `class/service`, e.g. `by-id/applications`."""
    return list(dict.fromkeys(endpoint.cell for endpoint in endpoints().values()))


def _endpoint(row: dict[str, Any]) -> Endpoint:
    method, path = row["endpoint"].split(" ")
    segments = _segments(path)
    literals = [segment for segment in segments if segment[0] != "{"]
    # Greenhouse serves applications apart from the rest (status.greenhouse.io, incident 5zr6zrxpqkj4, 2018).
    service = "applications" if literals[1] == "applications" else "rest"
    return Endpoint(
        name=row["endpoint"],
        method=method,
        path=path,
        group=row["group"],
        title=row["title"],
        request_class=row["class"],
        cell=f"{row['class']}/{service}",
        refers=tuple(_references(segments)),
        collection=row.get("of", literals[-1]),
        gives_object=row["class"] == "by-id" or row.get("gives") == "object",
        needs=tuple(row.get("needs", ())),
        instead=row.get("instead"),
        objects=tuple(row.get("objects", ())),
        query=frozenset(row.get("query", ())),
        query_needs=tuple(row.get("query_needs", ())),
        on_behalf_of=row.get("on_behalf_of"),
        does=row.get("does", ""),
        gem=row.get("gem"),
        comes_with=row.get("comes_with"),
        standing=row.get("standing", "current"),
    )


def _references(segments: list[str]) -> Iterator[tuple[str, str]]:
    for before, segment in pairwise(segments):
        if segment[0] == "{":
            yield segment[1:-1], _SPELLED.get(before, before)


def _segments(path: str) -> list[str]:
    # Split first: an encoded slash belongs to its segment.
    return [unquote(segment) for segment in path.split("/") if segment]


@dataclass(slots=True)
class _Node:
    """One segment of a path: what may follow it, and the endpoints that end here, by method."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    placeholder: "_Node | None" = None
    methods: dict[str, Endpoint] = field(default_factory=dict)

    def child(self, segment: str) -> "_Node":
        if segment[0] != "{":
            return self.literals.setdefault(segment, _Node())
        self.placeholder = self.placeholder or _Node()
        return self.placeholder


class Routes:
    """Finds the endpoint of a request in one walk along its path, whatever the number of endpoints.

    Doubled and trailing slashes are ignored: the documentation itself writes `/v2/users/`, and a user's report of 2018
    (issue 214 of Greenhouse's documentation) shows `/v1/prospects/` served.
    """

    def __init__(self, known: Iterable[Endpoint]) -> None:
        self._root = _Node()
        for endpoint in known:
            node = self._root
            for segment in _segments(endpoint.path):
                node = node.child(segment)
            node.methods[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, tuple[str, ...]] | None:
        """The endpoint and the values of its placeholders; a literal segment wins over a placeholder."""
        return _walk(self._root, method, _segments(path), ())


def _walk(node: _Node, method: str, rest: list[str], taken: tuple[str, ...]) -> tuple[Endpoint, tuple[str, ...]] | None:
    if not rest:
        return (node.methods[method], taken) if method in node.methods else None
    literal = node.literals.get(rest[0])
    found = _walk(literal, method, rest[1:], taken) if literal is not None else None
    # A literal may lead nowhere, as `/v1/candidates/merge` does for a GET: then it is the placeholder's value.
    if found is None and node.placeholder is not None:
        found = _walk(node.placeholder, method, rest[1:], (*taken, rest[0]))
    return found


@cache
def routes() -> Routes:
    return Routes(endpoints().values())


def endpoint_names(words: str | Iterable[str]) -> frozenset[str]:
    """The endpoints that a word (`all`, `none`, `gem`, `gem+eeoc`) or a list of names stands for.

    Raises ConfigurationError for an unknown word or name, with the nearest known ones.
    """
    if isinstance(words, str):
        return _names_by_word(words)
    names = list(words)
    unknown = [name for name in names if name not in endpoints()]
    if unknown:
        near = get_close_matches(unknown[0], endpoints(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigurationError(f"Harvest has no endpoint {unknown[0]!r}: write METHOD and documented path{hint}")
    return frozenset(names)


def _names_by_word(word: str) -> frozenset[str]:
    if word not in _GRANT_WORDS:
        known = ", ".join(_GRANT_WORDS)
        raise ConfigurationError(f"grants cannot be {word!r}: use one of {known}, or a list of endpoints")
    return frozenset(name for name, endpoint in endpoints().items() if _in_word(endpoint, word))


def _in_word(endpoint: Endpoint, word: str) -> bool:
    match word:
        case "all":
            return True
        case "gem":
            return endpoint.gem == "required"
        case "gem+eeoc":
            return endpoint.gem is not None
    return False
