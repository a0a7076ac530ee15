"""Each thing that was asked for as a permission of a manifest, matched to what Greenhouse offers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count

from checks.catalogue import offered, scopes
from checks.catalogue.offered import OfferedPermission
from checks.draft.guide_text import Asked, Kind, without_note
from checks.manifest import Permission, V3Source

_ELSEWHERE = "Other"


class Match(StrEnum):
    """How what was asked for became a permission."""

    KNOWN = "known"
    LIKELY = "likely"  # the label could mean another request
    NOT_CHECKABLE = "not_checkable"  # known, and nothing that may be sent checks it on v1
    SCOPE = "scope"  # a scope of Harvest v3, asked for by itself
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DraftedPermission:
    """`asked` is where it comes from, `offered` what Greenhouse has under the label, `nearest` what is most like it
    where it has nothing. `note` is for the vendor."""

    permission: Permission
    match: Match
    asked: Asked
    offered: OfferedPermission | None = None
    nearest: tuple[OfferedPermission, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ManifestDraft:
    """`features` maps a name to the words that mark it as optional. `repeated` is what another permission covers."""

    permissions: tuple[DraftedPermission, ...]
    features: Mapping[str, str]
    repeated: tuple[Asked, ...]
    v3_source: V3Source | None

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.permission.group for one in self.permissions))

    @property
    def unknown(self) -> tuple[DraftedPermission, ...]:
        return tuple(one for one in self.permissions if one.match is Match.UNKNOWN)


def draft(asked: Iterable[Asked]) -> ManifestDraft:
    """The permissions in the order in which they were asked for, those of a group together."""
    single = [each for whole in asked for each in _single(whole)]
    covered = _scopes(one for one in map(_drafted, single) if one.match is not Match.SCOPE)
    drafted: list[DraftedPermission] = []
    repeated: list[Asked] = []
    for one in map(_drafted, single):
        by_a_label = one.match is Match.SCOPE and one.asked.name in covered
        if by_a_label or any(_same(one, before) for before in drafted):
            repeated.append(one.asked)
        else:
            drafted.append(_with_own_id(one, drafted))
    order = list(dict.fromkeys(one.permission.group for one in drafted))
    drafted.sort(key=lambda one: order.index(one.permission.group))
    return ManifestDraft(tuple(drafted), _features(drafted), tuple(repeated), _v3_source(drafted, single))


def _v3_source(drafted: Iterable[DraftedPermission], asked: Iterable[Asked]) -> V3Source | None:
    """`published` only where the vendor itself named every scope."""
    named = {one.name for one in asked if one.kind is Kind.SCOPE}
    if not (found := _scopes(drafted)):
        return None
    return "published" if found <= named else "derived"


def _scopes(drafted: Iterable[DraftedPermission]) -> set[str]:
    return {name for one in drafted for name in one.permission.scopes}


def _single(asked: Asked) -> Iterable[Asked]:
    """A group as its labels, or as its scopes where those are asked for, or only Harvest v3 has it."""
    wanted = asked.name.casefold()
    if asked.kind is Kind.GROUP and offered.is_group(asked.name):
        labels = (one.label for one in offered.offered() if one.group.casefold() == wanted)
        return [replace(asked, kind=Kind.LABEL, name=label) for label in labels]
    if asked.kind in (Kind.GROUP, Kind.SCOPE_GROUP) and scopes.is_group(asked.name):
        named = (one.name for group, of_it in scopes.groups().items() if group.casefold() == wanted for one in of_it)
        return [replace(asked, kind=Kind.SCOPE, name=name) for name in named]
    return [asked]


def _drafted(asked: Asked) -> DraftedPermission:
    if asked.kind is Kind.SCOPE:
        return _of_scope(asked)
    for label in without_note(asked.name):
        if found := offered.labelled(label):
            return _of_label(asked, label, found)
    return _unknown(asked)


def _of_scope(asked: Asked) -> DraftedPermission:
    scope = scopes.scope(asked.name)
    permission = Permission(
        id=asked.name.removeprefix("harvest:").replace(":", "."),
        group=scope.group,
        label=scope.title,
        endpoint=None,
        feature=_feature(asked, scope.group),
        scopes=(asked.name,),
        effect=scope.title[:1].lower() + scope.title[1:] if asked.name in scopes.known() else "",
    )
    note = "" if asked.name in scopes.known() else "this release does not know the scope: is it spelled right?"
    return DraftedPermission(permission, Match.SCOPE, asked, note=note)


def _of_label(asked: Asked, label: str, found: OfferedPermission) -> DraftedPermission:
    # As it was given, if that is a label of Greenhouse's, letter for letter.
    shown = label if label in found.labels else found.label
    likely = found.mapping == "likely" and offered.plain(label) == offered.plain(found.label)
    permission = Permission(
        id=_id(found.group, shown),
        group=found.group,
        label=shown,
        endpoint=None if found.entry is None else found.entry.endpoint,
        mapping="likely" if likely else "exact",
        feature=_feature(asked, found.group),
        scopes=found.scopes,
        effect=found.effect,
    )
    if permission.endpoint is None:
        return DraftedPermission(permission, Match.NOT_CHECKABLE, asked, found, note=_why_not_checkable(found))
    return DraftedPermission(permission, Match.LIKELY if likely else Match.KNOWN, asked, found)


def _why_not_checkable(found: OfferedPermission) -> str:
    if found.request is None:
        return "no documented request belongs to this label"
    if found.never_sent:
        return f"{found.request} could change something, so it is never sent"
    return f"{found.request} is not in the catalogue of this release"


def _unknown(asked: Asked) -> DraftedPermission:
    nearest = offered.nearest(asked.name)
    group = asked.heading or next((near.group for near in nearest), _ELSEWHERE)
    feature = _feature(asked, group)
    permission = Permission(_id(group, asked.name), group, asked.name, endpoint=None, feature=feature)
    return DraftedPermission(permission, Match.UNKNOWN, asked, nearest=nearest)


def _same(one: DraftedPermission, other: DraftedPermission) -> bool:
    if one.offered is not None:
        return one.offered == other.offered  # perhaps by another of its labels
    return (one.permission.group, one.permission.label) == (other.permission.group, other.permission.label)


def _with_own_id(made: DraftedPermission, before: Sequence[DraftedPermission]) -> DraftedPermission:
    wanted, taken = made.permission.id, {one.permission.id for one in before}
    if wanted not in taken:
        return made
    free = next(name for name in (f"{wanted}_{number}" for number in count(2)) if name not in taken)
    return replace(made, permission=replace(made.permission, id=free))


def _feature(asked: Asked, group: str) -> str | None:
    name = _words(group)
    return (name if name[0].isalpha() else f"with_{name}")[:40] if asked.optional else None


def _features(drafted: Iterable[DraftedPermission]) -> dict[str, str]:
    return {
        one.permission.feature: f"the list marks {one.permission.group} as optional"
        for one in drafted
        if one.permission.feature
    }


def _id(group: str, label: str) -> str:
    method, colon, rest = label.partition(":")
    return f"{_words(group)}.{_words(rest if colon else method)}"


def _words(text: str) -> str:
    """Without apostrophes and accents, which an id cannot have."""
    plain = re.sub(r"['’]", "", text).casefold()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "other"
