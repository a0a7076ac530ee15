"""The scopes of Harvest v3: those that a word or a list stands for, and the one that a request needs."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from checks.catalogue.scopes import Scope, known
from checks.manifest import load
from monitor.errors import ConfigurationError

ROOT = "/v3"
_WORDS = ("all", "none", "gem", "gem+eeoc")
_VERBS = {"POST": "create", "PATCH": "update", "PUT": "update", "DELETE": "destroy"}
_WRITES = frozenset(_VERBS)
_CRUD = frozenset({"list", "show", "create", "update", "destroy"})


def scope_names(words: str | Iterable[str]) -> frozenset[str]:
    """The scopes that a word (`all`, `none`, `gem`, `gem+eeoc`) or a list of names stands for.

    Raises ConfigurationError for an unknown word or name, with the nearest known ones.
    """
    if isinstance(words, str):
        return _names_by_word(words)
    names = frozenset(words)
    for name in sorted(names - known().keys()):
        near = get_close_matches(name, known(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigurationError(f"Harvest v3 has no scope {name!r}{hint}")
    return names


def _names_by_word(word: str) -> frozenset[str]:
    match word:
        case "all":
            return frozenset(known())
        case "none":
            return frozenset()
        case "gem":
            return _required_by_gem(())
        case "gem+eeoc":
            return _required_by_gem(("eeoc",))
    raise ConfigurationError(f"scopes cannot be {word!r}: use one of {', '.join(_WORDS)}, or a list of scopes")


@cache
def _required_by_gem(features: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for permission in load("gem").applying_to(features) for name in permission.scopes)


def scope_for(method: str, path: str) -> Scope | None:
    """The scope that a request under `/v3` needs; None if there is nothing at this path.

    Lists are the documented ones. Writes follow a rule, which may allow more paths than Harvest has: a create at the
    list's path, an update or a destroy at a record's path, any other scope at a path that ends in its name.
    """
    match path.split("/")[2:]:
        case [resource] if method == "GET":
            found = known().get(f"harvest:{resource}:list")
            return found if found is not None and found.list is not None else None
        case [resource] if method == "POST":
            return known().get(f"harvest:{resource}:create")
        case [resource, *between, action] if method in _WRITES and len(between) < 2:
            return _action(resource, action) or (None if between else _of_record(method, resource))
    return None


def _action(resource: str, action: str) -> Scope | None:
    return None if action in _CRUD else known().get(f"harvest:{resource}:{action}")


def _of_record(method: str, resource: str) -> Scope | None:
    return None if method == "POST" else known().get(f"harvest:{resource}:{_VERBS[method]}")
