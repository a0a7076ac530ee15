"""Every page of the site."""

from fastapi import FastAPI

from monitor.web import static
from monitor.web.pages import overview, permissions, service, tenant
from monitor.web.problems import handle_problems

_ROUTERS = (overview.router, tenant.router, permissions.router, service.router, static.router)


def add_pages(app: FastAPI) -> None:
    handle_problems(app)
    for router in _ROUTERS:
        app.include_router(router)
