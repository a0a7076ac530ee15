"""What an integration requires: a versioned list of permissions, as data. docs/manifests.md describes its fields.

A manifest can only name requests of the catalogue, so no manifest can make anything new be sent.
"""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from functools import cached_property
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from checks import yaml_document
from checks.catalogue.endpoints import catalogue
from checks.errors import DocumentError, ManifestError
from checks.yaml_document import Document, Part, Problem

Mapped = Literal["exact", "likely"]
V3Source = Literal["published", "derived"]


@dataclass(frozen=True, slots=True)
class Permission:
    """One line of a manifest, group and label exactly as Greenhouse shows them.

    `endpoint` refers to the catalogue; None where nothing can be asked (`endpoint: none`). `feature` is None for what
    every tenant needs. `scopes` are those of Harvest v3. `impact` is a sentence for the customer, or empty; `effect` is
    what the permission lets the integration do, as a verb phrase such as `list offers`, or empty.
    """

    id: str
    group: str
    label: str
    endpoint: str | None
    mapping: Mapped = "exact"
    feature: str | None = None
    scopes: tuple[str, ...] = ()
    impact: str = ""
    effect: str = ""


@dataclass(frozen=True)
class Manifest:
    """`features` maps each feature to its meaning; `v3_source` tells whether the vendor published its scopes."""

    name: str
    version: str
    title: str
    source: str
    v3_source: V3Source | None
    features: Mapping[str, str]
    groups: tuple[str, ...]
    permissions: tuple[Permission, ...]

    @cached_property
    def digest(self) -> str:
        """12 hex digits that change when what is required, asked or shown changes, and with nothing else.

        Name, version, title and source, effects, the order of lines, comments and layout leave them as they are.
        """
        # Digests are stored: a change here would make every tenant's manifest look new.
        lines = [asdict(permission) | {"scopes": sorted(permission.scopes)} for permission in self.permissions]
        for line in lines:
            del line["effect"]  # other words for the label: they ask for nothing else, and need no new acceptance
        meaning = {
            "features": dict(self.features),
            "v3_source": self.v3_source,
            "permissions": sorted(lines, key=lambda line: str(line["id"])),
        }
        return sha256(json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()[:12]

    def permission(self, id_or_label: str) -> Permission:
        """The permission with this id, or else with this label; ManifestError if none has it, or several do."""
        for key in ("id", "label"):
            found = [permission for permission in self.permissions if getattr(permission, key) == id_or_label]
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(permission.id for permission in found)
                raise ManifestError(f"manifest {self.name}: several groups have {id_or_label!r}; name one by id: {ids}")
        names = [name for permission in self.permissions for name in (permission.id, permission.label)]
        hint = _did_you_mean(id_or_label, names)
        raise ManifestError(f"manifest {self.name} has no permission {id_or_label!r}{hint}; give an id or a label")

    def applying_to(self, features: Iterable[str]) -> tuple[Permission, ...]:
        """What is required of a tenant with these features."""
        present = {None, *features}
        return tuple(permission for permission in self.permissions if permission.feature in present)

    def outside(self, features: Iterable[str]) -> tuple[Permission, ...]:
        """What belongs to features that a tenant with these does not have."""
        present = {None, *features}
        return tuple(permission for permission in self.permissions if permission.feature not in present)


def built_in() -> tuple[str, ...]:
    """The names of the manifests that come with this release."""
    return tuple(sorted(entry.name[:-5] for entry in _shelf().iterdir() if entry.name.endswith(".yaml")))


def load(name_or_path: str) -> Manifest:
    """A built-in manifest by its name, or one from a file.

    ManifestError with every problem if it can't be used, ReadFailed if its file could not be read this time.
    """
    with _told_as_manifest_error():
        try:
            return _manifest(_document(name_or_path))
        except OSError as error:
            raise yaml_document.not_read(name_or_path, error) from error


def _document(name_or_path: str) -> Document:
    # First, so that `gem` is the built-in one whatever files the working directory holds.
    if name_or_path in built_in():
        name = f"{name_or_path}.yaml"
        return yaml_document.parse(_shelf().joinpath(name).read_bytes(), name)
    if not Path(name_or_path).exists():
        raise ManifestError(
            f"there is no manifest {name_or_path!r}: it is no file, and none of the built-in ones "
            f"({', '.join(built_in())}); give one of these names or the path of a file"
        )
    return yaml_document.read(Path(name_or_path))


def parse(text: str, source: str) -> Manifest:
    """The manifest in a YAML text; `source` names the text in messages. ManifestError with every problem found."""
    with _told_as_manifest_error():
        # surrogatepass: a lone surrogate is then refused as not UTF-8, with its line, and does not raise here.
        return _manifest(yaml_document.parse(text.encode("utf-8", "surrogatepass"), source))


@dataclass(frozen=True, slots=True)
class FieldChange:
    field: str
    old: str | tuple[str, ...] | None
    new: str | tuple[str, ...] | None

    def __str__(self) -> str:
        return f"{self.field}: {_written(self.old)} -> {_written(self.new)}"


@dataclass(frozen=True, slots=True)
class PermissionChange:
    """What became of a permission that both manifests have under the same id; group and label are the new ones."""

    id: str
    group: str
    label: str
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class ManifestDiff:
    """What differs; false if nothing does. `lines()` is for people, `dataclasses.asdict` of it is fit for JSON."""

    manifest: tuple[FieldChange, ...]
    added: tuple[Permission, ...]
    removed: tuple[Permission, ...]
    changed: tuple[PermissionChange, ...]

    def __bool__(self) -> bool:
        return bool(self.manifest or self.added or self.removed or self.changed)

    def lines(self) -> list[str]:
        lines = [str(change) for change in self.manifest]
        lines += [f"+ {_titled(permission)}" for permission in self.added]
        lines += [f"- {_titled(permission)}" for permission in self.removed]
        for permission in self.changed:
            lines += [f"~ {_titled(permission)}", *(f"    {change}" for change in permission.fields)]
        return lines


def compare(old: Manifest, new: Manifest) -> ManifestDiff:
    """What became different from `old` to `new`, permission by permission as known by id, and field by field."""
    before = {permission.id: permission for permission in old.permissions}
    after = {permission.id: permission for permission in new.permissions}
    changed = (
        PermissionChange(line.id, line.group, line.label, _permission_changes(before[line.id], line))
        for line in new.permissions
        if line.id in before
    )
    return ManifestDiff(
        manifest=_manifest_changes(old, new),
        added=tuple(line for line in new.permissions if line.id not in before),
        removed=tuple(line for line in old.permissions if line.id not in after),
        changed=tuple(change for change in changed if change.fields),
    )


def _manifest_changes(old: Manifest, new: Manifest) -> tuple[FieldChange, ...]:
    names = ("name", "version", "digest", "title", "source", "v3_source", "groups")
    found = [FieldChange(name, getattr(old, name), getattr(new, name)) for name in names]
    features = dict.fromkeys((*old.features, *new.features))
    found += [FieldChange(f"features.{name}", old.features.get(name), new.features.get(name)) for name in features]
    return tuple(change for change in found if change.old != change.new)


def _permission_changes(old: Permission, new: Permission) -> tuple[FieldChange, ...]:
    found = [FieldChange(item.name, getattr(old, item.name), getattr(new, item.name)) for item in fields(Permission)]
    return tuple(change for change in found if change.old != change.new)


def _titled(permission: Permission | PermissionChange) -> str:
    return f"{permission.group} / {permission.label} ({permission.id})"


def _written(value: str | tuple[str, ...] | None) -> str:
    return (", ".join(value) if isinstance(value, tuple) else value) or "none"


def _shelf() -> Traversable:
    return resources.files("checks").joinpath("manifests")


@contextmanager
def _told_as_manifest_error() -> Iterator[None]:
    try:
        yield
    except DocumentError as error:
        raise ManifestError(*error.problems) from None


def _manifest(read: Document) -> Manifest:
    return read.fit(_Schema, also=_conflicts(read)).manifest()


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), 1, 0.75)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _shaped(pattern: str, wanted: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {wanted}; correct it")
        return text

    return AfterValidator(check)


def _plain(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("holds a line break, an invisible character or space at an end; write it as one plain line")
    return text


def _verb_phrase(text: str) -> str:
    if not text[:1].islower() or text.endswith("."):
        raise ValueError("must go on after “can no longer”, such as: list offers")
    return text


def _distinct(scopes: list[str]) -> list[str]:
    if len(set(scopes)) < len(scopes):
        raise ValueError("names the same scope twice; keep one of them")
    return scopes


def _catalogued(endpoint: str) -> str:
    known = catalogue()
    if endpoint == "none" or endpoint in known.probes or endpoint in known.controls:
        return endpoint
    shown = repr(endpoint if len(endpoint) <= 100 else endpoint[:100] + "…")
    method, _, path = endpoint.partition(" ")
    if known.never_rule(method, path):
        raise ValueError(f"{shown} is on the list of requests that are never sent; write none: it cannot be checked")
    hint = _did_you_mean(endpoint, (*known.probes, *known.controls))
    raise ValueError(f"{shown} is not an endpoint of the catalogue{hint}; write one exactly as it is there, or none")


_NAME = r"[a-z][a-z0-9_-]{0,39}"


def is_name(text: str) -> bool:
    """Whether a manifest, or a feature, may be called so."""
    return re.fullmatch(_NAME, text) is not None


_Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_plain)]
_Name = Annotated[str, _shaped(_NAME, "1 to 40 lower-case letters, digits, - and _, a letter first")]
# Events and states are stored under it: a renamed id begins a new history.
_Id = Annotated[str, _shaped(r"[a-z0-9_]+(\.[a-z0-9_]+)+", "words of lower-case letters, digits and _ joined by dots")]
_Scope = Annotated[str, _shaped(r"harvest:[a-z0-9_]+:[a-z0-9_]+", "a scope such as harvest:jobs:list")]
_Path = tuple[Part, ...]
# hide_input_in_errors: a field may hold a pasted secret, which pydantic would quote.
_STRICT = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class _Row(BaseModel):
    model_config = _STRICT

    id: _Id
    group: _Text
    label: _Text
    endpoint: Annotated[str, AfterValidator(_catalogued)]
    mapping: Mapped = "exact"
    feature: _Name = ""  # pydantic does not validate a default, so "" can stand for none
    scopes: Annotated[list[_Scope], AfterValidator(_distinct)] = []
    impact: _Text = ""
    effect: Annotated[_Text, AfterValidator(_verb_phrase)] = ""

    def permission(self) -> Permission:
        return Permission(
            id=self.id,
            group=self.group,
            label=self.label,
            endpoint=None if self.endpoint == "none" else self.endpoint,
            mapping=self.mapping,
            feature=self.feature or None,
            scopes=tuple(self.scopes),
            impact=self.impact,
            effect=self.effect,
        )


