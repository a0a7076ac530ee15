"""Errors as pages. They are served from memory: none of them asks the database."""

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from monitor.errors import StoreError
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


class PageProblem(HTTPException):
    """A page that cannot be shown as asked; `next_step` says what the reader can do."""

    def __init__(self, status_code: int, message: str, next_step: str = "") -> None:
        super().__init__(status_code, message)
        self.next_step = next_step


def handle_problems(app: FastAPI) -> None:
    """Pages for every error; those under /api/ have their own."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(StoreError, _database_away)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = error.detail if error.detail and isinstance(error, PageProblem) else "The address may be mistyped or old."
    return page(
        request,
        "problem.html",
        status_code=error.status_code,
        title=_TITLES.get(error.status_code, "This page cannot be shown"),
        message=message,
        next_step=getattr(error, "next_step", ""),
        tone="calm",
    )


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
        message="No page can be shown, and no check is recorded until it does. Nothing is lost: due checks wait.",
        next_step="The service's log has the reason, and `harvest-monitor doctor` says what to do.",
        tone="bad",
    )
