"""How long it takes to load a tenants file of full size, and how many database rows one changed row costs."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from monitor.assembly import Assembly
from monitor.clock import utc_now
from monitor.metrics import Metrics
from monitor.store.database import open_database
from tests.bench.figures import Figure, Part
from tests.bench.load import logging_to
from tests.bench.sizes import Sizes
from tests.bench.vendor import BenchVendor

MOST_SECONDS = 2


def measure(sizes: Sizes, folder: Path) -> Part:
    with logging_to(folder / "log"):
        return asyncio.run(_measure(BenchVendor.of(folder / "vendor", sizes.rows)))


async def _measure(vendor: BenchVendor) -> Part:
    settings = vendor.loaded()
    db = await open_database(settings.database)
    sync = Assembly(settings).tenant_sync(db, Metrics("bench"))
    seconds, rows = [], []
    text = vendor.tenants_file.read_text("utf-8")
    for content in (text, text, text.replace("Customer 00001 Inc.", "Other")):
        vendor.tenants_file.write_text(content, "utf-8")
        with _counted() as written:
            began = time.perf_counter()
            await sync.load(utc_now())
            seconds.append(time.perf_counter() - began)
        rows.append(sum(written))
    await db.close()
    return Part(
        "tenants-file",
        f"A tenants file of {vendor.tenants:,} rows",
        [
            Figure("loaded into an empty database", seconds[0], "s", MOST_SECONDS),
            Figure("loaded again, nothing changed", seconds[1], "s", MOST_SECONDS),
            Figure("loaded again, one row changed", seconds[2], "s", MOST_SECONDS),
            Figure("database rows written for nothing changed", rows[1], aim=1),
            Figure("database rows written for one row changed", rows[2], aim=2),
        ],
    )


@contextmanager
def _counted() -> Iterator[list[int]]:
    """Counts of rows changed by statements, on any connection."""
    written: list[int] = []

    def count(_: Any, cursor: Any, statement: str, *__: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "BEGIN", "PRAGMA")):
            written.append(max(0, cursor.rowcount))

    event.listen(Engine, "after_cursor_execute", count)
    try:
        yield written
    finally:
        event.remove(Engine, "after_cursor_execute", count)
