"""The control API of a sandbox: JSON and a page under `/_sandbox/`, for loopback clients only.

It has no password. So that no web page can use it through somebody's browser, a POST must be JSON, and the Host header
must name this machine. Calls to it are neither logged nor rate limited.
"""

from typing import Any

from pydantic import Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from monitor.errors import ConfigurationError
from monitor.sandbox.control.client_api import ClientApi
from monitor.sandbox.control.credential_api import shown_client, shown_key
from monitor.sandbox.control.fault_api import FaultApi, shown_faults
from monitor.sandbox.control.key_api import KeyApi
from monitor.sandbox.control.page import page_html
from monitor.sandbox.control.requests import (
    CONTROL_PATH,
    Body,
    LoopbackOnly,
    answer,
    number,
    read,
    refused,
    refused_by_http,
    with_dates,
)
from monitor.sandbox.greenhouse.accounts import Account
from monitor.sandbox.greenhouse.endpoints import endpoints
from monitor.sandbox.greenhouse.settings import NAMED_ORDERS, Retirement
from monitor.sandbox.sandbox import Sandbox

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
_ENTRIES = 200


class _NewAccount(Body):
    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


class _NewSettings(Body):
    """`account` null means all accounts, and strangers."""

    account: str | None
    settings: dict[str, Any]


class Control:
    """Each handler changes or shows one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        keys, clients, faults = KeyApi(self._sandbox), ClientApi(self._sandbox), FaultApi(self._sandbox)
        gets = {
            "/": self.page,
            "/state": self.state,
            "/endpoints": self.endpoints,
            "/accounts/{name}": self.account,
            "/ledger": self.request_log,
            "/changes": self.changes,
            **faults.gets(),
            **clients.gets(),
        }
        posts = {
            "/accounts": self.add_account,
            "/settings": self.settings,
            "/reset": self.reset,
            **keys.posts(),
            **faults.posts(),
            **clients.posts(),
        }
        return [
            Route(CONTROL_PATH, _to_page, methods=["GET"]),
            *(Route(CONTROL_PATH + path, handler, methods=["GET"]) for path, handler in gets.items()),
            *(Route(CONTROL_PATH + path, handler, methods=["POST"]) for path, handler in posts.items()),
        ]

    async def page(self, request: Request) -> Response:
        return HTMLResponse(page_html(), headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})

    async def state(self, request: Request) -> Response:
        sandbox, log = self._sandbox, self._sandbox.request_log
        return answer(
            {
                "accounts": [self._shown(account) for account in sandbox.accounts.values()],
                "everyone": sandbox.strangers.model_dump(mode="json"),
                **shown_faults(sandbox),
                "requests": log.request_count,
                "changes": log.change_count,
                "by_status": {str(status): count for status, count in log.by_status.items()},
                "choices": {"order": list(NAMED_ORDERS), "retired": list(Retirement)},
            }
        )

    async def endpoints(self, request: Request) -> Response:
        fields = ("name", "group", "title", "request_class", "cell", "gem", "standing")
        return answer([{field: getattr(each, field) for field in fields} for each in endpoints().values()])

    async def account(self, request: Request) -> Response:
        sandbox = self._sandbox
        account = sandbox.account(request.path_params["name"])
        return answer(
            {
                **self._shown(account),
                "settings": account.settings.model_dump(mode="json"),
                "keys": [shown_key(key) | {"grants": sorted(key.ticked)} for key in sandbox.keys.of(account)],
                "clients": [
                    shown_client(client) | {"scopes": sorted(client.ticked)} for client in sandbox.clients.of(account)
                ],
            }
        )

    async def request_log(self, request: Request) -> Response:
        log, query = self._sandbox.request_log, request.query_params
        entries = log.entries(query.get("account"), after=number(query.get("after"), 0))
        # Not less than 1: [-0:] would be all of them.
        last = entries[-max(1, number(query.get("limit"), _ENTRIES)) :]
        return answer({"requests": log.request_count, "forgotten": log.forgotten, "entries": with_dates(last)})

    async def changes(self, request: Request) -> Response:
        log = self._sandbox.request_log
        changes = log.changes(request.query_params.get("account"))
        return answer({"count": log.change_count, "changes": with_dates(changes)})

    async def add_account(self, request: Request) -> Response:
        body = await read(request, _NewAccount)
        return answer(self._shown(self._sandbox.add_account(body.name, **body.settings)), status=201)

    async def settings(self, request: Request) -> Response:
        body = await read(request, _NewSettings)
        self._sandbox.change(body.account, **body.settings)
        return await self.state(request)

    async def reset(self, request: Request) -> Response:
        await read(request, Body)
        self._sandbox.reset()
        return await self.state(request)

    def _shown(self, account: Account) -> dict[str, Any]:
        return {
            "name": account.name,
            "blocked": account.settings.blocked,
            "retired": account.settings.retired,
            "organization": account.organization_id,
            "keys": [shown_key(key) for key in self._sandbox.keys.of(account)],
            "clients": [shown_client(client) for client in self._sandbox.clients.of(account)],
        }


def control(sandbox: Sandbox) -> ASGIApp:
    """The application that serves `/_sandbox`."""
    return Starlette(
        routes=Control(sandbox).routes(),
        middleware=[Middleware(LoopbackOnly)],
        exception_handlers={ConfigurationError: refused, HTTPException: refused_by_http},
    )


async def _to_page(request: Request) -> Response:
    return RedirectResponse(f"{CONTROL_PATH}/")
