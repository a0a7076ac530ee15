"""What operators do: release, drop or retry notices, and resume write probes."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from monitor.checking import write_halt_queries
from monitor.notices import operator_actions
from monitor.notices.policy import NoticePolicy
from monitor.web.api.request_body import read_body
from monitor.web.auth.identity import Identity, operator
from monitor.web.context import WebContext, context
from monitor.web.errors import documented
from monitor.web.number_ranges import LARGEST_ID
from monitor.web.reason import JsonReason

MOST_NOTICES = 1000

Operator = Annotated[Identity, Depends(operator)]
Web = Annotated[WebContext, Depends(context)]

router = APIRouter(tags=["Actions"])


class NoticesToChange(BaseModel):
    """Each notice by its number: nothing acts on all of them at once."""

    model_config = ConfigDict(extra="forbid")

    notices: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] = Field(min_length=1, max_length=MOST_NOTICES)
    reason: JsonReason = Field(min_length=1, description="kept with who did it")


class NoticesChanged(BaseModel):
    """`unchanged` were not in the state that this acts on: somebody else was faster, or what they told has ended."""

    changed: list[int]
    unchanged: list[int]


class ReasonToResume(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: JsonReason = Field(min_length=1, description="what was found out; kept with who did it")


class WritesResumed(BaseModel):
    halts_lifted: int


_NOTICES, _RESUME = TypeAdapter(NoticesToChange), TypeAdapter(ReasonToResume)
_ERRORS = documented(400, 413, 415)


def _body(model: type[BaseModel], example: dict[str, object]) -> dict[str, object]:
    content = {"application/json": {"schema": model.model_json_schema(), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


_OF_NOTICES = _body(NoticesToChange, {"notices": [17, 18], "reason": "Greenhouse confirmed the change"})


@router.post(
    "/notices/release",
    name="release_notices",
    summary="Send held notices after all",
    response_model=NoticesChanged,
    responses=_ERRORS,
    openapi_extra=_OF_NOTICES,
)
async def release(request: Request, who: Operator, web: Web) -> Response:
    asked = await read_body(request, _NOTICES)
    return _changed(asked, await operator_actions.release(web.db, web.now(), who.who, asked.reason, asked.notices))


@router.post(
    "/notices/drop",
    name="drop_notices",
    summary="Never send held or failed notices",
    response_model=NoticesChanged,
    responses=_ERRORS,
    openapi_extra=_OF_NOTICES,
)
async def drop(request: Request, who: Operator, web: Web) -> Response:
    """Their CSMs are told neither of what happened nor of its end."""
    asked = await read_body(request, _NOTICES)
    return _changed(asked, await operator_actions.drop(web.db, web.now(), who.who, asked.reason, asked.notices))


@router.post(
    "/notices/retry",
    name="retry_notices",
    summary="Try failed notices again",
    response_model=NoticesChanged,
    responses=_ERRORS,
    openapi_extra=_OF_NOTICES,
)
async def retry(request: Request, who: Operator, web: Web) -> Response:
    """They go to the CSMs whom the tenants file names now."""
    asked = await read_body(request, _NOTICES)
    policy = NoticePolicy.of(web.settings)
    retried = await operator_actions.retry(web.db, web.now(), who.who, policy, asked.reason, asked.notices)
    return _changed(asked, retried)


@router.post(
    "/writes/resume",
    name="resume_writes",
    summary="Allow write probes again",
    response_model=WritesResumed,
    responses=_ERRORS,
    openapi_extra=_body(ReasonToResume, {"reason": "Greenhouse ticket 4711: nothing was changed"}),
)
async def resume(request: Request, who: Operator, web: Web) -> Response:
    """Examine the record named in the halt first."""
    asked = await read_body(request, _RESUME)
    async with web.db.writing() as conn:
        lifted = await write_halt_queries.lift(conn, who.who, asked.reason, web.now())
    return JSONResponse(WritesResumed(halts_lifted=lifted).model_dump(), HTTPStatus.OK)


def _changed(asked: NoticesToChange, changed: Sequence[int]) -> Response:
    answer = NoticesChanged(changed=list(changed), unchanged=sorted(set(asked.notices) - set(changed)))
    return JSONResponse(answer.model_dump())
