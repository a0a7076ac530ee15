"""How introspection names a token's scopes: what is not wholly understood counts as nothing at all.

A name that is read wrongly is a scope said to be missing. So there are two shapes, and no guesses beside them.
"""

import re
from dataclasses import dataclass

from checks.catalogue.scopes import known

_NAME = re.compile(r"(?:harvest|auditlog):[a-z][a-z0-9_]{0,59}:[a-z][a-z0-9_]{0,59}")


@dataclass(frozen=True, slots=True)
class ScopeValue:
    """`names` is None where none are named; `unreadable` where something is, and not wholly understood."""

    names: frozenset[str] | None = None
    unreadable: bool = False


def read_scopes(value: object) -> ScopeValue:
    """Names parted by single blanks, or a list with one name each. `value` None is a scope that was not given."""
    if value is None or value in ("", []):
        return ScopeValue()
    names = value.split(" ") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        return ScopeValue(unreadable=True)
    if isinstance(value, str) and _looks_cut(names[-1]):
        return ScopeValue(unreadable=True)
    return ScopeValue(frozenset(names))


def _looks_cut(last: str) -> bool:
    """A text that was cut off ends in the beginning of a name, which may have the shape of one."""
    return last not in known() and any(name.startswith(last) for name in known())
