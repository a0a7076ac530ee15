"""`/tenants/{id}`: how one tenant stands, what happened to it, what to ask for, and the evidence."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.checking import recheck
from monitor.incidents import burst_queries
from monitor.incidents.status import TenantStatus
from monitor.notices.content.customer_request import customer_request
from monitor.notices.content.page_links import tenant_page as path_of_tenant
from monitor.notices.content.render import Renderer
from monitor.notices.content.vendor import Vendor
from monitor.reporting.change_cause import ChangeCause, cause_of
from monitor.reporting.tenant_page import TenantPage, by_explanation, groups, may_ask_for_scopes, timeline, troubles
from monitor.reporting.tenant_page_queries import tenant_page
from monitor.reporting.tenant_sentence import is_shared, tenant_headline
from monitor.tenants.scope_acceptance_queries import accepted_at
from monitor.web.auth.identity import Identity, operator, viewer
from monitor.web.context import WebContext, context, reading
from monitor.web.errors import RequestRefused
from monitor.web.recheck_refusal import refused
from monitor.web.templating import page
from monitor.web.timeline_drawing import drawn

MOST_SPANS = 20  # in the table below the picture; a page that many people read on phones stays small
RANGES = {7: "7 days", 90: "90 days", 365: "a year"}

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@router.get("/tenants/{tenant_id}")
async def tenant(
    request: Request,
    tenant_id: str,
    days: Annotated[int, Query(ge=1, le=366)] = 90,
    all_evidence: bool = False,
    asked_at: datetime | None = None,
) -> Response:
    web = context(request)
    async with reading(request) as conn:
        now = request.state.now
        begin = now - timedelta(days=days)
        found = await tenant_page(conn, tenant_id, begin, now, web.registry().manifest)
        cause = await _cause(conn, web, found, now) if found else None
        accepted = await accepted_at(conn) if found and may_ask_for_scopes(found) else {}
    if found is None:
        raise _no_tenant()
    asked = customer_request(found.name, troubles(found, accepted), found.csm_name or "")
    line = timeline(found, begin, now)
    permissions = [groups(found, credential) for credential in found.credentials]
    evidence = [by_explanation(each, granted_too=all_evidence) for each in permissions]
    return page(
        request,
        "tenant.html",
        section="Overview",
        tenant=found,
        said=tenant_headline(found, cause),
        shared=is_shared(cause),
        request_text=Renderer(vendor=Vendor.of(web.settings)).request(asked) if asked else None,
        credentials=list(zip(found.credentials, permissions, evidence, strict=True)),
        timeline=line,
        drawing=drawn(line),
        days=days,
        ranges=RANGES,
        most_spans=MOST_SPANS,
        all_evidence=all_evidence,
        cause=cause,
        waiting_since=_waiting_since(found, asked_at),
        operators=web.settings.operators or (),
    )


async def _cause(conn: AsyncConnection, web: WebContext, found: TenantPage, now: datetime) -> ChangeCause | None:
    """Of its present trouble; None where it has none, or no change of it is on record."""
    if found.status not in (TenantStatus.FAILING, TenantStatus.DRIFTED) or found.burst is None:
        return None
    burst = await burst_queries.burst(conn, found.burst)
    share = web.settings.background_alike / 100
    return None if burst is None else cause_of(await web.bursts.evidence(conn, burst, share, now))


def _waiting_since(found: TenantPage, asked_at: datetime | None) -> datetime | None:
    """When a check was asked for that was not made yet."""
    if asked_at is None or asked_at.tzinfo is None:
        return None
    last = found.last_checked_at
    return asked_at if last is None or last < asked_at else None


@router.post("/tenants/{tenant_id}/recheck")
async def check_now(request: Request, tenant_id: str, who: Annotated[Identity, Depends(operator)]) -> Response:
    """The running service checks it within seconds; the page that follows shows the result when it is there."""
    web = context(request)
    now = web.now()
    answer = (await recheck.ask(web.db, [tenant_id], who.who, "", now))[tenant_id]
    if not answer.asked:
        raise refused(answer, now)
    asked_at = urlencode({"asked_at": now.isoformat(timespec="seconds")})
    return RedirectResponse(f"{path_of_tenant(tenant_id)}?{asked_at}", HTTPStatus.SEE_OTHER)


def _no_tenant() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.NOT_FOUND,
        "no_tenant",
        "there is no such tenant, and never was one of that id",
        "Look it up by name.",
    )
