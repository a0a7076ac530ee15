"""Requests that are refused: one error, and one shape for it in the API; people get a page."""

from http import HTTPStatus

import structlog
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from checks.errors import HarvestMonitorError
from monitor.errors import StoreError
from monitor.web.templating import page

log = structlog.get_logger()


class ErrorDetail(BaseModel):
    code: str = Field(description="for programs: snake_case, and never reworded")
    message: str = Field(description="for people: what happened")
    next: str = Field(description="what to do about it")


class ErrorAnswer(BaseModel):
    """Every error of the API."""

    error: ErrorDetail


class RequestRefused(HarvestMonitorError):
    """Nothing was done; the text says why, and `next_step` what to do."""

    def __init__(self, status: HTTPStatus, code: str, message: str, next_step: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.next_step = next_step


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def api_error(refused: RequestRefused) -> JSONResponse:
    answer = ErrorAnswer(error=ErrorDetail(code=refused.code, message=refused.message, next=refused.next_step))
    headers = {"WWW-Authenticate": "Bearer"} if refused.status is HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(answer.model_dump(), refused.status, headers)


def refusal_answer(request: Request, refused: RequestRefused) -> Response:
    """JSON for the API, a page for people."""
    if is_api(request.url.path):
        return api_error(refused)
    return page(request, "refused.html", status_code=refused.status, refused=refused)


def database_away(problem: StoreError) -> RequestRefused:
    """The reason is logged, not shown: it may name addresses."""
    log.error("page_without_database", problem=str(problem))
    return RequestRefused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database_unavailable",
        "the database does not answer",
        "Try again in a minute; the service's log has the reason.",
    )


async def answer_refused(request: Request, refused: Exception) -> Response:
    """FastAPI's handler of RequestRefused."""
    assert isinstance(refused, RequestRefused)
    return refusal_answer(request, refused)
