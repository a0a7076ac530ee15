"""Readers and checks share the database's connections."""

import asyncio

from sqlalchemy import select

from monitor.config.settings import Settings
from monitor.store.database import Database
from tests.installation import Clock
from tests.website import web_context


async def test_checks_have_a_connection_however_many_read(database: Database) -> None:
    """Pages and downloads wait for each other; what writes waits for none of them."""
    web = web_context(database, Settings(), Clock())
    last = asyncio.Event()

    async def read() -> None:
        async with web.reading():
            await last.wait()

    async def download() -> None:
        async with web.downloading():
            await last.wait()

    async with asyncio.TaskGroup() as readers:
        for _ in range(30):
            readers.create_task(read())
            readers.create_task(download())
        await asyncio.sleep(0.1)
        try:
            async with asyncio.timeout(5), database.writing() as conn:
                assert (await conn.execute(select(1))).scalar_one() == 1
        finally:
            last.set()
