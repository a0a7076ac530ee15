"""How the tenants of a burst stand, after real checks and a real composer."""

from dataclasses import replace

from checks.credential import CredentialState
from checks.report import Excess
from monitor.incidents import burst_queries, change_queries
from monitor.incidents.burst_queries import ChangeState
from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.changes import ListedBurst, ToldStatus
from monitor.store.database import Database
from tests.bursts import ALL, LOST_AT, TENANTS, group_all
from tests.reports import HOUR, MINUTE, T0, failed, served
from tests.store import a_tenant, check, sync


async def the_loss(database: Database) -> ListedBurst:
    async with database.reading() as conn:
        found = await burst_queries.burst(conn, await burst_queries.latest_burst(conn, "lost:jobs") or 0)
    assert found is not None
    return found


async def test_a_burst_says_how_its_tenants_stand(wave: Database) -> None:
    """Restored, still missing, or gone with the tenant: together they are all; and who was checked and has it still."""
    loss = await the_loss(wave)
    assert (loss.kind, loss.permission_label, loss.tenants) == ("lost", "GET: jobs", 3)
    async with wave.reading() as conn:
        standings = await burst_queries.standings(conn, loss.id)
        assert (await burst_queries.surroundings(conn, loss)).spared == 1
    assert {key: count for key, count in standings.items() if count} == {ChangeState.LASTS: 2, ChangeState.RESTORED: 1}
    await sync(wave, *(a_tenant(name) for name in TENANTS if name != "initech"), now=LOST_AT + 2 * HOUR)
    async with wave.reading() as conn:
        standings = await burst_queries.standings(conn, loss.id)
    assert standings == {
        **dict.fromkeys(ChangeState, 0),
        ChangeState.LASTS: 1,
        ChangeState.RESTORED: 1,
        ChangeState.GONE: 1,
    }


async def test_a_burst_lists_its_tenants(wave: Database) -> None:
    """In pages, each with when it was seen, how it stands, and the notice that told somebody."""
    loss = await the_loss(wave)
    async with wave.reading() as conn:
        first = await burst_queries.burst_tenants(conn, loss.id, 2)
        rest = await burst_queries.burst_tenants(conn, loss.id, 2, first[-1].tenant_id)
    acme, globex, initech = [*first, *rest]
    assert (acme.name, acme.seen_before, acme.first_seen) == ("Acme", T0, LOST_AT)
    assert (acme.standing, acme.restored_at) == (ChangeState.RESTORED, LOST_AT + HOUR)
    assert (acme.status, acme.audience, acme.recipient) == (ToldStatus.PENDING, "csm", "Dana Reyes")
    assert acme.notice_id is not None
    assert (globex.standing, globex.restored_at, globex.sent_at) == (ChangeState.LASTS, None, None)
    assert (initech.status, initech.notice_id) == (ToldStatus.SETTLING, None)


async def test_credentials_and_excess_stand_as_they_are_now(database: Database) -> None:
    """A failed credential lasts until it works, excess until it is gone; an end is past, and nobody was told of it."""
    await sync(database, *map(a_tenant, TENANTS[:2]))
    excess = [Excess("GET: scorecards", "GET /v1/scorecards", certain=True)]
    for number in (1, 2):
        await check(database, served(ALL), T0, credential_id=number)
        await check(database, served(ALL, excess=excess), LOST_AT, credential_id=number)
        for minutes in (1, 2):
            await check(database, failed(CredentialState.BLOCKED), LOST_AT + minutes * MINUTE, credential_id=number)
    await check(database, served(ALL, no_excess=[excess[0].endpoint]), LOST_AT + HOUR, credential_id=1)
    await group_all(database)
    found = {}
    async with database.reading() as conn:
        for change in (await change_queries.changes(conn, WantedChanges(), 50)).changes:
            (burst,) = change.bursts
            standings = await burst_queries.standings(conn, burst.id)
            tenants = await burst_queries.burst_tenants(conn, burst.id, 50)
            assert [sum(one.standing is key for one in tenants) for key in ChangeState] == [*standings.values()]
            found[change.kind] = {key.value: count for key, count in standings.items() if count}
            assert (await burst_queries.surroundings(conn, replace(burst, first_at=T0))).spared == 0
    assert found == {
        "excess_found": {"lasts": 1, "restored": 1},
        "excess_gone": {"past": 1},
        "credential_failed": {"lasts": 1, "restored": 1},
        "recovered": {"past": 1},
    }


async def test_an_unknown_burst_is_none(database: Database) -> None:
    """It has no page and no tenants; nor has what never happened."""
    async with database.reading() as conn:
        assert await burst_queries.latest_burst(conn, "lost:jobs") is None
        assert await burst_queries.burst(conn, 17) is None
        assert await burst_queries.burst_tenants(conn, 17, 50) == []
