"""Requests a second in complete checks, compared with bare clients in the same minutes; and where the time goes."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.bench.answers import Exchange
from tests.bench.figures import Figure, Part
from tests.bench.load import CONCURRENCY, Timing, bare, fast_transport, service, sweep
from tests.bench.sampler import REST, SQLITE, sampling
from tests.bench.sizes import Sizes
from tests.bench.vendor import BenchVendor

FIRST, LATER, BARE, STOCK = "a first sweep", "a later sweep", "bare httpx", "bare httpx on its own engine"
ENOUGH = 0.6


def measure(address: str, table: Sequence[Exchange], first_requests: int, sizes: Sizes, folder: Path) -> Part:
    """In alternating blocks, so that other load on the machine affects all of them alike."""
    return asyncio.run(_measure(address, table, first_requests, sizes, folder))


async def _measure(address: str, table: Sequence[Exchange], first_requests: int, sizes: Sizes, folder: Path) -> Part:
    vendor = BenchVendor.of(folder / "vendor", sizes.pipeline)
    timings: dict[str, Timing] = defaultdict(Timing)
    async with service(vendor.loaded(harvest_url=address), folder / "log") as ours:
        for first in range(1, sizes.pipeline, sizes.block):
            block = range(first, first + sizes.block)
            async with fast_transport() as transport:
                timings[BARE] += await bare(address, table, len(block), transport)
            timings[FIRST] += await sweep(ours, block, first_requests)
            timings[LATER] += await sweep(ours, block, len(table))
        with sampling() as samples:
            sampled = await sweep(ours, range(1, sizes.profile + 1), len(table))
    timings[STOCK] += await bare(address, table, sizes.block, httpx.AsyncHTTPTransport())
    return Part(
        "pipeline",
        f"{sizes.pipeline:,} tenants, {len(table)} requests each, {CONCURRENCY} tenants at once, politeness off",
        [*_rates(timings), *_costs(timings), *profile(samples.seconds, sampled.tenants, "a later check")],
        [
            "A first sweep finds everything new and writes a row for each permission; a later one finds nothing new. "
            "Bare httpx uses the engine that the product uses (aiohttp), with connections kept open; each check opens "
            "its own connection. The server is a process on another core."
        ],
    )


def _rates(timings: Mapping[str, Timing]) -> list[Figure]:
    rates = {name: each.requests_per_second for name, each in timings.items()}
    return [
        *(Figure(f"requests a second: {name}", rates[name], "/s") for name in (BARE, FIRST, LATER, STOCK)),
        Figure("ratio to bare httpx: a first sweep", rates[FIRST] / rates[BARE], aim=ENOUGH, under=False),
        Figure("ratio to bare httpx: a later sweep", rates[LATER] / rates[BARE], aim=ENOUGH, under=False),
    ]


def _costs(timings: Mapping[str, Timing]) -> list[Figure]:
    later, cost = timings[LATER], {name: each.cpu_milliseconds_each for name, each in timings.items()}
    return [
        *(
            Figure(f"the same by processor time: {name}", cost[BARE] / cost[name], aim=ENOUGH, under=False)
            for name in (FIRST, LATER)
        ),
        *(Figure(f"processor time for each tenant: {name}", cost[name], "ms") for name in (BARE, FIRST, LATER)),
        Figure("processor time for each request: a later sweep", later.cpu_seconds / later.requests * 1e6, "µs"),
        Figure("10,000 later checks in 4 h, share of one core", cost[LATER] * 10_000 / 144_000, "%"),
    ]


def profile(seconds: Mapping[str, float], checks: int, of: str) -> list[Figure]:
    """Where the processor time of a check goes, the largest part first."""
    most = sorted(seconds, key=lambda layer: (layer == REST, -seconds[layer]))
    where = {layer: seconds[layer] / checks * 1000 for layer in most}
    database = sum(value for layer, value in where.items() if layer in (SQLITE, "SQLAlchemy and the store"))
    return [
        *(Figure(f"of {of}: {layer}", value, "ms") for layer, value in where.items()),
        Figure(f"of {of}: the database, SQLite's threads included", database, "ms"),
    ]
