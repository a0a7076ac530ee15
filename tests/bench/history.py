"""What a year costs the database in time and space: a few simulated tenants, scaled to all."""

import asyncio
import time
from pathlib import Path

from sqlalchemy import URL

from monitor.store import sizes as store_sizes
from tests.bench.figures import Figure, Part
from tests.bench.load import logging_to
from tests.bench.sizes import Sizes
from tests.bench.year import simulate

ALL_TENANTS = 10_000


def measure(sizes: Sizes, folder: Path) -> Part:
    with logging_to(folder / "log"):
        return asyncio.run(_measure(sizes.year_tenants, sizes.year_days, folder))


async def _measure(tenants: int, days: int, folder: Path) -> Part:
    began, cpu = time.perf_counter(), time.process_time()
    year = await simulate(URL.create("sqlite+aiosqlite", database=str(folder / "year.sqlite3")), tenants, days)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    async with year.db.reading() as conn:
        whole = await store_sizes.of_database(conn)
    await year.db.close()
    return Part(
        "year",
        f"{tenants} tenants for {days} days, {year.checks:,} checks: store, mails and pruning, no requests",
        [
            Figure("elapsed time for each check, including waits for the disk", seconds / year.checks * 1000, "ms"),
            Figure("processor time for each check", cpu_seconds / year.checks * 1000, "ms"),
            Figure("size afterwards for each tenant", whole.used / tenants / 1000, "kB"),
            Figure(
                f"size afterwards, scaled to {ALL_TENANTS:,} tenants", whole.used / tenants * ALL_TENANTS / 1e9, "GB"
            ),
        ],
        [
            f"Scaled from {tenants} tenants, so an estimate: tables of a few tenants fill their pages less well. "
            f"Assumed: {year.customers.losses_a_year:g} losses a year for each tenant, of "
            f"{year.customers.permissions_at_once} permissions each."
        ],
    )
