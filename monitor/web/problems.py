"""Errors as pages, and under /api/ as JSON. They are served from memory: none of them asks the database."""

from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from monitor.errors import StoreError
from monitor.web import errors
from monitor.web.templating import page

log = structlog.get_logger()

_TITLES = {
    400: "This address cannot be understood",
    403: "Not allowed",
    404: "There is no such page",
    405: "This page cannot be asked for that",
    409: "Somebody else was faster",
    422: "This address cannot be understood",
    429: "Not so soon",
}


Handler = Callable[[Request, Exception], Awaitable[Response]]


def handle_problems(app: FastAPI) -> None:
    """Every error is answered: under /api/ in the one shape of the API, elsewhere by a page."""
    app.add_exception_handler(errors.RequestRefused, errors.answer_refused)
    app.add_exception_handler(HTTPException, _by_path(errors.api_http_error, _http))
    app.add_exception_handler(RequestValidationError, _by_path(errors.api_validation_error, _validation))
    app.add_exception_handler(StoreError, _by_path(errors.api_without_database, _database_away))
    app.add_exception_handler(Exception, _by_path(errors.api_fault, _fault))


def _by_path(for_api: Handler, for_pages: Handler) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        return await (for_api if errors.is_api(request.scope["path"]) else for_pages)(request, error)

    return handle


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = page(
        request,
        "problem.html",
        status_code=error.status_code,
        title=_TITLES.get(error.status_code, "This page cannot be shown"),
        message="The address may be mistyped or old.",
        next_step="",
        tone="calm",
    )
    answer.headers.update(errors.headers_of(request, error))
    return answer


async def _validation(request: Request, error: Exception) -> Response:
    """Names the parameters, and repeats none of their values: an address can hold anything."""
    assert isinstance(error, RequestValidationError)
    names = sorted({str(problem["loc"][-1]) for problem in error.errors()})
    return page(
        request,
        "problem.html",
        status_code=422,
        title=_TITLES[422],
        message=f"Not usable in this address: {', '.join(names)}.",
        next_step="Start again from the overview.",
        tone="calm",
    )


async def _database_away(request: Request, error: Exception) -> Response:
    log.error("page_without_database", path=request.url.path, problem=str(error))
    return page(
        request,
        "problem.html",
        status_code=503,
        title="The database does not answer",
        message="No page can be shown, and no check is recorded until it does. Nothing is lost: checks that are due "
        "wait.",
        next_step="The service's log has the reason; `harvest-monitor doctor` says what to do. Then load this page "
        "again.",
        tone="bad",
    )


async def _fault(request: Request, _: Exception) -> Response:
    """The server logs the exception itself."""
    return page(
        request,
        "problem.html",
        status_code=500,
        title="This page broke off",
        message="That is a fault of ours. Checks and emails go on.",
        next_step="Please report it with the lines of the service's log at this time.",
        tone="bad",
    )
