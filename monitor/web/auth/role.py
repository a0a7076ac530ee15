"""The two roles, and who gets which: pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class AccessRole(StrEnum):
    """A viewer reads everything and changes nothing; an operator also acts."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class RolePolicy:
    """The operator's lists of names, email addresses and groups; without `viewers` everybody may read."""

    operators: frozenset[str]
    viewers: frozenset[str] | None

    @classmethod
    def of(cls, operators: Iterable[str] | None, viewers: Iterable[str] | None) -> "RolePolicy":
        return cls(_folded(operators or ()), None if viewers is None else _folded(viewers))

    def role_of(self, names: Iterable[str]) -> AccessRole | None:
        """The role of a person with these names, addresses and groups; None if they may not even read."""
        known = _folded(names)
        if known & self.operators:
            return AccessRole.OPERATOR
        return AccessRole.VIEWER if self.viewers is None or known & self.viewers else None


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip().casefold() for name in names)
