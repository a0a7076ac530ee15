"""Every route of the application, found in the application itself: a new one is attacked without being named."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from fastapi import FastAPI, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import iter_route_contexts

from monitor.web.auth.middleware import is_open

OF_TESTS = ("/who", "/act", "/broken", "/api/v1/who", "/api/v1/act")
"""The routes that tests.website adds."""
_IN_THE_WORLD: Mapping[str, str] = {
    "tenant_id": "lone",
    "number": "1",
    "id": "none",
    "secret": "none",
    "digest": "none",
    "name": "pages.css",
    "burst": "1",
}


@dataclass(frozen=True, slots=True)
class AnyRoute:
    """`query` are the parameters that it reads from the address, `needs` those of them that it cannot do without, and
    `in_path` those that are part of its path.
    """

    method: str
    template: str
    query: tuple[str, ...]
    needs: tuple[str, ...]
    in_path: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether it needs no sign-in."""
        return is_open(self.template)

    @property
    def path(self) -> str:
        """To something that tests.web_world has."""
        needed = urlencode({name: _IN_THE_WORLD[name] for name in self.needs})
        return self.path_with() + (f"?{needed}" if needed else "")

    def path_with(self, **values: str) -> str:
        return re.sub(r"{(\w+)}", lambda found: quote({**_IN_THE_WORLD, **values}[found[1]], safe=""), self.template)

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


def every_route(app: FastAPI) -> Iterator[AnyRoute]:
    for found in iter_route_contexts(app.routes):
        if found.path in OF_TESTS or found.methods is None or found.dependant is None:
            continue
        query = [one for one in get_flat_params(found.dependant) if isinstance(one.field_info, params.Query)]
        names = tuple(one.alias for one in query)
        needed = tuple(one.alias for one in query if one.field_info.is_required())
        for method in sorted(found.methods):
            yield AnyRoute(method, found.path, names, needed, tuple(re.findall(r"{(\w+)}", found.path)))


def readable(app: FastAPI) -> list[AnyRoute]:
    """What shows something to whoever is signed in."""
    return [route for route in every_route(app) if route.method == "GET" and not route.is_open]


def actions(app: FastAPI) -> list[AnyRoute]:
    """What changes something, or seems to, and needs a sign-in."""
    return [route for route in every_route(app) if route.method not in ("GET", "HEAD") and not route.is_open]
