"""The real application behind a sign-in, over real HTTP, with a few routes of a test."""

import html
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, FastAPI, Form

from checks.manifest import load
from checks.wire.connection import ConnectionSettings
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits
from monitor.breaker.machine import State as BreakerState
from monitor.checking.credential_check import CredentialCheck
from monitor.checking.greenhouse import Greenhouse
from monitor.checking.preflight.preflight_check import PreflightCheck
from monitor.checking.preflight.preflight_queue import PreflightQueue
from monitor.checking.write_halt import SharedWriteHalt
from monitor.config.settings import Settings
from monitor.metrics import Metrics
from monitor.notices.content.render import Renderer
from monitor.store.database import Database
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.manifests import ManifestRegistry
from monitor.web.app import application, with_pages
from monitor.web.auth.identity import Identity, operator, viewer
from monitor.web.auth.role import AccessRole
from monitor.web.auth.session_actions import LinkHolder, create_link
from monitor.web.auth.sign_in import SignIn
from monitor.web.auth.token_actions import NewToken, create_token
from monitor.web.context import WebContext
from monitor.web.serve import serving
from tests.installation import LIMITS, NOTICES, POLICY, Clock

OUR_OWN = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Website:
    """`done` is what was done by its two routes that do something."""

    url: str
    app: FastAPI
    db: Database
    clock: Clock
    sign_in: SignIn
    browser: httpx.AsyncClient
    done: list[str]

    async def link(self, role: AccessRole = AccessRole.VIEWER, name: str = "dana") -> str:
        """The path of a new link."""
        holder = LinkHolder(name, role)
        secret = await create_link(self.db, holder, "root", self.clock.now, self.sign_in.random)
        return f"/sign-in/link/{secret}"

    async def token(self, role: AccessRole = AccessRole.VIEWER, name: str = "grafana", owner: str = "dana") -> str:
        wanted = NewToken(name, role, owner, None)
        return await create_token(self.db, wanted, "root", self.clock.now, self.sign_in.random)

    async def open_link(self, path: str, to: str = "/") -> httpx.Response:
        """Press the button of the link's page."""
        form = {"link": path.rsplit("/", 1)[1], "to": to}
        return await self.browser.post("/sign-in/link", data=form, headers=OUR_OWN)

    async def signed_in(self, role: AccessRole = AccessRole.VIEWER, name: str = "dana") -> None:
        answer = await self.open_link(await self.link(role, name))
        assert answer.status_code == 303, answer.text

    def another_browser(self) -> httpx.AsyncClient:
        return new_browser(self.url)

    async def who(self) -> str | None:
        """Who the browser is signed in as."""
        answer = await self.browser.get("/who")
        return answer.text if answer.status_code == 200 else None


@asynccontextmanager
async def website(
    db: Database,
    *,
    port: int = 0,
    clock: Clock | None = None,
    more_pages: Iterable[APIRouter] = (),
    **settings: object,
) -> AsyncIterator[Website]:
    clock, done = clock or Clock(), list[str]()
    app = application(Metrics("test"), db.ping)

    @app.get("/who")
    async def who(identity: Annotated[Identity, Depends(viewer)]) -> str:
        return f"{identity.name} {identity.role} {identity.source}"

    @app.api_route("/act", methods=["POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def act(identity: Annotated[Identity, Depends(operator)], reason: Annotated[str, Form()] = "") -> str:
        done.append(f"{identity.who}: {reason}")
        return "done"

    @app.api_route("/api/v1/act", methods=["POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def api_act(identity: Annotated[Identity, Depends(operator)]) -> str:
        done.append(identity.who)
        return "done"

    @app.get("/api/v1/who", include_in_schema=False)
    async def api_who(identity: Annotated[Identity, Depends(viewer)]) -> str:
        return identity.who

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("on purpose")

    configured = Settings(**settings)
    context = web_context(db, configured, clock)
    sign_in = SignIn.of(configured, db, clock.read)
    queue = preflights(db, clock)
    site = with_pages(app, sign_in, context, queue, more_pages)
    async with serving(site, "127.0.0.1", port) as url:
        async with new_browser(url) as browser:
            yield Website(url, app, db, clock, sign_in, browser, done)
    await queue.stop()


def web_context(db: Database, settings: Settings, clock: Clock) -> WebContext:
    registry = ManifestRegistry(load("gem"))
    return WebContext(db, settings, clock.read, lambda: registry, lambda: BreakerState.CLOSED)


@cache
def _nobody() -> Greenhouse:
    # Made once: it reads the machine's certificates, which takes longer than most tests.
    breaker = CircuitBreaker(Limits.of(60))
    return Greenhouse("http://127.0.0.1:9", "test", ConnectionSettings(), LIMITS, Metrics("test"), breaker)


def preflights(db: Database, clock: Clock) -> PreflightQueue:
    """There is no Greenhouse."""
    breaker = CircuitBreaker(Limits.of(60))
    check = CredentialCheck(_nobody(), CredentialLoader(b"fingerprint key of the tests", 5))
    halt = SharedWriteHalt(db, NOTICES, Renderer(), clock.read)
    return PreflightQueue(PreflightCheck(check, halt, POLICY), breaker, clock.read)


def new_browser(url: str) -> httpx.AsyncClient:
    # verify=False: reading the certificates would take longer than most tests, and all is plain http here.
    return httpx.AsyncClient(base_url=url, trust_env=False, verify=False)


def hidden_fields(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {html.unescape(name): html.unescape(value) for name, value in found}
