"""What the pages and the API stand on, and the one transaction in which a page is read."""

from asyncio import Semaphore
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.breaker.machine import State as BreakerState
from monitor.config.settings import Settings
from monitor.notices import notice_queries
from monitor.reporting import service_queries
from monitor.reporting.headline import ServiceFacts
from monitor.reporting.kept_bursts import KeptBursts
from monitor.store.database import Database
from monitor.tenants.manifests import ManifestRegistry

PAGES_AT_ONCE = 6
DOWNLOADS_AT_ONCE = 2
"""Of the database's connections, 15 or 20: the others stay free for checks, however many people read."""


@dataclass(frozen=True, slots=True)
class WebContext:
    """Functions give what changes while the service runs. `paused_since` is None unless all checks are paused."""

    db: Database
    settings: Settings
    now: Callable[[], datetime]
    registry: Callable[[], ManifestRegistry]
    breaker: Callable[[], BreakerState]
    paused_since: Callable[[], datetime | None] = lambda: None
    bursts: KeptBursts = field(default_factory=KeptBursts)
    pages: Semaphore = field(default_factory=partial(Semaphore, PAGES_AT_ONCE))
    downloads: Semaphore = field(default_factory=partial(Semaphore, DOWNLOADS_AT_ONCE))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self.pages, self.db.reading() as conn:
            yield conn

    @asynccontextmanager
    async def downloading(self) -> AsyncIterator[AsyncConnection]:
        """For what is read as fast as its reader takes it."""
        async with self.downloads, self.db.reading() as conn:
            yield conn

    async def facts(self, conn: AsyncConnection, now: datetime) -> ServiceFacts:
        return await service_queries.facts(conn, now, self.settings, self.breaker(), self.paused_since())


def context(request: Request) -> WebContext:
    found: WebContext = request.app.state.context
    return found


@asynccontextmanager
async def reading(request: Request) -> AsyncIterator[AsyncConnection]:
    """One state of the database for the whole page, so that its figures agree; sets what every page shows of it."""
    async with reading_facts(request) as conn:
        request.state.held = await notice_queries.count_held(conn)
        yield conn


@asynccontextmanager
async def reading_facts(request: Request) -> AsyncIterator[AsyncConnection]:
    """As `reading`, for a page that reads the service's facts: it sets `request.state.held` of these."""
    web = context(request)
    request.state.now = web.now()
    async with web.reading() as conn:
        yield conn
