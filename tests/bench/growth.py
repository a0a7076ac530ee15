"""Memory and time for growing numbers of tenants, each in its own process; and `serve` at its real rate with all."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from sqlite3 import connect
from typing import Any

from sqlalchemy import update

from monitor.clock import utc_now
from monitor.store.database import open_database
from monitor.store.tables import CREDENTIAL
from tests.bench.figures import Figure, Part
from tests.bench.load import Timing, service, sweep
from tests.bench.machine import cpu_seconds, peak_megabytes
from tests.bench.sizes import Sizes
from tests.bench.vendor import BenchVendor
from tests.command import serving
from tests.mail import AUTHORITY

MOST_MEGABYTES = 250
MOST_OF_A_CORE = 5
SETTLED_SECONDS = 45  # by then as many checks end as start


@dataclass(frozen=True, slots=True)
class GrowthStep:
    timing: Timing
    megabytes_before: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Observed:
    """`serve` observed for some seconds: its processor time, and the checks recorded meanwhile."""

    seconds: float
    cpu_seconds: float
    checks: int
    megabytes: float

    @property
    def percent(self) -> float:
        return 100 * self.cpu_seconds / self.seconds


def grow(address: str, requests_each: int, vendor: BenchVendor) -> GrowthStep:
    """A new service reads the tenants file and checks every tenant once."""
    return asyncio.run(_grow(address, requests_each, vendor))


async def _grow(address: str, requests_each: int, vendor: BenchVendor) -> GrowthStep:
    before = peak_megabytes()
    async with service(vendor.loaded(harvest_url=address), vendor.folder / "log") as ours:
        timing = await sweep(ours, range(1, vendor.tenants + 1), requests_each)
        await ours.show()
        await ours.catch_up()
    return GrowthStep(timing, before, peak_megabytes())


def growth(grown: Mapping[int, GrowthStep]) -> Part:
    (fewest, few), *_, (most, many) = grown.items()
    sizes = [
        Figure(f"peak memory, {tenants:,} tenants", each.megabytes, "MB", MOST_MEGABYTES if tenants == most else None)
        for tenants, each in grown.items()
    ]
    times = [
        Figure(f"processor time for each tenant, {tenants:,} tenants", each.timing.cpu_milliseconds_each, "ms")
        for tenants, each in grown.items()
    ]
    additional = (many.megabytes - few.megabytes) * 1000 / (most - fewest)
    return Part(
        "growth",
        f"From {fewest:,} to {most:,} tenants: each checked once, the full table",
        [*sizes, Figure("memory for each additional tenant", additional, "kB"), *times],
        [f"An interpreter with everything imported is {few.megabytes_before:.0f} MB of it."],
    )


def pace(address: str, vendor: BenchVendor, sizes: Sizes) -> Part:
    """`serve` on the database left by `grow`: with the usual number of checks due, then with none."""
    settings = vendor.settings(
        harvest_url=address,
        ca_bundle=AUTHORITY,
        interval=sizes.interval,
        requests_per_second=sizes.requests_per_second,
    )
    asyncio.run(_postpone(vendor, sizes, 0))
    busy = _observe(vendor, settings, min(SETTLED_SECONDS, sizes.pace_seconds), sizes.pace_seconds)
    asyncio.run(_postpone(vendor, sizes, sizes.idle_seconds * 2 + 10))
    idle = _observe(vendor, settings, sizes.idle_seconds / 4, sizes.idle_seconds)
    for_checks = max(0, busy.percent - idle.percent) / 100 * busy.seconds
    return Part(
        "growth",
        f"`serve` with {vendor.tenants:,} tenants, each checked every {sizes.interval}, "
        f"{sizes.requests_per_second:g} requests a second",
        [
            Figure(f"share of one core, measured over {busy.seconds:.0f} s", busy.percent, "%", MOST_OF_A_CORE),
            Figure(f"of that with nothing due, measured over {idle.seconds:.0f} s", idle.percent, "%"),
            Figure("checks recorded meanwhile", busy.checks),
            Figure("checks a second", busy.checks / busy.seconds, "/s"),
            Figure("processor time for each check", for_checks / max(1, busy.checks) * 1000, "ms"),
            Figure("peak memory", busy.megabytes, "MB", MOST_MEGABYTES),
        ],
        ["Over https, with one connection for each check, as with Greenhouse."],
    )


async def _postpone(vendor: BenchVendor, sizes: Sizes, seconds: float) -> None:
    """Move what is due within so many seconds to the end of the interval."""
    settings = vendor.loaded(interval=sizes.interval)
    soon = utc_now() + timedelta(seconds=seconds)
    db = await open_database(settings.database)
    async with db.writing() as conn:
        late = update(CREDENTIAL).where(CREDENTIAL.c.next_due < soon)
        await conn.execute(late.values(next_due=utc_now() + settings.interval))
    await db.close()


def _observe(vendor: BenchVendor, settings: dict[str, Any], settling: float, seconds: float) -> Observed:
    with serving(vendor.folder, **settings) as served:
        assert served.url
        pid = served.process.pid
        time.sleep(settling)
        began, cpu, checks = time.perf_counter(), cpu_seconds(pid), _checks(vendor)
        time.sleep(seconds)
        elapsed, used, recorded = time.perf_counter() - began, cpu_seconds(pid) - cpu, _checks(vendor) - checks
        return Observed(elapsed, used, recorded, peak_megabytes(pid))


def _checks(vendor: BenchVendor) -> int:
    with closing(connect(vendor.database)) as conn:
        return int(conn.execute("SELECT count(*) FROM check_summary WHERE outcome = 'compliant'").fetchone()[0])
