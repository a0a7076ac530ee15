"""`/api/v1`: what programs read and do, and its description under /api/docs and /api/openapi.json."""

from fastapi import APIRouter, FastAPI

from monitor.checking.preflight.preflight_queue import PreflightQueue
from monitor.web.api import actions, checks, reference, status, tenants
from monitor.web.api.transport import TrustsProxy
from monitor.web.errors import documented
from monitor.web.lists import all_lists

PREFIX = "/api/v1"


def add_api(app: FastAPI, preflights: PreflightQueue, trusts_proxy: TrustsProxy) -> None:
    """Needs `app.state.context`, `request.state.identity` and the handlers of problems.py."""
    # A redirect names the scheme we were asked by, http behind a proxy: a body with a secret would follow it.
    app.router.redirect_slashes = False
    app.state.preflights = preflights
    app.state.trusts_proxy = trusts_proxy
    router = APIRouter(
        prefix=PREFIX,
        responses=documented(400, 401, 403, 414, 422, 429, 500, 503),
        generate_unique_id_function=lambda route: route.name,
    )
    router.include_router(status.router)
    router.include_router(all_lists.api_router())
    router.include_router(tenants.router)
    router.include_router(actions.router)
    router.include_router(checks.router)
    app.include_router(router)
    app.include_router(reference.router)
