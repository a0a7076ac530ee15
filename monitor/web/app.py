"""`/metrics`, `/healthz` and `/readyz`."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

from monitor.errors import StoreError
from monitor.metrics import Metrics


def application(metrics: Metrics, reach_database: Callable[[], Awaitable[None]]) -> FastAPI:
    """`reach_database` raises StoreError, with the reason, where the database does not answer in time."""
    app = FastAPI(title="Harvest Monitor", docs_url=None, redoc_url=None, openapi_url=None)

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
