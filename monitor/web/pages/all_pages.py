"""Every page of the site."""

from fastapi import FastAPI

from monitor.web import static
from monitor.web.lists import all_lists
from monitor.web.pages import history, overview, permissions, report, service, tenant

_ROUTERS = (
    overview.router,
    history.router,
    tenant.router,
    permissions.router,
    report.router,
    service.router,
    static.router,
)


def add_pages(app: FastAPI) -> None:
    # The files first: /tenants.csv must not be taken for the page of a tenant.
    for router in (all_lists.files_router(), *_ROUTERS):
        app.include_router(router)
