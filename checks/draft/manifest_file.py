"""The draft of a manifest as a file that can be used as it is, and whose comments say what is left to fill in."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from checks.draft.manifest_draft import DraftedPermission, ManifestDraft, Match

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 /{}_.-]*")
_V3_SOURCE = {
    "derived": "derived from the labels: compare them, and write published once your customers know them",
    "published": "the scopes that you gave",
}


@dataclass(frozen=True, slots=True)
class ManifestHead:
    name: str
    version: str
    title: str
    source: str


def text(head: ManifestHead, draft: ManifestDraft) -> str:
    return "\n".join(_lines(head, draft)) + "\n"


def _lines(head: ManifestHead, draft: ManifestDraft) -> Iterator[str]:
    yield "# A first draft. It can be used as it is, and becomes useful once you have gone through it:"
    yield "#   impact    one sentence for your customer at each permission: what stops working without it. Leave it out"
    yield "#             rather than guess"
    yield "#   effect    what it lets you do, to go on after “can no longer”: read each once"
    yield "#   feature   on what only some of your customers need; declare it under `features`"
    yield "#   CHECK     marks each line that needs a decision of yours"
    yield "# All fields: docs/manifests.md. Then: harvest-monitor manifest validate FILE"
    yield ""
    yield f"name: {head.name}"
    yield f"version: {_written(head.version)}  # increase it when you change the list"
    yield f"title: {_written(head.title)}  # your product, as your customers know it"
    yield f"source: {_written(head.source)}  # where your customers find the list"
    if draft.v3_source:
        yield f"v3_source: {draft.v3_source}  # {_V3_SOURCE[draft.v3_source]}"
    yield from _features(draft)
    yield ""
    yield "groups:"
    yield from (f"  - {_written(group)}" for group in draft.groups)
    yield ""
    yield "permissions:"
    for one in draft.permissions:
        yield from _permission(one)


def _features(draft: ManifestDraft) -> Iterator[str]:
    yield ""
    if not draft.features:
        yield "# features:"
        yield "#   rooms: who needs it, such as: the customer books interview rooms with us"
        return
    yield "features:  # CHECK: say who needs each"
    yield from (f"  {name}: {_written(meaning)}" for name, meaning in draft.features.items())


def _permission(one: DraftedPermission) -> Iterator[str]:
    permission = one.permission
    yield from (f"  # {remark}" for remark in _remarks(one))
    yield f"  - id: {permission.id}"
    yield f"    group: {_written(permission.group)}"
    yield f"    label: {json.dumps(permission.label, ensure_ascii=False)}"
    yield f"    endpoint: {permission.endpoint or 'none'}"
    if permission.mapping != "exact":
        yield f"    mapping: {permission.mapping}"
    if permission.feature:
        yield f"    feature: {permission.feature}"
    if permission.scopes:
        yield f"    scopes: [{', '.join(permission.scopes)}]"
    if permission.effect:
        yield f"    effect: {_written(permission.effect)}"
    yield "    # impact:"


def _remarks(one: DraftedPermission) -> Iterator[str]:
    where = f"line {one.asked.line}: {one.asked.given}" if one.asked.line else one.asked.given
    if one.match is Match.UNKNOWN:
        yield f"CHECK: this release knows no such label ({where})"
        yield from (f"  perhaps {near.group} › {near.label}, endpoint {near.endpoint}" for near in one.nearest)
    elif one.match is Match.LIKELY:
        yield f"CHECK: the label could mean another request than this ({where})"
    elif one.note:
        yield f"CHECK: {one.note} ({where})"
    elif one.permission.label not in one.asked.given and one.match is not Match.SCOPE:
        yield f"given as: {one.asked.given}"


def _written(value: str) -> str:
    bare = _PLAIN.fullmatch(value) and value == value.strip() and value != "null"
    return value if bare else json.dumps(value, ensure_ascii=False)
