"""What the list of changes and the page of a burst show after real checks and a real composer."""

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import select, update

from checks.credential import CredentialState
from checks.report import Excess
from monitor.drift import EventKind
from monitor.incidents import burst_queries, change_queries, told_queries
from monitor.incidents.burst_queries import Standing
from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.changes import ListedBurst, ListedChange, Page, Position, Told, ToldStatus
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.store.burst_tables import BURST
from monitor.store.database import Database
from monitor.store.tables import NOTICE
from tests.bursts import group_all
from tests.installation import NOTICES
from tests.reports import HOUR, MINUTE, T0, failed, served
from tests.store import a_tenant, check, sync

ALL = {"jobs": "g", "offers": "g", "users": "g"}
LOST_AT = T0 + 4 * HOUR
TENANTS = ["acme", "globex", "initech", "umbrella"]


@pytest.fixture
async def wave(database: Database) -> Database:
    """Acme, Globex and Initech lose `jobs` within minutes, Globex also the other two; Acme's is back an hour later.

    Umbrella keeps all. The notices of Acme and Globex are pending; Initech's loss was not composed yet.
    """
    await sync(database, *map(a_tenant, TENANTS))
    for number in range(1, 5):
        await check(database, served(ALL), T0, credential_id=number)
    await loses(database, 1, {"jobs": "m"}, LOST_AT)
    await loses(database, 2, dict.fromkeys(ALL, "m"), LOST_AT + 5 * MINUTE)
    await Composer(database, NOTICES, Renderer()).run_once(LOST_AT + 50 * MINUTE)
    await loses(database, 3, {"jobs": "m"}, LOST_AT + 9 * MINUTE)
    await check(database, served(ALL), LOST_AT + HOUR, credential_id=1)
    await check(database, served(ALL), LOST_AT + HOUR, credential_id=4)
    await group_all(database)
    return database


async def loses(database: Database, credential_id: int, verdicts: dict[str, str], at: datetime) -> None:
    for moment in (at, at + MINUTE):
        await check(database, served({**ALL, **verdicts}), moment, credential_id=credential_id)


async def listed(database: Database, wanted: WantedChanges | None = None, limit: int = 50) -> list[ListedChange]:
    found: list[ListedChange] = []
    after: Position | None = None
    while True:
        async with database.reading() as conn:
            page: Page = await change_queries.changes(conn, wanted or WantedChanges(), limit, after)
        found += page.changes
        if page.after is None:
            return found
        after = page.after


async def the_loss(database: Database) -> ListedBurst:
    async with database.reading() as conn:
        wanted = select(BURST.c.id).where(BURST.c.kind == "lost", BURST.c.subject == "jobs")
        found = await burst_queries.burst(conn, (await conn.execute(wanted)).scalar_one())
    assert found is not None
    return found


async def test_many_tenants_are_one_row_and_so_is_one_check(wave: Database) -> None:
    """The latest first: what three lost alike is one row, and what one lost besides is another, with its labels."""
    back, jobs, rest = await listed(wave)
    assert (back.kind, back.names, back.labels) == ("regained", {"acme": "Acme"}, ["GET: jobs"])
    assert (jobs.kind, jobs.tenants, jobs.events, jobs.labels) == ("lost", 3, 3, ["GET: jobs"])
    assert jobs.names == {"acme": "Acme", "globex": "Globex", "initech": "Initech"}
    assert (jobs.seen_from, jobs.first_seen, jobs.seen_to) == (T0, LOST_AT, LOST_AT + 9 * MINUTE)
    assert (rest.tenants, rest.names, sorted(rest.labels)) == (1, {"globex": "Globex"}, ["GET: offers", "GET: users"])


async def test_a_row_says_who_was_told(wave: Database) -> None:
    """By tenant: sent, held, or still settling; the reader has a name if it is the tenant's CSM. The sum is all."""
    async with wave.writing() as conn:
        sent = {"status": "sent", "sent_at": LOST_AT + HOUR}
        await conn.execute(update(NOTICE).where(NOTICE.c.tenant_id == "globex").values(sent))
        await conn.execute(update(NOTICE).where(NOTICE.c.tenant_id == "acme").values(status="held"))
    changes = await listed(wave)
    async with wave.reading() as conn:
        back, jobs, rest = await told_queries.told_of_changes(conn, changes)
    held, settling, done = (
        Told(ToldStatus.HELD, 1, "csm", "Dana Reyes", None),
        Told(ToldStatus.SETTLING, 1, "csm", None, None),
        Told(ToldStatus.SENT, 1, "csm", "Dana Reyes", LOST_AT + HOUR),
    )
    assert jobs == (held, settling, done)
    assert rest == (done,)
    assert back == (settling,)


