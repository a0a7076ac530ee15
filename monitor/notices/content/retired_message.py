"""What the mail about retired keys says, as values its template prints."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RetiredKey:
    customer: str
    label: str
    since: str


@dataclass(frozen=True, slots=True)
class Customers:
    """`count` of them, with their keys, but for the `unnamed` ones that there was no room for."""

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
    """What is needed only of customers for whom `meaning` holds."""

    meaning: str
    groups: tuple[ScopeGroup, ...]


@dataclass(frozen=True, slots=True)
class ScopeRequest:
    """One part to forward, and to whom: it names no customer, so that it is the same for all of these."""

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

    `count` is of customers; `others` are those for whom it is not known here what to tick. `again` marks all but the
    first such mail.
    """

    template: ClassVar[str] = "retired"
    reader: str
    count: int
    requests: tuple[ScopeRequest, ...]
    others: Customers
    again: bool
    redirect: str

    @property
    def names(self) -> tuple[str, ...]:
        keys = [key for request in self.requests for key in request.customers.keys] + list(self.others.keys)
        return tuple(dict.fromkeys(key.customer for key in keys))
