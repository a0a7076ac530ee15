"""One tenant, and checking it now."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from monitor.checking import recheck
from monitor.checking.recheck import Recheck
from monitor.reporting import tenant_list_queries
from monitor.web.api.request_body import read_body
from monitor.web.auth.identity import Identity, operator, viewer
from monitor.web.conditional import conditional_json
from monitor.web.context import context
from monitor.web.errors import RequestRefused, documented
from monitor.web.lists.tenants import TenantItem
from monitor.web.reason import JsonReason
from monitor.web.recheck_refusal import refused
from monitor.web.utc_moment import UtcMoment

TenantId = Annotated[str, Path(max_length=200)]

router = APIRouter(prefix="/tenants", tags=["Tenants"])


class Reason(BaseModel):
    """Kept with who asked."""

    model_config = ConfigDict(extra="forbid")

    reason: JsonReason = ""


class RecheckAccepted(BaseModel):
    tenant_id: str
    message: str
    again_at: UtcMoment | None = Field(description="when a check may be asked for again")


_BODY = TypeAdapter(Reason)
_CONTENT = {"application/json": {"schema": Reason.model_json_schema(), "example": {"reason": "Dana ticked it again"}}}


@router.get(
    "/{tenant_id}",
    name="show_tenant",
    summary="One tenant as it stands now",
    response_model=TenantItem,
    responses=documented(404),
    dependencies=[Depends(viewer)],
)
async def show_tenant(request: Request, tenant_id: TenantId) -> Response:
    """Its permissions are in `/verdicts?tenant=…`, its past in `/history?tenant=…`."""
    async with context(request).reading() as conn:
        row = await tenant_list_queries.one(conn, tenant_id)
    if row is None:
        raise RequestRefused(
            HTTPStatus.NOT_FOUND, "no_tenant", "there is no such tenant, or it was removed", "List them at /tenants."
        )
    return conditional_json(request, TenantItem.model_validate(row))


@router.post(
    "/{tenant_id}/recheck",
    name="recheck_tenant",
    summary="Check one tenant now",
    status_code=HTTPStatus.ACCEPTED,
    response_model=RecheckAccepted,
    responses=documented(400, 404, 409, 413, 415, 429),
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
)
async def recheck_tenant(
    request: Request, tenant_id: TenantId, who: Annotated[Identity, Depends(operator)]
) -> Response:
    """At most every ten minutes. The running service checks it within seconds; `last_checked_at` shows when it did."""
    web = context(request)
    body = await read_body(request, _BODY)
    now = web.now()
    answer = (await recheck.ask(web.db, [tenant_id], who.who, body.reason, now))[tenant_id]
    if answer.result is not Recheck.ASKED:
        raise refused(answer, now)
    accepted = RecheckAccepted(tenant_id=tenant_id, message=answer.message, again_at=answer.again_at)
    return JSONResponse(accepted.model_dump(mode="json"), HTTPStatus.ACCEPTED)
