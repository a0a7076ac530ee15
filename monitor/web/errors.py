"""Requests that are refused: one error, and one shape for it in the API; people get a page."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from checks.errors import HarvestMonitorError
from monitor.errors import StoreError
from monitor.web.allowed_methods import allow_header
from monitor.web.field_problem import ErrorDict, code_of, in_words
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

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        next_step: str,
        *,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.next_step = next_step
        self.retry_after_seconds = retry_after_seconds


_REFERENCE = "See /api/docs for every operation and its fields."
_PLAIN: Mapping[int, tuple[str, str, str]] = {
    401: ("not_signed_in", "nobody is signed in: nothing was done", "Send an API token, or sign in."),
    403: ("not_allowed", "this is not allowed: nothing was done", "Ask an operator."),
    404: ("not_found", "there is nothing at this address", _REFERENCE),
    405: ("method_not_allowed", "this address does not take that method", _REFERENCE),
    413: ("too_large", "the body is larger than is read", "Send less."),
    429: ("too_many_requests", "too many requests at once", "Wait, then ask again."),
}
_OTHER = ("refused", "the request was refused", _REFERENCE)

_MEANINGS: Mapping[int, str] = {
    400: "It cannot be used as it was sent, such as an altered cursor.",
    401: "Nobody is signed in, or the token is not valid.",
    403: "The role does not allow it.",
    404: "There is no such thing, or no longer.",
    405: "The address does not take this method.",
    409: "Somebody else was faster, or it cannot be done as things stand.",
    413: "The body is larger than is read.",
    414: "The address is longer than is read.",
    415: "The body is not JSON.",
    422: "A parameter or a field is wrong; the message names it, and never its value.",
    429: "Too many at once: wait for the seconds of `Retry-After`.",
    500: "A fault of ours; the log has it.",
    503: "The database does not answer, or checks are paused.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a router or an operation: these errors, with what each means."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in statuses}


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def api_error(refused: RequestRefused) -> JSONResponse:
    answer = ErrorAnswer(error=ErrorDetail(code=refused.code, message=refused.message, next=refused.next_step))
    headers = {"WWW-Authenticate": "Bearer"} if refused.status is HTTPStatus.UNAUTHORIZED else {}
    if refused.retry_after_seconds is not None:
        headers["Retry-After"] = str(refused.retry_after_seconds)
    return JSONResponse(answer.model_dump(), refused.status, headers)


def refusal_answer(request: Request, refused: RequestRefused) -> Response:
    """JSON for the API, a page for people."""
    if is_api(request.scope["path"]):
        return api_error(refused)
    return page(
        request,
        "problem.html",
        status_code=refused.status,
        title=refused.status.phrase,
        message=refused.message,
        next_step=refused.next_step,
        tone="calm",
    )


async def answer_refused(request: Request, refused: Exception) -> Response:
    """FastAPI's handler of RequestRefused."""
    assert isinstance(refused, RequestRefused)
    return refusal_answer(request, refused)


async def api_http_error(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: an unknown address, a method that is not taken."""
    assert isinstance(error, HTTPException)
    code, message, next_step = _PLAIN.get(error.status_code, _OTHER)
    answer = api_error(RequestRefused(HTTPStatus(error.status_code), code, message, next_step))
    answer.headers.update(headers_of(request, error))
    return answer


def headers_of(request: Request, error: HTTPException) -> Mapping[str, str]:
    return allow_header(request) if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else error.headers or {}


async def api_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return api_error(invalid_request(error.errors()))


def database_away(problem: StoreError) -> RequestRefused:
    """The reason is logged, not shown: it may name addresses."""
    log.error("page_without_database", problem=str(problem))
    return RequestRefused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database_unavailable",
        "the database does not answer",
        "Try again in a minute; the service's log has the reason.",
        retry_after_seconds=60,
    )


async def api_without_database(_: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    return api_error(database_away(error))


async def api_fault(_: Request, __: Exception) -> Response:
    """The server logs the exception itself."""
    return api_error(
        RequestRefused(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal_error",
            "this went wrong through a fault of ours",
            "Please report it with the lines of the service's log at this time.",
        )
    )


def invalid_request(problems: Sequence[ErrorDict]) -> RequestRefused:
    """Of pydantic's errors: each names its field, and none repeats a value, since that may be a secret."""
    return RequestRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        code_of(problems),
        in_words(problems),
        f"Correct it and send it again. {_REFERENCE}",
    )
