"""The news of one credential, as values that templates print."""

from collections.abc import Mapping
from dataclasses import dataclass

from checks.catalogue.scopes import grouped
from monitor.drift import EventKind
from monitor.notices.content.retired_message import ScopeGroup

Window = tuple[tuple[str, str], ...]
"""Caption and moment, in the order of time."""


@dataclass(frozen=True, slots=True)
class PermissionLine:
    """`scopes` are the Harvest v3 scopes that grant it, by name; `is_role` marks the role of a token's user."""

    label: str
    likely: bool
    window: Window
    impact: str
    scopes: tuple[str, ...] = ()
    is_role: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    permissions: tuple[PermissionLine, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Permissions with the same kind of change, by group. `window` is the one they share; else each has its own."""

    groups: tuple[Group, ...]
    window: Window

    @property
    def permissions(self) -> tuple[PermissionLine, ...]:
        return tuple(permission for group in self.groups for permission in group.permissions)

    @property
    def count(self) -> int:
        return len(self.permissions)

    @property
    def likely(self) -> int:
        return sum(permission.likely for permission in self.permissions)

    @property
    def has_role(self) -> bool:
        return any(permission.is_role for permission in self.permissions)

    @property
    def scopes(self) -> tuple[ScopeGroup, ...]:
        """The boxes to tick on Harvest v3, grouped as on Greenhouse's screen; labels where no scope is known."""
        names = [name for permission in self.permissions for name in permission.scopes]
        known = [ScopeGroup(group, tuple(one.title for one in of_one)) for group, of_one in grouped(names).items()]
        rest = [
            ScopeGroup(group.name, labels)
            for group in self.groups
            if (labels := tuple(p.label for p in group.permissions if not p.scopes and not p.is_role))
        ]
        return (*known, *rest)

    @property
    def scope_count(self) -> int:
        return sum(len(group.titles) for group in self.scopes)


@dataclass(frozen=True, slots=True)
class StateChange:
    """A change of the credential as a whole: its state, and since when. `meaning` explains a coded `detail`."""

    kind: EventKind
    state: str
    detail: str
    window: Window
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class CredentialNews:
    """What happened to one credential; `listings` by kind of event. `still_missing` was in an earlier email,
    `to_another` says that it went to another address than this one.

    `grant` is how a client of Harvest v3 was given; None for a key.
    """

    label: str
    kind: str
    grant: str | None
    changes: tuple[StateChange, ...]
    listings: Mapping[EventKind, Listing]
    still_missing: Listing | None = None
    to_another: bool = False

    def listing(self, kind: str) -> Listing | None:
        return self.listings.get(EventKind(kind))

    def change(self, kind: str) -> StateChange | None:
        return next((change for change in self.changes if change.kind == kind), None)
