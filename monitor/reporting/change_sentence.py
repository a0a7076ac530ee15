"""A change in a sentence: who, what, and which shape stands before it. Pure."""

from collections.abc import Mapping

from checks.credential import CredentialState
from monitor.drift import EventKind
from monitor.incidents.changes import ListedChange
from monitor.notices.content.page_links import tenant_page
from monitor.notices.wording import counted
from monitor.reporting.sentence import Link, PermissionLabel, Piece, Sentence, listed, say

MANY = 3
"""So many tenants in one change are a burst that has a page; fewer are named."""


def change_sentence(change: ListedChange) -> Sentence:
    return say(*_who(change), *_what(change))


def change_mark(change: ListedChange) -> str:
    """The shape that stands for it: what it did to the tenant."""
    if change.kind == EventKind.CREDENTIAL_FAILED or (change.kind == EventKind.FOUND and change.state):
        return "failing"
    return _MARKS[EventKind(change.kind)]


_MARKS: Mapping[EventKind, str] = {
    EventKind.LOST: "missing",
    EventKind.FOUND: "missing",
    EventKind.NEWLY_REQUIRED: "missing",
    EventKind.REGAINED: "back",
    EventKind.RECOVERED: "back",
    EventKind.REPLACED: "new",
    EventKind.EXCESS_FOUND: "undecided",
    EventKind.EXCESS_GONE: "back",
}


def change_path(change: ListedChange) -> str:
    """The page of one tenant, or that of the burst."""
    if change.tenants == 1 and change.names:
        return tenant_page(next(iter(change.names)))
    return f"/bursts/{change.bursts[0].id}"


def _who(change: ListedChange) -> list[Piece]:
    if change.tenants >= MANY:
        return [Link(counted(change.tenants, "tenant"), f"/bursts/{change.bursts[0].id}")]
    return listed([Link(name, tenant_page(id_)) for id_, name in change.names.items()])


def _what(change: ListedChange) -> list[Piece]:
    kind = EventKind(change.kind)
    several = change.tenants > 1
    if change.labels:
        before, after = _OF_PERMISSIONS[kind]
        return [(f" {_plural(before)}" if several else f" {before}"), *_permissions(change), after]
    if kind is EventKind.REPLACED:
        return [" got new secrets" if several else " got a new secret"]
    state = CredentialState(change.state) if change.state else CredentialState.OK
    if kind is EventKind.RECOVERED:
        return [f": Greenhouse accepts the {'credentials' if several else 'credential'} again"]
    if kind is EventKind.FOUND:
        return [f": never worked here ({state})"]
    return [f": {_FAILED[state]}"]


def _permissions(change: ListedChange) -> list[Piece]:
    labels: list[Piece] = [PermissionLabel(label) for label in change.labels]
    more: list[Piece] = [f"{change.more_labels} more"] if change.more_labels else []
    return listed([*labels, *more])


def _plural(verb: str) -> str:
    return verb.replace("has ", "have ").replace("lacks ", "lack ").replace("gives ", "give ")


_OF_PERMISSIONS: Mapping[EventKind, tuple[str, str]] = {
    EventKind.LOST: ("lost ", ""),
    EventKind.FOUND: ("lacks ", " since the first check"),
    EventKind.NEWLY_REQUIRED: ("lacks ", ", which the manifest requires now"),
    EventKind.REGAINED: ("has ", " back"),
    EventKind.EXCESS_FOUND: ("gives more than is asked for: ", ""),
    EventKind.EXCESS_GONE: ("no longer gives more than is asked for: ", ""),
}
_FAILED: Mapping[CredentialState, str] = {
    CredentialState.INVALID: "Greenhouse rejects the credential",
    CredentialState.BLOCKED: "Greenhouse refuses every request",
    CredentialState.RETIRED: "Greenhouse retired the API of the credential",
    CredentialState.UNREACHABLE: "no usable answer comes",
    CredentialState.MISCONFIGURED: "the stored secret or the tenants file is wrong",
    CredentialState.OK: "the credential failed",
}
