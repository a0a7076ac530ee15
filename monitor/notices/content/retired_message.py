"""What the email about retired keys says, as values that its template prints."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RetiredKey:
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


@dataclass(frozen=True, slots=True)
class OptionalScopes:
    """Scopes that are needed only by customers for whom `meaning` is true."""

    meaning: str
    groups: tuple[ScopeGroup, ...]


@dataclass(frozen=True, slots=True)
class ScopeRequest:
    """One part to forward, and to whom: it names no customer, so that all of these can get the same."""

    customers: Customers
    groups: tuple[ScopeGroup, ...]
    optional: tuple[OptionalScopes, ...]
    derived: bool

    @property
    def count(self) -> int:
        return sum(len(group.titles) for group in self.groups)


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
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key.customer for key in self.keys))
