"""Load for a fast server: checks made by the service's own job, or requests of bare clients."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from sqlalchemy import func, select, update

from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.logs import LogFormat, LogLevel, configure
from monitor.service import MonitorService, assembled
from monitor.store.database import open_database
from monitor.store.tables import CHECK, CREDENTIAL
from tests.bench.answers import Exchange

CONCURRENCY = 50


@dataclass(frozen=True, slots=True)
class Timing:
    """For so many tenants and requests: elapsed seconds, and processor time of this process."""

    tenants: int = 0
    requests: int = 0
    seconds: float = 0
    cpu_seconds: float = 0

    def __add__(self, other: "Timing") -> "Timing":
        return Timing(
            self.tenants + other.tenants,
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
        )

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_milliseconds_each(self) -> float:
        """For each tenant."""
        return self.cpu_seconds / self.tenants * 1000


async def timed(act: Callable[[int], Awaitable[None]], numbers: Sequence[int]) -> Timing:
    """Calls `act` for each number, `CONCURRENCY` at a time."""
    waiting = iter(numbers)

    async def work() -> None:
        for one in waiting:
            await act(one)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    return Timing(len(numbers), 0, time.perf_counter() - began, time.process_time() - cpu)


async def bare(address: str, table: Sequence[Exchange], tenants: int, transport: httpx.AsyncBaseTransport) -> Timing:
    """A plain httpx client with open connections: no gate, no verdicts, no database."""
    statuses = [exchange.status for exchange in table]
    async with httpx.AsyncClient(transport=transport) as client:

        async def ask(number: int) -> None:
            headers = {"authorization": f"Basic {number:064x}", "accept": "application/json"}
            answers = [
                await client.request(entry.method, address + entry.target, content=entry.body, headers=headers)
                for entry, _, _ in table
            ]
            assert [answer.status_code for answer in answers] == statuses

        return replace(await timed(ask, range(tenants)), requests=tenants * len(table))


@asynccontextmanager
async def fast_transport() -> AsyncIterator[httpx.AsyncBaseTransport]:
    """The transport under httpx that the product uses."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())
    async with session:
        yield AiohttpTransport(client=session)


@asynccontextmanager
async def service(settings: Settings, log: Path) -> AsyncIterator[MonitorService]:
    """The parts of `serve`, with its log; nothing runs by itself."""
    with logging_to(log):
        async with assembled(settings, await open_database(settings.database)) as made:
            yield made


@contextmanager
def logging_to(file: Path) -> Iterator[None]:
    with file.open("w") as stream:
        configure(LogLevel.INFO, LogFormat.JSON, stream)
        yield


async def sweep(service: MonitorService, credential_ids: range, requests_each: int) -> Timing:
    """Check each of these once, as `serve` does, and verify that every request of the table was sent."""
    ours = CREDENTIAL.c.id.between(credential_ids[0], credential_ids[-1])
    async with service.db.writing() as conn:
        await conn.execute(update(CREDENTIAL).where(ours).values(next_due=utc_now()))
        newest = (await conn.execute(select(func.coalesce(func.max(CHECK.c.id), 0)))).scalar_one()
    timing = await timed(service.check_job.check, credential_ids)
    complete = (CHECK.c.outcome == "compliant") & (CHECK.c.requests == requests_each)
    async with service.db.reading() as conn:
        count = select(func.count()).select_from(CHECK).where(CHECK.c.id > newest, complete)
        assert (await conn.execute(count)).scalar_one() == len(credential_ids), "not every check was complete"
    return replace(timing, requests=len(credential_ids) * requests_each)
