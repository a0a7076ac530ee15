"""The overview says once what many have in common."""

import re

import pytest
from sqlalchemy import update

from monitor.drift import EventKind
from monitor.incidents.burst_grouper import BurstGrouper
from monitor.incidents.status import TenantStatus
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, TENANT
from tests.composer import NOW, ComposerHarness
from tests.website import website


@pytest.fixture
async def held(sqlite: Database) -> Database:
    world = ComposerHarness(sqlite)
    await world.burst(EventKind.LOST, 5)
    await world.run()
    async with sqlite.writing() as conn:
        drifted = {"status": "drifted", "severity": TenantStatus.DRIFTED.severity, "status_since": NOW}
        await conn.execute(update(TENANT).values(drifted))
        # One of them lacks something else as well.
        await conn.execute(update(CREDENTIAL).where(CREDENTIAL.c.tenant_id == "burst0").values(missing=2))
    while await BurstGrouper(sqlite).run_once():
        pass
    return sqlite


async def test_tenants_of_a_held_change_are_one_row_that_leads_to_it(held: Database) -> None:
    """With how many they are, beside those that have another trouble; asked for, they are listed one by one."""
    async with website(held, notices="csm") as site:
        await site.signed_in()
        status = (await site.browser.get("/api/v1/tenants?status=attention")).json()["items"]
        page = (await site.browser.get("/")).text
        rows = re.findall(r'<tr><t[hd][^>]*><a href="/(bursts/\d+|tenants/[^"]+)">', page.partition('id="rows"')[2])
        one_by_one = (await site.browser.get("/?status=attention")).text
    assert len(status) == 5
    assert ">4 tenants of the held change<" in page
    assert [row for row in rows if row.startswith("tenants/")] == ["tenants/burst0"]
    assert f"{len(status)} of {len(status)}</span>" in page
    assert one_by_one.count('<tr><th scope="row"><a href="/tenants/') == len(status)
