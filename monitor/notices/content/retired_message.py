"""What the email about retired keys says, as values that its template prints."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from checks.catalogue.scopes import grouped, scope
from checks.manifest import Permission
from monitor.notices.wording import clean, listed

_DRASTIC = ("Destroy", "Reject")


@dataclass(frozen=True, slots=True)
class RetiredKey:
    """`since` is when it stopped working, with the days since then."""

    customer: str
    tenant_id: str
    label: str
    since: str


@dataclass(frozen=True, slots=True)
class Customers:
    """`count` of them, with their keys, except the `unnamed` ones for which there is no room.

    Those of a long list are named `in_short`: without what else is known of their keys.
    """

    count: int
    keys: tuple[RetiredKey, ...]
    unnamed: int = 0
    in_short: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Each customer once, even if another has the same name."""
        return tuple({key.tenant_id: key.customer for key in self.keys}.values())


@dataclass(frozen=True, slots=True)
class ScopeGroup:
    """A heading of Greenhouse's list "Manage scopes", with titles under it."""

    name: str
    titles: tuple[str, ...]


def scope_groups(names: Iterable[str]) -> tuple[ScopeGroup, ...]:
    return tuple(
        ScopeGroup(clean(name), tuple(clean(scope.title) for scope in of_one))
        for name, of_one in grouped(names).items()
    )


@dataclass(frozen=True, slots=True)
class Boxes:
    """What to tick on a new credential. `writing` are the titles that let it change something; `drastic` those that may
    alarm who reads them, with what each allows.
    """

    groups: tuple[ScopeGroup, ...]
    writing: tuple[str, ...] = ()
    drastic: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int:
        return sum(len(group.titles) for group in self.groups)


def boxes(names: Iterable[str], permissions: Iterable[Permission]) -> Boxes:
    """Of these scopes; `permissions` say in plain words what they are for."""
    asked = frozenset(names)
    allowed: dict[str, list[str]] = {}
    for permission in permissions:
        for name in permission.scopes:
            allowed.setdefault(name, []).append(clean(permission.effect) or scope(name).effect)
    drastic = tuple(
        (clean(one.title), listed(list(dict.fromkeys(allowed.get(one.name, [one.effect])))))
        for one in sorted(map(scope, asked), key=lambda one: one.title)
        if one.title.startswith(_DRASTIC)
    )
    writing = tuple(clean(one.title) for of_one in grouped(asked).values() for one in of_one if not one.is_read)
    return Boxes(scope_groups(asked), writing, drastic)


@dataclass(frozen=True, slots=True)
class OptionalScopes:
    """Scopes that are needed only by customers for whom `meaning` is true."""

    meaning: str
    groups: tuple[ScopeGroup, ...]


@dataclass(frozen=True, slots=True)
class ScopeRequest:
    """One part to forward, and to whom: it names no customer, so that all of these can get the same.

    `approved` says that customers may be asked for these: the vendor published them, or the operator accepted them.
    """

    customers: Customers
    boxes: Boxes
    optional: tuple[OptionalScopes, ...]
    approved: bool

    @property
    def count(self) -> int:
        return self.boxes.count

    @property
    def old_label(self) -> str:
        """Of what Greenhouse no longer accepts; empty where several customers get this."""
        labels = {key.label for key in self.customers.keys}
        return labels.pop() if self.customers.count == len(labels) == 1 else ""


@dataclass(frozen=True, slots=True)
class RetiredMessage:
    """To a CSM about all of their customers, or to the operator in their place; `redirect` then says why.

    `count` is the number of customers; `others` are those for whom the scopes to tick are unknown. `again` marks every
    email but the first. It is `part` of so many `parts`, which together are about `total` customers.
    """

    template: ClassVar[str] = "retired"
    reader: str
    count: int
    requests: tuple[ScopeRequest, ...]
    others: Customers
    again: bool
    redirect: str
    part: int = 1
    parts: int = 1
    total: int = 0

    @property
    def is_in_short(self) -> bool:
        """Customers are named without more about them."""
        return self.others.in_short or any(request.customers.in_short for request in self.requests)

    @property
    def keys(self) -> tuple[RetiredKey, ...]:
        return (*(key for request in self.requests for key in request.customers.keys), *self.others.keys)

    @property
    def waits_for_approval(self) -> bool:
        """For some of them there is nothing to forward yet."""
        return not all(request.approved for request in self.requests)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key.customer for key in self.keys))
