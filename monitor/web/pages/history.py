"""`/history`: what changed, grouped into bursts, by day; `/bursts/{id}`: one of them."""

from datetime import timedelta
from http import HTTPStatus
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from monitor.incidents import burst_queries
from monitor.incidents.changes import Position
from monitor.reporting.burst_page import told_words
from monitor.web.auth.identity import viewer
from monitor.web.change_query import KINDS, WantedHistory
from monitor.web.change_rows import change_rows
from monitor.web.context import context, reading
from monitor.web.errors import RequestRefused
from monitor.web.number_ranges import LARGEST_ID
from monitor.web.paging import Keyset
from monitor.web.templating import as_files, page, with_query

PAGE_SIZE = 50
RANGES = {"24 hours": 1, "7 days": 7, "30 days": 30}

CHANGES = Keyset("changes", Position)

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@router.get("/history")
async def history(request: Request, wanted: WantedHistory, after: str | None = None) -> Response:
    web = context(request)
    async with reading(request) as conn:
        found = await change_rows(conn, wanted, PAGE_SIZE, CHANGES.position(after))
    now = request.state.now
    return page(
        request,
        "history.html",
        section="History",
        days=[(day, list(of_day)) for day, of_day in groupby(found.rows, key=lambda row: row.change.last_at.date())],
        number=len(found.rows),
        wanted=wanted,
        query=request.query_params,
        kinds=KINDS,
        manifest=web.registry().manifest(None),
        ranges={name: (now - timedelta(days=days)).date().isoformat() for name, days in RANGES.items()},
        first=with_query(request, after=None) if after else None,
        older=with_query(request, after=CHANGES.cursor(found.after)) if found.after else None,
        page_size=PAGE_SIZE,
        **as_files(request),
    )


@router.get("/bursts/{number}")
async def burst(
    request: Request,
    number: Annotated[int, Path(ge=1, le=LARGEST_ID)],
    after: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    share = context(request).settings.background_alike / 100
    async with reading(request) as conn:
        found = await context(request).bursts.page(conn, number, share, request.state.now)
        if found is None:
            raise _no_burst()
        rows = await burst_queries.burst_tenants(conn, number, PAGE_SIZE + 1, after)
    shown = rows[:PAGE_SIZE]
    return page(
        request,
        "burst.html",
        section="History",
        found=found,
        told_words=told_words(found.told),
        rows=shown,
        operators=context(request).settings.operators or (),
        first=with_query(request, after=None) if after else None,
        older=with_query(request, after=shown[-1].tenant_id) if len(rows) > PAGE_SIZE else None,
        page_size=PAGE_SIZE,
        **as_files(request),
    )


def _no_burst() -> RequestRefused:
    return RequestRefused(HTTPStatus.NOT_FOUND, "no_burst", "there is no such burst", "The history lists all of them.")
