"""How the control API reads a request and answers it, and which clients it refuses."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from checks.origin import is_loopback
from monitor.errors import ConfigurationError
from monitor.sandbox.greenhouse.request_log import LoggedChange, LoggedRequest
from monitor.sandbox.greenhouse.settings import summary

CONTROL_PATH = "/_sandbox"


class Body(BaseModel):
    """The body of a POST; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


BodyT = TypeVar("BodyT", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]
Handlers = dict[str, Handler]
"""By path, without `CONTROL_PATH`."""


class LoopbackOnly:
    """Refuses clients on other machines, and other names for this one (a web page's DNS can point anywhere)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        client = request.client.host if request.client else ""
        if not (is_loopback(client) and is_loopback(request.url.hostname or "")):
            refusal = error(403, "the control API answers only this machine, under a loopback address or localhost")
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def read(request: Request, model: type[BodyT]) -> BodyT:
    # Any web page can make a browser post a form or plain text here without a preflight, but not JSON.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "send JSON, with Content-Type: application/json")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as problem:
        raise ConfigurationError(f"invalid body: {summary(problem)}") from None


def with_dates(rows: Iterable[LoggedRequest | LoggedChange]) -> list[dict[str, Any]]:
    return [asdict(row) | {"at": iso_time(row.at)} for row in rows]


def iso_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"{text[:20]!r} is not a number")
    return int(text)


def answer(content: Any, *, status: int = 200) -> Response:
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})


def error(status: int, text: str) -> Response:
    return answer({"error": text}, status=status)


async def refused(request: Request, problem: Exception) -> Response:
    return error(400, str(problem))


async def refused_by_http(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return error(problem.status_code, problem.detail)
