"""The switches of a sandbox over HTTP: a JSON API and a page under `/_sandbox/`, for loopback clients only.

It needs no password. So that no web page can throw a switch through somebody's browser, a POST must say it is JSON, and
the Host header must name this machine. What is asked here is not in the ledger and not rate limited.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import resources
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from checks.gate import is_loopback
from monitor.errors import ConfigurationError
from monitor.sandbox.accounts import Account, Key
from monitor.sandbox.endpoints import endpoints
from monitor.sandbox.faults import Fault, FaultKind
from monitor.sandbox.ledger import Change, Entry
from monitor.sandbox.sandbox import KEY_LABEL, Sandbox
from monitor.sandbox.settings import Order, Retirement, in_words

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
_ENTRIES = 200


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _NewAccount(_Body):
    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


class _NewKey(_Body):
    account: str
    label: str = KEY_LABEL
    grants: str | list[str] = "all"
    text: str | None = None


class _WhichKey(_Body):
    """`key` is the label; without it, the account's only key."""

    account: str
    key: str | None = None


class _SomeEndpoints(_WhichKey):
    endpoints: list[str]


class _AllGrants(_WhichKey):
    grants: str | list[str]


class _NewSettings(_Body):
    """`account` null means all of them, strangers included."""

    account: str | None
    settings: dict[str, Any]


class _WhichAccount(_Body):
    account: str | None = None


_BodyT = TypeVar("_BodyT", bound=BaseModel)
_WhichKeyT = TypeVar("_WhichKeyT", bound=_WhichKey)


class _LoopbackOnly:
    """Turns away clients from other machines, and other names for this one (a web page's DNS can point anywhere)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        client = request.client.host if request.client else ""
        if not (is_loopback(client) and is_loopback(request.url.hostname or "")):
            refusal = _error(403, "the control answers only to this machine, under a loopback address or localhost")
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Control:
    """The handlers; each changes or shows one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        shown = {
            "/": self.page,
            "/state": self.state,
            "/endpoints": self.endpoints,
            "/accounts/{name}": self.account,
            "/ledger": self.ledger,
            "/changes": self.changes,
        }
        done = {
            "/accounts": self.add_account,
            "/keys": self.add_key,
            "/grant": self.grant,
            "/revoke": self.revoke,
            "/grants": self.grant_only,
            "/kill": self.kill,
            "/enable": self.enable,
            "/rotate": self.rotate,
            "/settings": self.settings,
            "/faults": self.add_fault,
            "/faults/clear": self.clear_faults,
            "/reset": self.reset,
        }
        return [
            Route("/_sandbox", _to_page, methods=["GET"]),
            *(Route("/_sandbox" + path, handler, methods=["GET"]) for path, handler in shown.items()),
            *(Route("/_sandbox" + path, handler, methods=["POST"]) for path, handler in done.items()),
        ]

    async def page(self, request: Request) -> Response:
        text = resources.files("monitor.sandbox").joinpath("page.html").read_text(encoding="utf-8")
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})

    async def state(self, request: Request) -> Response:
        sandbox = self._sandbox
        return _answer(
            {
                "accounts": [_account(account) for account in sandbox.accounts.values()],
                "everyone": sandbox.strangers.model_dump(mode="json"),
                "faults": [fault.model_dump(mode="json") for fault in sandbox.faults.in_force()],
                "requests": sandbox.ledger.request_count,
                "changes": sandbox.ledger.change_count,
                "by_status": {str(status): count for status, count in sandbox.ledger.by_status.items()},
                "choices": {"order": list(Order), "retired": list(Retirement), "fault": list(FaultKind)},
            }
        )

    async def endpoints(self, request: Request) -> Response:
        shown = ("name", "group", "title", "request_class", "cell", "gem", "standing")
        return _answer([{field: getattr(each, field) for field in shown} for each in endpoints().values()])

    async def account(self, request: Request) -> Response:
        account = self._sandbox.account(request.path_params["name"])
        detail = {
            "settings": account.settings.model_dump(mode="json"),
            "keys": [_key(key) | {"grants": sorted(key.grants)} for key in account.keys.values()],
        }
        return _answer(_account(account) | detail)

    async def ledger(self, request: Request) -> Response:
        ledger, query = self._sandbox.ledger, request.query_params
        entries = ledger.entries(query.get("account"), after=_number(query.get("after"), 0))
        last = entries[-max(1, _number(query.get("limit"), _ENTRIES)) :]
        return _answer({"requests": ledger.request_count, "forgotten": ledger.forgotten, "entries": _dated(last)})

    async def changes(self, request: Request) -> Response:
        ledger = self._sandbox.ledger
        changes = ledger.changes(request.query_params.get("account"))
        return _answer({"count": ledger.change_count, "changes": _dated(changes)})

    async def add_account(self, request: Request) -> Response:
        body = await _read(request, _NewAccount)
        return _answer(_account(self._sandbox.add_account(body.name, **body.settings)), status=201)

    async def add_key(self, request: Request) -> Response:
        body = await _read(request, _NewKey)
        key = self._sandbox.add_key(body.account, body.grants, label=body.label, text=body.text)
        return _answer(_key(key), status=201)

    async def grant(self, request: Request) -> Response:
        body, key = await self._key_of(request, _SomeEndpoints)
        key.grant(*body.endpoints)
        return _answer(_key(key))

    async def revoke(self, request: Request) -> Response:
        body, key = await self._key_of(request, _SomeEndpoints)
        key.revoke(*body.endpoints)
        return _answer(_key(key))

    async def grant_only(self, request: Request) -> Response:
        body, key = await self._key_of(request, _AllGrants)
        key.grant_only(body.grants)
        return _answer(_key(key))

    async def kill(self, request: Request) -> Response:
        _, key = await self._key_of(request, _WhichKey)
        key.kill()
        return _answer(_key(key))

    async def enable(self, request: Request) -> Response:
        _, key = await self._key_of(request, _WhichKey)
        key.enable()
        return _answer(_key(key))

    async def rotate(self, request: Request) -> Response:
        body = await _read(request, _WhichKey)
        return _answer(_key(self._sandbox.rotate(body.account, body.key)))

    async def settings(self, request: Request) -> Response:
        body = await _read(request, _NewSettings)
        self._sandbox.change(body.account, **body.settings)
        return await self.state(request)

    async def add_fault(self, request: Request) -> Response:
        fault = await _read(request, Fault)
        self._sandbox.add_fault(fault)
        return _answer(fault.model_dump(mode="json"), status=201)

    async def clear_faults(self, request: Request) -> Response:
        body = await _read(request, _WhichAccount)
        self._sandbox.faults.clear(body.account)
        return await self.state(request)

    async def reset(self, request: Request) -> Response:
        await _read(request, _Body)
        self._sandbox.reset()
        return await self.state(request)

    async def _key_of(self, request: Request, model: type[_WhichKeyT]) -> tuple[_WhichKeyT, Key]:
        body = await _read(request, model)
        return body, self._sandbox.key(body.account, body.key)


