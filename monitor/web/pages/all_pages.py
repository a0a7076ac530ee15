"""Every page of the site."""

from fastapi import FastAPI

from monitor.web import static
from monitor.web.pages import history, overview, permissions, service, tenant

_ROUTERS = (overview.router, history.router, tenant.router, permissions.router, service.router, static.router)


def add_pages(app: FastAPI) -> None:
    for router in _ROUTERS:
        app.include_router(router)
