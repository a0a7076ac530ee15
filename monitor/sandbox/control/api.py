"""The switches of a sandbox over HTTP: a JSON API and a page under `/_sandbox/`, for loopback clients only.

It needs no password. So that no web page can throw a switch through somebody's browser, a POST must say it is JSON, and
the Host header must name this machine. What is asked here is not in the ledger and not rate limited.
"""

from collections.abc import Callable
from importlib import resources
from typing import Any, TypeVar

from pydantic import Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from monitor.errors import ConfigurationError
from monitor.sandbox.clients import Client
from monitor.sandbox.control.client_api import ClientApi, shown
from monitor.sandbox.control.fault_api import FaultApi, trouble
from monitor.sandbox.control.requests import Body, LoopbackOnly, answer, dated, number, read, refused, refused_by_http
from monitor.sandbox.greenhouse.accounts import Account, Key
from monitor.sandbox.greenhouse.endpoints import endpoints
from monitor.sandbox.greenhouse.settings import Order, Retirement
from monitor.sandbox.sandbox import KEY_LABEL, Sandbox

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
_ENTRIES = 200


class _NewAccount(Body):
    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


class _NewKey(Body):
    account: str
    label: str = KEY_LABEL
    grants: str | list[str] = "all"
    text: str | None = None


class _WhichKey(Body):
    """`key` is the label; without it, the account's only key."""

    account: str
    key: str | None = None


class _WhichKeys(Body):
    """As `_WhichKey`; without an account, that of each account."""

    account: str | None = None
    key: str | None = None


class _SomeEndpoints(_WhichKeys):
    endpoints: list[str]


class _AllGrants(_WhichKeys):
    grants: str | list[str]


class _NewSettings(Body):
    """`account` null means all of them, strangers included."""

    account: str | None
    settings: dict[str, Any]


_WhichKeysT = TypeVar("_WhichKeysT", bound=_WhichKeys)


