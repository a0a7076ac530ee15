"""Pre-flights: check a credential that was just handed over, without storing anything of it."""

from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from checks.credential import CredentialKind
from monitor.checking.preflight.preflight_check import PreflightOrder
from monitor.checking.preflight.preflight_queue import MOST_OPEN, Preflight, PreflightQueue, PreflightState
from monitor.checking.preflight.terms import TermsRefused
from monitor.web.api.check_result import PreflightAnswer
from monitor.web.api.preflight_body import PREFLIGHT_BODY, ClientPreflight, KeyPreflight, body_schema
from monitor.web.api.request_body import read_body
from monitor.web.api.transport import require_protected
from monitor.web.auth.identity import Identity, operator, viewer
from monitor.web.context import WebContext, context
from monitor.web.errors import RequestRefused, documented

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 60
POLL_SECONDS = 5

Wait = Annotated[
    int, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="seconds to wait for the result before answering without it")
]

router = APIRouter(prefix="/checks", tags=["Pre-flight"])
_EXAMPLE = {"kind": "harvest-key", "key": "the key that the customer created", "features": ["eeoc"], "tenant": "acme"}
_CONTENT = {"application/json": {"schema": body_schema(), "example": _EXAMPLE}}
_BODY = {"requestBody": {"required": True, "content": _CONTENT}}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"model": PreflightAnswer, "description": "Not done yet: ask again at `Location`."}
}


def preflights(request: Request) -> PreflightQueue:
    found: PreflightQueue = request.app.state.preflights
    return found


Queue = Annotated[PreflightQueue, Depends(preflights)]
Operator = Annotated[Identity, Depends(operator)]
Context = Annotated[WebContext, Depends(context)]


@router.post(
    "",
    summary="Check a credential now",
    # In this order: who asks, and how it came here, before anything of the body is read.
    dependencies=[Depends(operator), Depends(require_protected)],
    response_model=PreflightAnswer,
    response_description="Done.",
    responses={**_ACCEPTED, **documented(400, 413, 415, 503)},
    openapi_extra=_BODY,
)
async def start_check(request: Request, who: Operator, queue: Queue, web: Context, wait: Wait = 0) -> Response:
    """Asks Greenhouse what the credential may do, as the regular checks do, and stores nothing.

    A credential in order takes about a minute at two requests a second; where something lacks, a second look follows a
    minute later. So the answer is 202 with `Location`, or 200 if it was done within `wait` seconds. Needs the role of
    an operator, and TLS.
    """
    if queue.paused:
        raise _paused()
    body = await read_body(request, PREFLIGHT_BODY, tags=frozenset(CredentialKind))
    preflight = queue.submit(_order(body, web))
    if preflight is None:
        raise _too_many()
    log.info("accepted_preflight", preflight=preflight.id, tenant=body.tenant, who=who.who)
    await preflight.wait(wait)
    return _answer(preflight)


@router.get(
    "/{id}",
    summary="The state and the result of a check",
    dependencies=[Depends(viewer)],
    response_model=PreflightAnswer,
    response_description="Done.",
    responses={**_ACCEPTED, **documented(404)},
)
async def show_check(id: str, queue: Queue, wait: Wait = 0) -> Response:
    """Kept for an hour after it was done, in the memory of the process that was asked."""
    preflight = queue.find(id)
    if preflight is None:
        raise RequestRefused(
            HTTPStatus.NOT_FOUND,
            "unknown_check",
            "there is no such check, or no longer: results are kept for an hour, and not over a restart",
            "Start it again.",
        )
    await preflight.wait(wait)
    return _answer(preflight)


def _order(body: KeyPreflight | ClientPreflight, web: WebContext) -> PreflightOrder:
    try:
        request = body.terms.request(web.registry())
        permitted = body.terms.permitted(web.settings.write_probes)
    except TermsRefused as problem:
        raise RequestRefused(HTTPStatus.UNPROCESSABLE_ENTITY, problem.code, str(problem), problem.next_step) from None
    return PreflightOrder(body.credential, body.kind, body.granted, request, permitted, body.tenant)


def _answer(preflight: Preflight) -> Response:
    answer = PreflightAnswer(
        id=preflight.id, state=preflight.state, created_at=preflight.created_at, done_at=preflight.done_at
    )
    content = {**answer.model_dump(mode="json"), "result": preflight.result}
    headers = {"Cache-Control": "private, no-store"}
    if preflight.state is PreflightState.DONE:
        return JSONResponse(content, headers=headers)
    headers |= {"Location": f"/api/v1/checks/{preflight.id}", "Retry-After": str(POLL_SECONDS)}
    return JSONResponse(content, HTTPStatus.ACCEPTED, headers)


def _paused() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "checks_paused",
        "checks are paused, because many tenants met the same trouble at Greenhouse: nothing was sent",
        "Ask again in a few minutes; the overview shows what the trouble is.",
        retry_after_seconds=60,
    )


def _too_many() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_checks",
        f"{MOST_OPEN} checks are waiting or running, which is as many as are taken: nothing was sent",
        "Wait for the seconds of `Retry-After`, then send it again.",
        retry_after_seconds=30,
    )