class _Schema(BaseModel):
    model_config = _STRICT

    name: _Name
    version: _Text
    title: _Text
    source: _Text
    v3_source: V3Source | None = None
    features: dict[_Name, _Text] = {}
    groups: Annotated[list[_Text], Field(min_length=1)]
    permissions: Annotated[list[_Row], Field(min_length=1)]

    def manifest(self) -> Manifest:
        return Manifest(
            name=self.name,
            version=self.version,
            title=self.title,
            source=self.source,
            v3_source=self.v3_source,
            features=self.features,
            groups=tuple(self.groups),
            permissions=tuple(row.permission() for row in self.permissions),
        )


def _conflicts(read: Document) -> Iterator[Problem]:
    """Where lines contradict each other; reads the raw data, so that a line of a wrong shape hides nothing else."""
    group_of = _column(read, "group")
    groups, features = read.data.get("groups"), read.data.get("features", {})
    if isinstance(groups, list):
        yield from _undeclared(read, "groups", group_of, groups)
        listed: dict[_Path, str] = {("groups", index): str(name) for index, name in enumerate(groups)}
        yield from _repeated(read, listed, "list each group once")
    if isinstance(features, dict):
        yield from _undeclared(read, "features", _column(read, "feature"), features)
    yield from _repeated(read, _column(read, "id"), "give each permission an id of its own")
    labels = {path: (group_of.get((*path[:2], "group"), ""), label) for path, label in _column(read, "label").items()}
    yield from _repeated(read, labels, "keep one, or correct its group or label")
    # One request cannot tell two permissions apart: both would get the verdict of one.
    endpoints = {path: endpoint for path, endpoint in _column(read, "endpoint").items() if endpoint != "none"}
    yield from _repeated(read, endpoints, "one request cannot decide two permissions: write none for one of them")
    if not read.data.get("v3_source") and _rows_with(read, "scopes"):
        yield read.problem(("v3_source",), "is missing, yet there are scopes; write published or derived")


def _rows_with(read: Document, name: str) -> dict[_Path, object]:
    """The values of one field of the permissions, by path; nothing where the field is absent or empty."""
    listed = read.data.get("permissions")
    rows = enumerate(listed if isinstance(listed, list) else [])
    return {("permissions", index, name): row[name] for index, row in rows if isinstance(row, dict) and row.get(name)}


def _column(read: Document, name: str) -> dict[_Path, str]:
    return {path: value for path, value in _rows_with(read, name).items() if isinstance(value, str)}


def _undeclared(read: Document, where: str, names: Mapping[_Path, str], declared: Container[str]) -> Iterator[Problem]:
    for path, name in names.items():
        if name not in declared:
            yield read.problem(path, f"{name!r} is not declared under `{where}`; declare it there or correct it")


def _repeated(read: Document, values: Mapping[_Path, object], advice: str) -> Iterator[Problem]:
    first: dict[object, _Path] = {}
    for path, value in values.items():
        if (before := first.setdefault(value, path)) is not path:
            yield read.problem(path, f"is already on line {read.line_of(before)}; {advice}")
