"""What an address may be asked with: an answer 405 names it (RFC 9110, 15.5.6)."""

from fastapi.routing import iter_route_contexts
from starlette.requests import Request
from starlette.routing import compile_path


def allow_header(request: Request) -> dict[str, str]:
    """Of all routes at this address: the framework names those of the first one only."""
    path = request.scope["path"]
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.path is not None and route.methods and compile_path(route.path)[0].match(path):
            found |= route.methods
    return {"Allow": ", ".join(sorted(found))} if found else {}
