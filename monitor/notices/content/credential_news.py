"""The news of one credential, as values that templates print."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.catalogue.scopes import grouped, scope
from monitor.drift import EventKind
from monitor.notices.content.retired_message import Boxes, ScopeGroup

NAMED_EFFECTS = 4
SHORT_LIST = 3
ASKED = (EventKind.LOST, EventKind.FOUND, EventKind.NEWLY_REQUIRED)
_METHOD = re.compile(r"^(GET|POST|PUT|PATCH|DELETE) ?: *")


@dataclass(frozen=True, slots=True)
class PermissionLine:
    """`window` says when it happened, only where others of its listing have another one.

    `scopes` are the Harvest v3 scopes that grant it, by name; `effect` is what it allows, as a verb phrase; `is_role`
    marks the role of a token's user, `sensitive` data on people's ethnicity, gender, health and the like.
    """

    label: str
    likely: bool = False
    window: str = ""
    impact: str = ""
    scopes: tuple[str, ...] = ()
    effect: str = ""
    is_role: bool = False
    sensitive: bool = False

    @property
    def short(self) -> str:
        """The label without the method before it."""
        return _METHOD.sub("", self.label) or self.label

    @property
    def effects(self) -> tuple[str, ...]:
        """What cannot be done without it: the scopes' own words on Harvest v3, else the manifest's, else the label."""
        if self.scopes:
            return tuple(scope(name).effect for name in self.scopes)
        return (self.effect or f"use “{self.label}”",)


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    permissions: tuple[PermissionLine, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Permissions with the same kind of change, by group. `window` says when it happened, to all of them; `lasted` how
    long what is over was so.
    """

    groups: tuple[Group, ...]
    window: str = ""
    lasted: str = ""

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
    def sensitive(self) -> int:
        return sum(permission.sensitive for permission in self.permissions)

    @property
    def has_role(self) -> bool:
        return any(permission.is_role for permission in self.permissions)

    @property
    def effects(self) -> tuple[str, ...]:
        """What cannot be done without them, as verb phrases: the first few, and how many more. A role has none."""
        all_of_them = (effect for one in self.permissions if not one.is_role for effect in one.effects)
        found = tuple(dict.fromkeys(all_of_them))
        if len(found) <= NAMED_EFFECTS:
            return found
        return (*found[: NAMED_EFFECTS - 1], f"do {len(found) - NAMED_EFFECTS + 1} more things")

    @property
    def in_short(self) -> str:
        """For a subject: the permissions of one group, or the groups; the first few of many."""
        groups = list(dict.fromkeys(group.name for group in self.groups if group.name))
        names = groups if len(groups) > 1 else [permission.short for permission in self.permissions]
        return ", ".join(names[:SHORT_LIST]) + (", …" if len(names) > SHORT_LIST else "")

    @property
    def with_impact(self) -> tuple[PermissionLine, ...]:
        return tuple(permission for permission in self.permissions if permission.impact)

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
    """A change of the credential as a whole: its state, and when. `meaning` explains a coded `detail`, `lasted` says
    how long what is over was so.
    """

    kind: EventKind
    state: str
    detail: str
    window: str = ""
    meaning: str = ""
    lasted: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of what the manifest asks of a credential: how many permissions there are, and how many are missing now."""

    needed: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class CredentialNews:
    """What happened to one credential; `listings` by kind of event. `still_missing` was in an earlier email,
    `to_another` says that it went to another address than this one.

    `grant` is how a client of Harvest v3 was given; None for a key. `successor` are the boxes to tick on a credential
    that takes its place; None where nobody may be asked for them. `may_forward` is false where its scopes are derived
    and not accepted by the operator.
    """

    label: str
    kind: str
    grant: str | None
    changes: tuple[StateChange, ...]
    listings: Mapping[EventKind, Listing]
    still_missing: Listing | None = None
    to_another: bool = False
    coverage: Coverage = Coverage()
    successor: Boxes | None = None
    may_forward: bool = True

    def listing(self, kind: str) -> Listing | None:
        return self.listings.get(EventKind(kind))

    def change(self, kind: str) -> StateChange | None:
        return next((change for change in self.changes if change.kind == kind), None)

    @property
    def asked(self) -> Listing | None:
        """What a customer is asked to grant: what was lost, or never granted."""
        groups = [group for kind in ASKED if (listing := self.listing(kind)) for group in listing.groups]
        return Listing(tuple(groups)) if groups else None

    @property
    def unwanted(self) -> Listing | None:
        """Extra permissions that open sensitive data, which the customer can untick."""
        extra = self.listing(EventKind.EXCESS_FOUND)
        if extra is None or self.grant == "partner":
            return None
        groups = tuple(
            Group(group.name, sensitive)
            for group in extra.groups
            if (sensitive := tuple(one for one in group.permissions if one.sensitive))
        )
        return Listing(groups) if groups else None

    @property
    def only_lost(self) -> bool:
        """All that the customer is asked for was granted before."""
        return [kind for kind in ASKED if self.listing(kind)] == [EventKind.LOST]

    @property
    def asks_in_dev_center(self) -> bool:
        """What the customer is asked for is done there, and neither by connecting again nor by changing a user."""
        if self.grant == "partner":
            return False
        asked = self.asked
        return self.change("credential_failed") is not None or (
            asked is not None and bool(asked.scopes or not self.grant)
        )
