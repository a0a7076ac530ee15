"""Every page of the site."""

from fastapi import FastAPI

from monitor.web import static
from monitor.web.pages import history, notice_actions, notices, overview, permissions, service, tenant, writes
from monitor.web.problems import handle_problems

_ROUTERS = (
    overview.router,
    history.router,
    tenant.router,
    permissions.router,
    notices.router,
    notice_actions.router,
    service.router,
    writes.router,
    static.router,
)


def add_pages(app: FastAPI) -> None:
    handle_problems(app)
    for router in _ROUTERS:
        app.include_router(router)
