"""The list of what changed, after real checks."""

from monitor.drift import EventKind
from monitor.incidents import change_queries
from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.changes import ListedChange, Position
from monitor.store.database import Database
from tests.bursts import LOST_AT
from tests.reports import MINUTE, T0


async def listed(database: Database, wanted: WantedChanges, limit: int = 50) -> list[ListedChange]:
    found: list[ListedChange] = []
    after: Position | None = None
    async with database.reading() as conn:
        while True:
            page = await change_queries.changes(conn, wanted, limit, after)
            found += page.changes
            if page.after is None:
                return found
            after = page.after


async def test_many_tenants_are_one_row_and_so_is_one_check(wave: Database) -> None:
    """The latest first: what three lost alike is one row, and what one lost besides is another, with its labels."""
    back, jobs, rest = await listed(wave, WantedChanges())
    assert (back.kind, back.names, back.labels) == ("regained", {"acme": "Acme"}, ["GET: jobs"])
    assert (jobs.kind, jobs.tenants, jobs.events, jobs.labels) == ("lost", 3, 3, ["GET: jobs"])
    assert jobs.names == {"acme": "Acme", "globex": "Globex", "initech": "Initech"}
    assert (jobs.seen_from, jobs.first_seen, jobs.seen_to) == (T0, LOST_AT, LOST_AT + 9 * MINUTE)
    assert (rest.tenants, rest.names, sorted(rest.labels)) == (1, {"globex": "Globex"}, ["GET: offers", "GET: users"])


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
