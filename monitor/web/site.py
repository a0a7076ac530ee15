"""What `serve` offers over HTTP, on one address or on two."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from fastapi import APIRouter

from monitor.checking.preflight.preflight_queue import PreflightQueue
from monitor.config.addresses import ListenAddress
from monitor.metrics import Metrics
from monitor.web.app import application, bare_application, with_pages
from monitor.web.auth.sign_in import SignIn
from monitor.web.context import WebContext
from monitor.web.serve import serving

log = structlog.get_logger()


@asynccontextmanager
async def serving_site(
    metrics: Metrics,
    reach_database: Callable[[], Awaitable[None]],
    sign_in: SignIn,
    context: WebContext,
    preflights: PreflightQueue,
    main: ListenAddress,
    open_to_all: ListenAddress | None,
    more_pages: Sequence[APIRouter] = (),
) -> AsyncIterator[str]:
    """Listen; gives the base URL of the pages. With `open_to_all`, what needs no sign-in is there and nowhere else.

    ConfigurationError if one of the addresses cannot be listened on.
    """
    app = application(metrics, reach_database)
    async with AsyncExitStack() as listening:
        if open_to_all is not None:
            url = await listening.enter_async_context(serving(app, open_to_all.host, open_to_all.port))
            log.info("serving_metrics", address=url)
            app = bare_application()
        yield await listening.enter_async_context(
            serving(with_pages(app, sign_in, context, preflights, more_pages), main.host, main.port)
        )
