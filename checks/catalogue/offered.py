"""The permissions that Greenhouse offers to tick for a Harvest v1/v2 key, by the labels people know them by."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class OfferedPermission:
    """`request` is as Greenhouse documents it, None if it documents none. `scopes` of Harvest v3 are derived.

    `also` are other labels of the same permission, `effect` is what it lets an integration do. `mapping` says how sure
    it is that `label` means `request`.
    """

    group: str
    label: str
    request: str | None
    mapping: Literal["exact", "likely"] = "exact"
    scopes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    effect: str = ""

    @property
    def entry(self) -> Entry | None:
        """What may be sent to check it; None if nothing may."""
        known = catalogue()
        if self.request is None:
            return None
        return known.probes.get(self.request) or known.controls.get(self.request)

    @property
    def endpoint(self) -> str:
        """What a manifest names."""
        return "none" if self.entry is None else self.entry.endpoint

    @property
    def never_sent(self) -> bool:
        method, _, path = (self.request or "").partition(" ")
        return catalogue().never_rule(method, path) is not None

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.label, *self.also)


@cache
def offered() -> tuple[OfferedPermission, ...]:
    """All of this release, in the order of their groups."""
    text = resources.files("checks.catalogue").joinpath("offered.yaml").read_text(encoding="utf-8")
    return tuple(map(_permission, yaml.safe_load(text)["permissions"]))


@cache
def groups() -> tuple[str, ...]:
    return tuple(dict.fromkeys(permission.group for permission in offered()))


def is_group(name: str) -> bool:
    return name.casefold() in {group.casefold() for group in groups()}


@cache
def by_request() -> dict[str, OfferedPermission]:
    return {permission.request: permission for permission in offered() if permission.request is not None}


def labelled(label: str) -> OfferedPermission | None:
    """The one with this label, however it is capitalized and spaced; None if there is none."""
    return _by_plain_label().get(plain(label))


def requested(method: str, path: str) -> OfferedPermission | None:
    """The one that opens this request, whatever stands in its path for an id."""
    return _by_shape().get(_shape(f"{method} {path}"))


def nearest(label: str) -> tuple[OfferedPermission, ...]:
    """Those whose labels are most like an unknown one, best first; none if nothing is like it."""
    known = _by_plain_label()
    near = get_close_matches(plain(label), list(known), _NEAREST, 0.6)
    return tuple({known[each].label: known[each] for each in near}.values())


def plain(label: str) -> str:
    """A label without what people write differently: capitals, apostrophes, blanks, and `email` for `e-mail`."""
    text = label.replace("’", "'").replace("\u02bc", "'").casefold().replace("e-mail", "email")
    return re.sub(r"\s+", " ", re.sub(r"\s*:\s*", ": ", text)).strip(" .;,")


def holding(words: Iterable[str]) -> list[OfferedPermission]:
    """Those in which a word begins with each of these, in whatever field."""
    wanted = [re.compile(r"(?<![a-z0-9])" + re.escape(word.casefold())) for word in words]
    return [one for one in offered() if all(word.search(_searched(one)) for word in wanted)]


def _searched(permission: OfferedPermission) -> str:
    fields = (permission.group, *permission.labels, permission.request or "", *permission.scopes)
    return " ".join((*fields, *map(plain, permission.labels))).casefold()


@cache
def _by_shape() -> dict[str, OfferedPermission]:
    return {_shape(request): permission for request, permission in by_request().items()}


def _shape(request: str) -> str:
    return re.sub(r"/(?:\{[^}/]*\}|<[^>/]*>|:\w+|\d+)", "/{}", request.rstrip("/"))


@cache
def _by_plain_label() -> dict[str, OfferedPermission]:
    return {plain(label): permission for permission in offered() for label in permission.labels}


def _permission(row: dict[str, Any]) -> OfferedPermission:
    return OfferedPermission(
        group=row["group"],
        label=row["label"],
        request=None if row["request"] == "none" else row["request"],
        mapping=row.get("mapping", "exact"),
        scopes=tuple(row.get("scopes", ())),
        also=tuple(row.get("also", ())),
        effect=row["effect"],
    )
