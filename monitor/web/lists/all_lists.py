"""Every list, for the API and for the files beside the pages."""

from typing import Any

from fastapi import APIRouter

from monitor.web.lists.credentials import CREDENTIALS
from monitor.web.lists.data_list import DataList
from monitor.web.lists.history import BURST_TENANTS, BURSTS, HISTORY
from monitor.web.lists.notices import NOTICES, WRITES
from monitor.web.lists.service import INCIDENTS, OPERATORS, PERMISSIONS, SWEEPS
from monitor.web.lists.tenants import TENANTS
from monitor.web.lists.verdicts import VERDICTS

LISTS: tuple[DataList[Any, Any, Any, Any], ...] = (
    TENANTS,
    CREDENTIALS,
    VERDICTS,
    HISTORY,
    BURSTS,
    BURST_TENANTS,
    PERMISSIONS,
    INCIDENTS,
    NOTICES,
    WRITES,
    SWEEPS,
    OPERATORS,
)


def api_router() -> APIRouter:
    router = APIRouter(tags=["Lists"])
    for each in LISTS:
        each.add_to_api(router)
    return router


def files_router() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    for each in LISTS:
        each.add_to_pages(router)
    return router
