"""Requests a second of all that a check is, beside bare clients in the same minutes; and where its time goes."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.bench.answers import Exchange
from tests.bench.figures import Figure, Part
from tests.bench.load import AT_ONCE, Took, bare, fast_transport, service, sweep
from tests.bench.sampler import REST, SQLITE, sampling
from tests.bench.sizes import Sizes
from tests.bench.vendor import Vendor

FIRST, LATER, BARE, STOCK = "a first sweep", "a later sweep", "bare httpx", "bare httpx on its own engine"
ENOUGH = 0.6


def measure(address: str, table: Sequence[Exchange], sizes: Sizes, folder: Path) -> Part:
    """In blocks that take turns, so that what else the machine does meets all of them alike."""
    return asyncio.run(_measure(address, table, sizes, folder))


async def _measure(address: str, table: Sequence[Exchange], sizes: Sizes, folder: Path) -> Part:
    vendor = Vendor.of(folder / "vendor", sizes.pipeline)
    took: dict[str, Took] = defaultdict(Took)
    async with service(vendor.loaded(harvest_url=address), folder / "log") as ours:
        for first in range(1, sizes.pipeline, sizes.block):
            block = range(first, first + sizes.block)
            async with fast_transport() as transport:
                took[BARE] += await bare(address, table, len(block), transport)
            took[FIRST] += await sweep(ours, block, len(table))
            took[LATER] += await sweep(ours, block, len(table))
        with sampling() as samples:
            sampled = await sweep(ours, range(1, sizes.profile + 1), len(table))
    took[STOCK] += await bare(address, table, sizes.block, httpx.AsyncHTTPTransport())
    return Part(
        "pipeline",
        f"{sizes.pipeline:,} tenants, {len(table)} requests each, {AT_ONCE} tenants at once, politeness off",
        [*_rates(took), *_costs(took), *profile(samples.seconds, sampled.tenants, "a later check")],
        [
            "A first sweep finds everything new and writes a row for each permission; a later one finds nothing new. "
            "Bare httpx uses the engine that the product uses (aiohttp), with connections kept open; a check opens a "
            "connection of its own. The server is a process on another core."
        ],
    )


def _rates(took: Mapping[str, Took]) -> list[Figure]:
    rates = {name: each.requests_per_second for name, each in took.items()}
    return [
        *(Figure(f"requests a second: {name}", rates[name], "/s") for name in (BARE, FIRST, LATER, STOCK)),
        Figure("ratio to bare httpx: a first sweep", rates[FIRST] / rates[BARE], aim=ENOUGH, under=False),
        Figure("ratio to bare httpx: a later sweep", rates[LATER] / rates[BARE], aim=ENOUGH, under=False),
    ]


def _costs(took: Mapping[str, Took]) -> list[Figure]:
    later, cost = took[LATER], {name: each.cpu_milliseconds_each for name, each in took.items()}
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
    """Where the processor's time of a check goes, the most first."""
    most = sorted(seconds, key=lambda layer: (layer == REST, -seconds[layer]))
    where = {layer: seconds[layer] / checks * 1000 for layer in most}
    database = sum(value for layer, value in where.items() if layer in (SQLITE, "SQLAlchemy and the store"))
    return [
        *(Figure(f"of {of}: {layer}", value, "ms") for layer, value in where.items()),
        Figure(f"of {of}: the database, SQLite's threads included", database, "ms"),
    ]