def control(sandbox: Sandbox) -> ASGIApp:
    """The application that serves `/_sandbox`."""
    return Starlette(
        routes=Control(sandbox).routes(),
        middleware=[Middleware(_LoopbackOnly)],
        exception_handlers={ConfigurationError: _refused, HTTPException: _refused_by_http},
    )


async def _to_page(request: Request) -> Response:
    return RedirectResponse("/_sandbox/")


async def _read(request: Request, model: type[_BodyT]) -> _BodyT:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "send JSON, with Content-Type: application/json")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as problem:
        raise ConfigurationError(f"the body does not fit: {in_words(problem)}") from None


def _account(account: Account) -> dict[str, Any]:
    settings = account.settings
    return {
        "name": account.name,
        "blocked": settings.blocked,
        "retired": settings.retired,
        "keys": [_key(key) for key in account.keys.values()],
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "account": key.account.name,
        "label": key.label,
        "text": key.text,
        "dead": key.dead,
        "granted": len(key.grants),
    }


def _dated(rows: Iterable[Entry | Change]) -> list[dict[str, Any]]:
    return [
        asdict(row) | {"at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds")} for row in rows
    ]


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"{text[:20]!r} is not a number")
    return int(text)


def _answer(content: Any, *, status: int = 200) -> Response:
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})


def _error(status: int, text: str) -> Response:
    return _answer({"error": text}, status=status)


async def _refused(request: Request, problem: Exception) -> Response:
    return _error(400, str(problem))


async def _refused_by_http(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return _error(problem.status_code, problem.detail)