async def test_a_list_counts_no_crowds(wave: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with very many events are counted on their own page only; the small ones always are."""
    monkeypatch.setattr(told_queries, "COUNTED_EVENTS", 3)
    changes = await listed(wave)
    async with wave.reading() as conn:
        back, jobs, rest = await told_queries.told_of_changes(conn, changes)
        assert (await told_queries.told(conn, [(await the_loss(wave)).id])).keys() == {changes[1].bursts[0].id}
    assert jobs is None
    assert [one.tenants for told in (back, rest) if told for one in told] == [1, 1]


async def test_filters_leave_out_what_was_not_asked_for(wave: Database) -> None:
    """By tenant, permission (id or label), kinds and time, alone and together; a tenant asked for is named."""
    moment = LOST_AT + 30 * MINUTE
    cases = [
        (WantedChanges(), 3),
        (WantedChanges(tenant_id="acme"), 2),
        (WantedChanges(tenant_id="umbrella"), 0),
        (WantedChanges(permission="jobs"), 2),
        (WantedChanges(permission="GET: jobs"), 2),
        (WantedChanges(permission="jobs", kinds=[EventKind.REGAINED]), 1),
        (WantedChanges(permission="GET: jobs", kinds=[EventKind.LOST]), 1),
        (WantedChanges(permission="nothing"), 0),
        (WantedChanges(kinds=[EventKind.LOST]), 2),
        (WantedChanges(kinds=[EventKind.LOST, EventKind.REGAINED]), 3),
        (WantedChanges(kinds=[]), 0),
        (WantedChanges(since=moment), 1),
        (WantedChanges(until=moment), 2),
        (WantedChanges(tenant_id="globex", permission="GET: offers", kinds=[EventKind.LOST], until=moment), 1),
        (WantedChanges(tenant_id="acme", kinds=[EventKind.REGAINED], since=moment), 1),
        (WantedChanges(tenant_id="acme", permission="offers"), 0),
    ]
    for wanted, count in cases:
        whole = await listed(wave, wanted)
        assert len(whole) == count, wanted
        assert [change.bursts for change in await listed(wave, wanted, 1)] == [c.bursts for c in whole], wanted
        if wanted.tenant_id is not None:
            assert all(wanted.tenant_id in change.names for change in whole), wanted


async def test_a_burst_says_how_its_tenants_stand(wave: Database) -> None:
    """Restored, still missing, or gone with the tenant: together they are all; and who was checked and has it still."""
    loss = await the_loss(wave)
    async with wave.reading() as conn:
        standings = await burst_queries.standings(conn, loss.id)
        assert await burst_queries.spared(conn, loss) == 1
    assert {key: count for key, count in standings.items() if count} == {Standing.LASTS: 2, Standing.RESTORED: 1}
    await sync(wave, *(a_tenant(name) for name in TENANTS if name != "initech"), now=LOST_AT + 2 * HOUR)
    async with wave.reading() as conn:
        standings = await burst_queries.standings(conn, loss.id)
    assert standings == {**dict.fromkeys(Standing, 0), Standing.LASTS: 1, Standing.RESTORED: 1, Standing.GONE: 1}


async def test_a_burst_lists_its_tenants(wave: Database) -> None:
    """In pages, each with when it was seen, how it stands, and the notice that told somebody."""
    loss = await the_loss(wave)
    async with wave.reading() as conn:
        first = await burst_queries.burst_tenants(conn, loss.id, 2)
        rest = await burst_queries.burst_tenants(conn, loss.id, 2, first[-1].tenant_id)
    acme, globex, initech = [*first, *rest]
    assert (acme.name, acme.seen_before, acme.first_seen) == ("Acme", T0, LOST_AT)
    assert (acme.standing, acme.restored_at) == (Standing.RESTORED, LOST_AT + HOUR)
    assert (acme.status, acme.audience, acme.recipient) == (ToldStatus.PENDING, "csm", "Dana Reyes")
    assert acme.notice_id is not None
    assert (globex.standing, globex.restored_at, globex.sent_at) == (Standing.LASTS, None, None)
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
            assert [sum(one.standing is key for one in tenants) for key in Standing] == [*standings.values()]
            found[change.kind] = {key.value: count for key, count in standings.items() if count}
            assert await burst_queries.spared(conn, replace(burst, first_at=T0)) == 0
    assert found == {
        "excess_found": {"lasts": 1, "restored": 1},
        "excess_gone": {"past": 1},
        "credential_failed": {"lasts": 1, "restored": 1},
        "recovered": {"past": 1},
    }


async def test_an_unknown_burst_is_none(database: Database) -> None:
    """It has no page and no tenants."""
    async with database.reading() as conn:
        assert await burst_queries.burst(conn, 17) is None
        assert await burst_queries.burst_tenants(conn, 17, 50) == []
