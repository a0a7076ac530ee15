"""The API over real HTTP, with a sandbox as Greenhouse, and with whoever asks named in a header."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from checks.catalogue.entry import WriteProbes
from checks.manifest import load
from checks.wire.connection import ConnectionSettings
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits
from monitor.checking.credential_check import CredentialCheck
from monitor.checking.greenhouse import Greenhouse, RequestLimits
from monitor.checking.preflight.preflight_check import PreflightCheck
from monitor.checking.preflight.preflight_queue import PreflightQueue
from monitor.checking.write_halt import SharedWriteHalt
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.metrics import Metrics
from monitor.notices.content.render import Renderer
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import running
from monitor.store.database import Database
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.manifests import ManifestRegistry
from monitor.web.api.router import add_api
from monitor.web.app import application
from monitor.web.auth.identity import Identity, IdentitySource
from monitor.web.auth.role import AccessRole
from monitor.web.context import WebContext
from monitor.web.problems import handle_problems
from monitor.web.serve import serving
from tests.installation import LIMITS, NOTICES
from tests.reports import POLICY

AS = "x-test-role"
FROM = "x-test-address"
TRUSTED = "10.0.0.7"


@dataclass
class ApiHarness:
    http: httpx.AsyncClient
    sandbox: Sandbox
    queue: PreflightQueue
    app: FastAPI

    async def check(self, body: dict[str, Any], wait: int = 60, **headers: str) -> httpx.Response:
        return await self.http.post(f"/api/v1/checks?wait={wait}", json=body, headers={AS: "operator", **headers})


async def no_time(_: float) -> None:
    """The minute before a second look, in a test."""


async def reachable() -> None:
    pass


@asynccontextmanager
async def api(
    db: Database,
    *,
    writes: WriteProbes = WriteProbes.OFF,
    sleep: Callable[[float], Awaitable[None]] = no_time,
    limits: RequestLimits = LIMITS,
    breaker: CircuitBreaker | None = None,
    extend: Callable[[FastAPI], None] = lambda app: None,
) -> AsyncIterator[ApiHarness]:
    sandbox, breaker = Sandbox(request_log_size=10_000), breaker or CircuitBreaker(Limits.of(60))
    sandbox.change(None, limit=1_000_000, v3_limit=1_000_000, token_limit=1_000_000)
    metrics, registry = Metrics("test"), ManifestRegistry(load("gem"))
    async with running(sandbox) as greenhouse_url:
        greenhouse = Greenhouse(greenhouse_url, "test", ConnectionSettings(), limits, metrics, breaker)
        credential_check = CredentialCheck(greenhouse, CredentialLoader(b"fingerprint key of the tests", 5))
        write_halt = SharedWriteHalt(db, NOTICES, Renderer(), utc_now)
        queue = PreflightQueue(PreflightCheck(credential_check, write_halt, POLICY, sleep), breaker, utc_now)
        app = application(metrics, reachable)
        app.state.context = WebContext(
            db, Settings(write_probes=writes), utc_now, lambda: registry, lambda: breaker.state
        )
        handle_problems(app)
        add_api(app, queue, trusts_proxy=lambda address: address == TRUSTED)
        extend(app)
        async with serving(_as_told(app), "127.0.0.1", 0) as url, new_client(url) as http:
            try:
                yield ApiHarness(http, sandbox, queue, app)
            finally:
                await queue.stop()
                await asyncio.sleep(0)


def _as_told(app: FastAPI) -> Any:
    """Signs in and places the client as the headers of a test say."""

    async def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope.get("headers", [])}
        role = headers.get(AS)
        state = {} if role is None else {"identity": Identity("Ada", AccessRole(role), IdentitySource.TOKEN)}
        client = (headers[FROM], 1) if FROM in headers else scope.get("client")
        await app({**scope, "state": state, "client": client}, receive, send)

    return wrapped


def error_of(answer: httpx.Response) -> dict[str, str]:
    """The error of an answer, which has to be of the one shape."""
    (name, error), *more = answer.json().items()
    assert (name, more) == ("error", [])
    assert set(error) == {"code", "message", "next"}
    assert all(error.values()), error
    found: dict[str, str] = error
    return found


def new_client(url: str) -> httpx.AsyncClient:
    # verify=False: reading the certificates would take longer than most tests, and all is plain http here.
    return httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, verify=False)