class Control:
    """The handlers; each changes or shows one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        rehearsal, clientele = FaultApi(self._sandbox), ClientApi(self._sandbox)
        looked_at = {
            "/": self.page,
            "/state": self.state,
            "/endpoints": self.endpoints,
            "/accounts/{name}": self.account,
            "/ledger": self.ledger,
            "/changes": self.changes,
            **rehearsal.shown(),
            **clientele.shown(),
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
            "/reset": self.reset,
            **rehearsal.done(),
            **clientele.done(),
        }
        return [
            Route("/_sandbox", _to_page, methods=["GET"]),
            *(Route("/_sandbox" + path, handler, methods=["GET"]) for path, handler in looked_at.items()),
            *(Route("/_sandbox" + path, handler, methods=["POST"]) for path, handler in done.items()),
        ]

    async def page(self, request: Request) -> Response:
        text = resources.files("monitor.sandbox.control").joinpath("page.html").read_text(encoding="utf-8")
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})

    async def state(self, request: Request) -> Response:
        sandbox = self._sandbox
        return answer(
            {
                "accounts": [_account(account) for account in sandbox.accounts.values()],
                "everyone": sandbox.strangers.model_dump(mode="json"),
                **trouble(sandbox),
                "requests": sandbox.ledger.request_count,
                "changes": sandbox.ledger.change_count,
                "by_status": {str(status): count for status, count in sandbox.ledger.by_status.items()},
                "choices": {"order": list(Order), "retired": list(Retirement)},
            }
        )

    async def endpoints(self, request: Request) -> Response:
        fields = ("name", "group", "title", "request_class", "cell", "gem", "standing")
        return answer([{field: getattr(each, field) for field in fields} for each in endpoints().values()])

    async def account(self, request: Request) -> Response:
        account = self._sandbox.account(request.path_params["name"])
        detail = {
            "settings": account.settings.model_dump(mode="json"),
            "keys": [_key(key) | {"grants": sorted(key.grants)} for key in account.keys.values()],
            "clients": [shown(client) | {"scopes": sorted(client.scopes)} for client in account.clients.values()],
        }
        return answer(_account(account) | detail)

    async def ledger(self, request: Request) -> Response:
        ledger, query = self._sandbox.ledger, request.query_params
        entries = ledger.entries(query.get("account"), after=number(query.get("after"), 0))
        last = entries[-max(1, number(query.get("limit"), _ENTRIES)) :]
        return answer({"requests": ledger.request_count, "forgotten": ledger.forgotten, "entries": dated(last)})

    async def changes(self, request: Request) -> Response:
        ledger = self._sandbox.ledger
        changes = ledger.changes(request.query_params.get("account"))
        return answer({"count": ledger.change_count, "changes": dated(changes)})

    async def add_account(self, request: Request) -> Response:
        body = await read(request, _NewAccount)
        return answer(_account(self._sandbox.add_account(body.name, **body.settings)), status=201)

    async def add_key(self, request: Request) -> Response:
        body = await read(request, _NewKey)
        key = self._sandbox.add_key(body.account, body.grants, label=body.label, text=body.text)
        return answer(_key(key), status=201)

    async def grant(self, request: Request) -> Response:
        body, keys = await self._keys_of(request, _SomeEndpoints)
        return _done(keys, lambda key: key.grant(*body.endpoints))

    async def revoke(self, request: Request) -> Response:
        body, keys = await self._keys_of(request, _SomeEndpoints)
        return _done(keys, lambda key: key.revoke(*body.endpoints))

    async def grant_only(self, request: Request) -> Response:
        body, keys = await self._keys_of(request, _AllGrants)
        return _done(keys, lambda key: key.grant_only(body.grants))

    async def kill(self, request: Request) -> Response:
        keys, clients = await self._credentials_of(request)
        for one in _both(keys, clients):
            one.kill()
        return _stand(keys, clients)

    async def enable(self, request: Request) -> Response:
        keys, clients = await self._credentials_of(request)
        for one in _both(keys, clients):
            one.enable()
        return _stand(keys, clients)

    async def rotate(self, request: Request) -> Response:
        body = await read(request, _WhichKey)
        return answer(_key(self._sandbox.rotate(body.account, body.key)))

    async def settings(self, request: Request) -> Response:
        body = await read(request, _NewSettings)
        self._sandbox.change(body.account, **body.settings)
        return await self.state(request)

    async def reset(self, request: Request) -> Response:
        await read(request, Body)
        self._sandbox.reset()
        return await self.state(request)

    async def _keys_of(self, request: Request, model: type[_WhichKeysT]) -> tuple[_WhichKeysT, list[Key]]:
        body = await read(request, model)
        return body, self._sandbox.keys(body.account, body.key)

    async def _credentials_of(self, request: Request) -> tuple[list[Key], list[Client]]:
        """Keys, as they are named; and where none is named, the client of an account that has no key."""
        body = await read(request, _WhichKeys)
        accounts = self._sandbox.accounts.values() if body.account is None else [self._sandbox.account(body.account)]
        keyless = [each for each in accounts if each.clients and not each.keys] if body.key is None else []
        if body.account is not None and keyless:
            return [], [keyless[0].client()]
        return self._sandbox.keys(body.account, body.key), [each.client() for each in keyless]


def control(sandbox: Sandbox) -> ASGIApp:
    """The application that serves `/_sandbox`."""
    return Starlette(
        routes=Control(sandbox).routes(),
        middleware=[Middleware(LoopbackOnly)],
        exception_handlers={ConfigurationError: refused, HTTPException: refused_by_http},
    )


async def _to_page(request: Request) -> Response:
    return RedirectResponse("/_sandbox/")


def _done(keys: list[Key], change: Callable[[Key], None]) -> Response:
    """The same change to each key, and how they stand then."""
    for key in keys:
        change(key)
    return _stand(keys, [])


def _both(keys: list[Key], clients: list[Client]) -> list[Key | Client]:
    return [*keys, *clients]


def _stand(keys: list[Key], clients: list[Client]) -> Response:
    return answer({"keys": [_key(key) for key in keys], "clients": [shown(client) for client in clients]})


def _account(account: Account) -> dict[str, Any]:
    settings = account.settings
    return {
        "name": account.name,
        "blocked": settings.blocked,
        "retired": settings.retired,
        "organization": account.organization_id,
        "keys": [_key(key) for key in account.keys.values()],
        "clients": [shown(client) for client in account.clients.values()],
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "account": key.account.name,
        "label": key.label,
        "text": key.text,
        "dead": key.dead,
        "granted": len(key.grants),
    }
