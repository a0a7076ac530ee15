"""Drift events in a database become bursts, on SQLite and on Postgres."""

import asyncio
import random
from dataclasses import replace

from sqlalchemy import select

from monitor.incidents import grouping_queries
from monitor.incidents.burst_grouper import BurstGrouper
from monitor.incidents.bursts import BurstEvent, group
from monitor.store.burst_tables import BURST
from monitor.store.database import Database
from monitor.store.tables import DRIFT_EVENT
from tests.bursts import add_events, add_tenants, an_event, group_all
from tests.reports import MINUTE, T0
from tests.store import rows


async def parts(database: Database) -> set[frozenset[int]]:
    """Which events are together; those in no burst are left out."""
    async with database.reading() as conn:
        found = await conn.execute(select(DRIFT_EVENT.c.burst_id, DRIFT_EVENT.c.id))
        of_burst: dict[int, set[int]] = {}
        for burst, event in found:
            of_burst.setdefault(burst, set()).add(event)
    of_burst.pop(None, None)  # type: ignore[call-overload]
    return {frozenset(events) for events in of_burst.values()}


def drawn(count: int, tenants: list[str]) -> list[BurstEvent]:
    """A year in small: events of five subjects and two kinds, some of many tenants."""
    draw = random.Random(count)
    moments = sorted(T0 + draw.uniform(0, 40 * count) * MINUTE / 10 for _ in range(count))
    return [
        an_event(n, draw.choice(tenants), at, draw.choice("abcde"), draw.choice(["lost", "regained"]))
        for n, at in enumerate(moments, 1)
    ]


async def test_stored_events_are_grouped_as_the_rules_say(database: Database) -> None:
    """In small batches, before and after an upgrade in the midst of the events; and the counts are right."""
    tenants = await add_tenants(database, 12)
    events = drawn(150, tenants)
    expected = {frozenset(event.id for event in burst.added) for burst in group(events, [])}
    await add_events(database, events[:90])
    assert await BurstGrouper(database, batch=7, batches=3, rest_seconds=0).run_once() == 21
    await add_events(database, events[90:])
    assert await group_all(database, batch=7) == 150 - 21
    assert await parts(database) == expected
    assert any(len(part) > 3 for part in expected)
    async with database.reading() as conn:
        assert await grouping_queries.miscounts(conn) == []
    assert await group_all(database) == 0


async def test_the_newest_are_grouped_first(database: Database) -> None:
    """Of what an upgrade finds the newest, then what is new; a run is limited, so that checks go on."""
    await add_tenants(database, 1)
    events = [an_event(n, "tenant-1", T0 + n * 60 * MINUTE) for n in range(1, 9)]
    await add_events(database, events[:6])
    grouper = BurstGrouper(database, batch=1, batches=2, rest_seconds=0)
    assert await grouper.run_once() == 2
    assert await parts(database) == {frozenset({5}), frozenset({6})}
    await add_events(database, events[6:])
    assert await grouper.run_once() == 2
    assert await parts(database) == {frozenset({n}) for n in (5, 6, 7, 8)}


async def test_an_event_committed_late_is_not_forgotten(database: Database) -> None:
    """On Postgres a transaction may commit an event after others with higher ids; it joins their burst."""
    await add_tenants(database, 3)
    await add_events(database, [an_event(1, "tenant-1"), an_event(3, "tenant-3", T0 + MINUTE)])
    await group_all(database)
    await add_events(database, [an_event(2, "tenant-2", T0 + MINUTE)])
    await group_all(database)
    (burst,) = await rows(database, BURST)
    assert (burst["events"], burst["tenants"], burst["last_at"]) == (3, 3, T0 + MINUTE)


async def test_an_event_deep_in_a_long_burst_joins_it(database: Database) -> None:
    """A burst that began hours before and goes on for hours after it is found, among others of the same subject."""
    await add_tenants(database, 1)
    long = [an_event(n, "tenant-1", T0 + n * 15 * MINUTE) for n in range(2, 40)]
    other = [an_event(n, "tenant-1", T0 + n * 15 * MINUTE, kind="regained") for n in range(100, 104)]
    await add_events(database, [*long, *other])
    await group_all(database)
    await add_events(database, [an_event(1, "tenant-1", T0 + 300 * MINUTE)])
    await group_all(database)
    assert sorted(map(len, await parts(database))) == [4, 39]


async def test_processes_share_the_work(workers: list[Database]) -> None:
    """However many group at the same time, every event is in one burst and counted once."""
    tenants = await add_tenants(workers[0], 12)
    events = drawn(120, tenants)
    await add_events(workers[0], events)
    groupers = [BurstGrouper(database, batch=5, batches=40, rest_seconds=0) for database in workers]
    assert sum(await asyncio.gather(*(grouper.run_once() for grouper in groupers))) == len(events)
    assert await parts(workers[0]) == {frozenset(event.id for event in burst.added) for burst in group(events, [])}
    async with workers[0].reading() as conn:
        assert await grouping_queries.miscounts(conn) == []


async def test_subjects_are_kept_apart(database: Database) -> None:
    """Of a credential the state is the subject, and a replaced secret has none."""
    await add_tenants(database, 2)
    plain = replace(an_event(1, "tenant-1"), permission_id=None, permission_label=None, permission_group=None)
    kinds = [
        ("credential_failed", "invalid"),
        ("credential_failed", "blocked"),
        ("recovered", "invalid"),
        ("replaced", None),
        ("replaced", None),
        ("credential_failed", "invalid"),
    ]
    failed = [
        replace(plain, id=number, tenant_id=f"tenant-{1 + number % 2}", kind=kind, state=state)
        for number, (kind, state) in enumerate(kinds, 1)
    ]
    await add_events(database, failed)
    await group_all(database)
    assert await parts(database) == {frozenset({1, 6}), frozenset({2}), frozenset({3}), frozenset({4, 5})}
