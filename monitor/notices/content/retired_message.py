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
    """`count` of them, with their keys, except the `unnamed` ones for which there is no room."""

    count: int
    keys: tuple[RetiredKey, ...]
    unnamed: int = 0


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
    email but the first.
    """

    template: ClassVar[str] = "retired"
    reader: str
    count: int
    requests: tuple[ScopeRequest, ...]
    others: Customers
    again: bool
    redirect: str

    @property
    def keys(self) -> tuple[RetiredKey, ...]:
        return (*(key for request in self.requests for key in request.customers.keys), *self.others.keys)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key.customer for key in self.keys))
