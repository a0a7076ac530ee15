"""`/report` and `/tenants/{id}/report`: a month or a quarter of all tenants, or of one; as page, CSV and JSON."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.reporting import compliance_queries
from monitor.reporting.compliance import Report, TenantReport
from monitor.reporting.compliance_document import (
    LOSS_COLUMNS,
    TENANT_COLUMNS,
    loss_rows,
    report_document,
    tenant_document,
    tenant_rows,
)
from monitor.reporting.compliance_sentence import (
    ENDINGS,
    HOW_IT_IS_COUNTED,
    finding,
    for_the_customer,
    label,
    notes,
    tenant_finding,
)
from monitor.reporting.kept_reports import KeptReports
from monitor.reporting.report_period import Period, PeriodError, choices, default_period, parse_period
from monitor.web.auth.identity import viewer
from monitor.web.context import context, reading
from monitor.web.csv_stream import CsvResponse
from monitor.web.errors import RequestRefused
from monitor.web.templating import page, with_query

PAGE_SIZE = 50
MOST_LOSSES = 200
PeriodName = Annotated[str, Query(alias="period", max_length=40)]

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@router.get("/report")
async def report(
    request: Request, name: PeriodName = "", number: Annotated[int, Query(alias="page", ge=1, le=10**6)] = 1
) -> Response:
    async with _kept(request).waiting(), reading(request) as conn:
        since = await compliance_queries.recorded_since(conn)
        if since is None:
            return page(request, "report_empty.html", section="Reports")
        found = await _report(request, conn, name, since)
    first = (number - 1) * PAGE_SIZE
    if first and first >= len(found.tenants):
        raise _none("no_page", "the report has no such page", "Begin with its first page.")
    more = first + PAGE_SIZE < len(found.tenants)
    return page(
        request,
        "report.html",
        now=found.covered.as_of,
        said=finding(found),
        report=found,
        rows=found.tenants[first : first + PAGE_SIZE],
        first_row=first + 1,
        first=with_query(request, page=None) if first else None,
        older=with_query(request, page=str(number + 1)) if more else None,
        page_size=PAGE_SIZE,
        **_frame(request, found, since),
    )


@router.get("/report.csv")
async def report_csv(request: Request, name: PeriodName = "") -> Response:
    found = await _whole_report(request, name)
    return CsvResponse(f"report-{found.covered.period.name}.csv", TENANT_COLUMNS, _each(tenant_rows(found)))


@router.get("/report.json")
async def report_json(request: Request, name: PeriodName = "") -> Response:
    found = await _whole_report(request, name)
    # Megabytes, for 10,000 tenants: other requests do not wait for it.
    return await asyncio.to_thread(lambda: _json(report_document(found)))


@router.get("/tenants/{tenant_id}/report")
async def tenant_report(request: Request, tenant_id: str, name: PeriodName = "") -> Response:
    found = await _tenant_report(request, tenant_id, name)
    return page(
        request,
        "tenant_report.html",
        said=tenant_finding(found),
        report=found,
        losses=found.losses[:MOST_LOSSES],
        label=label,
        endings=ENDINGS,
        customer_text=for_the_customer(found),
        **_frame(request, found, found.covered.recorded_since),
    )


@router.get("/tenants/{tenant_id}/report.csv")
async def tenant_report_csv(request: Request, tenant_id: str, name: PeriodName = "") -> Response:
    found = await _tenant_report(request, tenant_id, name)
    # Without the id: a file's name is plain ASCII, and an id may be anything.
    return CsvResponse(f"losses-{found.covered.period.name}.csv", LOSS_COLUMNS, _each(loss_rows(found)))


@router.get("/tenants/{tenant_id}/report.json")
async def tenant_report_json(request: Request, tenant_id: str, name: PeriodName = "") -> Response:
    return _json(tenant_document(await _tenant_report(request, tenant_id, name)))


async def _whole_report(request: Request, name: str) -> Report:
    async with _kept(request).waiting(), reading(request) as conn:
        return await _report(request, conn, name, await _recorded_since(conn))


async def _report(request: Request, conn: AsyncConnection, name: str, since: datetime) -> Report:
    now = request.state.now
    try:
        return await _kept(request).report(conn, _period(name, since, now), since, now)
    except PeriodError as problem:
        raise _no_such_period(problem) from None


async def _tenant_report(request: Request, tenant_id: str, name: str) -> TenantReport:
    async with reading(request) as conn:
        now, since = request.state.now, await _recorded_since(conn)
        try:
            period = _period(name, since, now)
            found = await compliance_queries.tenant_report(conn, tenant_id, period, since, now)
        except PeriodError as problem:
            raise _no_such_period(problem) from None
    if found is None:
        raise _none("no_tenant", "there is no such tenant, and never was one of that id", "Look it up by name.")
    return found


async def _recorded_since(conn: AsyncConnection) -> datetime:
    since = await compliance_queries.recorded_since(conn)
    if since is None:
        raise _none("no_tenant", "there is nothing to report: there was never a tenant", "Add one to the tenants file.")
    return since


def _period(name: str, since: datetime, now: datetime) -> Period:
    return parse_period(name) if name else default_period(since, now)


def _no_such_period(problem: PeriodError) -> RequestRefused:
    return RequestRefused(HTTPStatus.UNPROCESSABLE_ENTITY, "no_period", problem.message, problem.next_step)


def _none(code: str, message: str, next_step: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.NOT_FOUND, code, message, next_step)


def _kept(request: Request) -> KeptReports:
    """One for the whole application."""
    state = request.app.state
    if not hasattr(state, "kept_reports"):
        state.kept_reports = KeptReports()
    kept: KeptReports = state.kept_reports
    return kept


def _frame(request: Request, found: Report | TenantReport, since: datetime) -> dict[str, Any]:
    """What both pages show: which installation and period, how it is counted, and the same as files."""
    covered, settings = found.covered, context(request).settings
    path, query = request.url.path, f"?period={covered.period.name}"
    return {
        "section": "Reports",
        "covered": covered,
        "installation": (settings.public_url or str(request.base_url).rstrip("/")).partition("://")[2],
        "last_day": covered.span.end - timedelta(days=1),
        "periods": choices(since, request.state.now),
        "how": HOW_IT_IS_COUNTED,
        "notes": notes(covered),
        "csv_url": f"{path}.csv{query}",
        "json_url": f"{path}.json{query}",
    }


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document, ensure_ascii=False, default=_moment), media_type="application/json")


def _moment(value: object) -> str:
    assert isinstance(value, datetime)
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _each(rows: Iterable[Sequence[object]]) -> AsyncGenerator[Sequence[object], None]:
    for row in rows:
        yield row
