"""The application: `/metrics`, `/healthz` and `/readyz`, and what needs a sign-in."""

from collections.abc import Awaitable, Callable, Iterable

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp

from monitor.checking.preflight.preflight_queue import PreflightQueue
from monitor.errors import StoreError
from monitor.metrics import Metrics
from monitor.web.api.router import add_api
from monitor.web.auth.middleware import SignInMiddleware
from monitor.web.auth.oidc_pages import OidcPages
from monitor.web.auth.session_pages import SessionPages
from monitor.web.auth.sign_in import SignIn
from monitor.web.auth.sign_in_pages import SignInPages
from monitor.web.context import WebContext
from monitor.web.pages.all_pages import add_pages
from monitor.web.problems import handle_problems


def bare_application() -> FastAPI:
    return FastAPI(title="Harvest Monitor", docs_url=None, redoc_url=None, openapi_url=None)


def application(metrics: Metrics, reach_database: Callable[[], Awaitable[None]]) -> FastAPI:
    """`reach_database` raises StoreError, with the reason, where the database does not answer in time."""
    app = bare_application()

    @app.get("/metrics")
    async def exposition() -> Response:
        body, content_type = metrics.render()
        return Response(body, media_type=content_type)

    @app.get("/healthz")
    async def alive() -> PlainTextResponse:
        """An answer at all shows that the event loop runs."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def ready() -> PlainTextResponse:
        try:
            await reach_database()
        except StoreError:
            return PlainTextResponse("the database does not answer; the log has the reason\n", status_code=503)
        return PlainTextResponse("ok\n")

    return app


def with_pages(
    app: FastAPI,
    sign_in: SignIn,
    context: WebContext,
    preflights: PreflightQueue,
    more_pages: Iterable[APIRouter] = (),
) -> ASGIApp:
    """The application with every page and the API, behind the middleware that lets in nobody who is not signed in."""
    app.state.context = context
    handle_problems(app)
    add_pages(app)
    for router in more_pages:
        app.include_router(router)
    add_api(app, preflights, sign_in.trusted_networks.include)
    app.include_router(SignInPages(sign_in).router)
    app.include_router(SessionPages(sign_in).router)
    if sign_in.oidc is not None:
        app.include_router(OidcPages(sign_in, sign_in.oidc).router)
    return SignInMiddleware(app, sign_in)
