"""`/tenants/{id}`: how one tenant stands, what happened to it, what to ask for, and the evidence."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from monitor.notices.content.customer_request import customer_request
from monitor.notices.content.render import Renderer
from monitor.reporting.tenant_page import by_explanation, groups, timeline, troubles
from monitor.reporting.tenant_page_queries import tenant_page
from monitor.reporting.tenant_sentence import tenant_headline
from monitor.web.auth.identity import viewer
from monitor.web.context import context, reading
from monitor.web.errors import RequestRefused
from monitor.web.templating import page
from monitor.web.timeline_drawing import drawn

RANGES = {7: "7 days", 90: "90 days", 365: "a year"}

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@router.get("/tenants/{tenant_id}")
async def tenant(
    request: Request, tenant_id: str, days: Annotated[int, Query(ge=1, le=366)] = 90, all_evidence: bool = False
) -> Response:
    web = context(request)
    async with reading(request) as conn:
        now = request.state.now
        begin = now - timedelta(days=days)
        found = await tenant_page(conn, tenant_id, begin, now, web.registry().manifest)
    if found is None:
        raise _no_tenant()
    asked = customer_request(found.name, troubles(found))
    line = timeline(found, begin, now)
    permissions = [groups(found, credential) for credential in found.credentials]
    evidence = [by_explanation(each, granted_too=all_evidence) for each in permissions]
    return page(
        request,
        "tenant.html",
        section="Overview",
        tenant=found,
        said=tenant_headline(found),
        request_text=Renderer().request(asked) if asked else None,
        credentials=list(zip(found.credentials, permissions, evidence, strict=True)),
        timeline=line,
        drawing=drawn(line),
        days=days,
        ranges=RANGES,
        all_evidence=all_evidence,
    )


def _no_tenant() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.NOT_FOUND,
        "no_tenant",
        "there is no such tenant, and never was one of that id",
        "Look it up by name.",
    )
