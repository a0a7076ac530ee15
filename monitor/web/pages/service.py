"""`/sweeps`, `/incidents` and `/operators`: lists about the service, newest first."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from monitor.reporting import service_list_queries
from monitor.reporting.headline import headline
from monitor.reporting.service_list_queries import IncidentFilter
from monitor.web.auth.identity import viewer
from monitor.web.context import context, reading, reading_facts
from monitor.web.number_ranges import LARGEST_ID
from monitor.web.templating import as_files, page, with_query

PAGE_SIZE = 50
Before = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]
"""The id of the last row of the page before."""

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@router.get("/sweeps")
async def sweeps(request: Request, before: Before = None) -> Response:
    async with reading_facts(request) as conn:
        facts = await context(request).facts(conn, request.state.now)
        request.state.held = facts.outbox.held
        rows = await service_list_queries.sweeps(conn, PAGE_SIZE + 1, before)
    return page(
        request, "sweeps.html", section="Service", facts=facts, said=headline(facts), **_paged(request, rows, before)
    )


@router.get("/incidents")
async def incidents(
    request: Request, before: Before = None, tenant: str | None = None, open: bool | None = None
) -> Response:
    wanted = IncidentFilter(tenant or None, open)
    async with reading(request) as conn:
        rows = await service_list_queries.incidents(conn, wanted, PAGE_SIZE + 1, before)
    return page(request, "incidents.html", section="History", wanted=wanted, **_paged(request, rows, before))


@router.get("/operators")
async def operators(request: Request, before: Before = None, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    async with reading(request) as conn:
        rows = await service_list_queries.actions(conn, PAGE_SIZE + 1, before, q.strip() or None)
    return page(request, "operators.html", section="Service", text=q, **_paged(request, rows, before))


def _paged(request: Request, rows: Sequence[Any], before: int | None) -> dict[str, Any]:
    shown = rows[:PAGE_SIZE]
    return {
        "rows": shown,
        "older_page": before is not None,
        "first": with_query(request, before=None) if before else None,
        "older": with_query(request, before=str(shown[-1].id)) if len(rows) > PAGE_SIZE else None,
        "page_size": PAGE_SIZE,
        **as_files(request),
    }
