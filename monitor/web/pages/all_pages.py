"""Every page of the site."""

from fastapi import FastAPI

from monitor.web import static
from monitor.web.lists import all_lists
from monitor.web.pages import history, notice_actions, notices, overview, permissions, report, service, tenant, writes

_ROUTERS = (
    overview.router,
    history.router,
    tenant.router,
    permissions.router,
    report.router,
    notices.router,
    notice_actions.router,
    service.router,
    writes.router,
    static.router,
)


def add_pages(app: FastAPI) -> None:
    # The files first: /tenants.csv must not be taken for the page of a tenant.
    for router in (all_lists.files_router(), *_ROUTERS):
        app.include_router(router)
