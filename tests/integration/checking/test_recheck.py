"""Checks that people ask for: who gets one, how often, and how one waits for it."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import update

from monitor.checking import claim_queries, recheck
from monitor.checking.recheck import Recheck, Waited
from monitor.checking.recheck_queries import RecheckProgress
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, OPERATOR_ACTION, TENANT
from monitor.tenants.file import TenantProblem
from tests.reports import HOUR, MINUTE, served
from tests.store import T0, a_tenant, check, claim, rows, sync

ALL_WELL = served({"jobs": "g"})


async def due_at(database: Database, now: datetime) -> list[str]:
    """The tenants whose checks the service would begin, each as often as it has credentials."""
    async with database.reading() as conn:
        due = await claim_queries.due(conn, now, 50)
    tenants = {row["id"]: row["tenant_id"] for row in await rows(database, CREDENTIAL)}
    return sorted(tenants[id_] for id_ in (*due.pressing, *due.ordinary))


async def checked_fleet(database: Database, *tenants: str) -> None:
    await sync(database, *map(a_tenant, tenants))
    for number in range(1, len(tenants) + 1):
        await check(database, ALL_WELL, T0, credential_id=number)


async def ask(database: Database, now: datetime, *tenants: str) -> dict[str, Recheck]:
    answers = await recheck.ask(database, tenants, "dana", "it is ticked again", now)
    return {tenant: answer.result for tenant, answer in answers.items()}


async def test_what_is_asked_for_is_due_at_once_and_kept_in_the_audit_log(database: Database) -> None:
    """Every credential of the tenant, and nobody else's; who asked, when and why."""
    await sync(database, a_tenant("acme", "first", "second"), a_tenant("globex"))
    for number in (1, 2, 3):
        await check(database, ALL_WELL, T0, credential_id=number)
    now = T0 + 20 * MINUTE
    assert await due_at(database, now) == []
    assert await ask(database, now, "acme") == {"acme": Recheck.ASKED}
    assert await due_at(database, now) == ["acme", "acme"]
    (noted,) = await rows(database, OPERATOR_ACTION)
    assert {name: noted[name] for name in ("at", "who", "action", "subject", "reason")} == {
        "at": now,
        "who": "dana",
        "action": "tenants recheck",
        "subject": "acme",
        "reason": "it is ticked again",
    }


async def test_nobody_is_checked_twice_in_ten_minutes(database: Database) -> None:
    """Counted from the last check and from the last time somebody asked; the message says when to ask again."""
    await checked_fleet(database, "acme")
    ten = recheck.AT_MOST_EVERY
    for seconds in (0, 599):
        now = T0 + timedelta(seconds=seconds)
        (answer,) = (await recheck.ask(database, ["acme"], "dana", "", now)).values()
        assert (answer.result, answer.again_at) == (Recheck.TOO_SOON, T0 + ten)
        assert "it was checked less than ten minutes ago: ask again at 08:10:00 UTC" in answer.message
    assert await ask(database, T0 + ten, "acme") == {"acme": Recheck.ASKED}
    (answer,) = (await recheck.ask(database, ["acme"], "dana", "", T0 + ten + MINUTE)).values()
    assert (answer.result, answer.again_at) == (Recheck.TOO_SOON, T0 + 2 * ten)
    assert "it was asked for less than ten minutes ago" in answer.message
    assert await ask(database, T0 + 2 * ten, "acme") == {"acme": Recheck.ASKED}
    assert len(await rows(database, OPERATOR_ACTION)) == 2


async def test_dates_ahead_of_now_delay_nothing(database: Database) -> None:
    """They were written while the clock was wrong."""
    await checked_fleet(database, "acme")
    await ask(database, T0 + HOUR, "acme")
    assert await ask(database, T0 - HOUR, "acme") == {"acme": Recheck.ASKED}


async def test_each_tenant_gets_its_own_answer(database: Database) -> None:
    """Those that cannot be checked are told why, and the others are checked all the same."""
    tenants = [a_tenant(name) for name in ("acme", "broken", "gone", "paused")]
    await sync(database, *tenants)
    problem = TenantProblem("broken", 1, "tenants.yaml, line 1: broken: no key")
    await sync(database, tenants[0], tenants[3], problems=[problem])
    async with database.writing() as conn:
        paused = {"reference": "ticket 1", "since": None, "by": None}
        await conn.execute(update(TENANT).where(TENANT.c.id == "paused").values(paused=paused))
    answers = await recheck.ask(database, ["acme", "broken", "gone", "nobody", "paused"], "dana", "", T0 + HOUR)
    assert {tenant: answer.result for tenant, answer in answers.items()} == {
        "acme": Recheck.ASKED,
        "broken": Recheck.MISCONFIGURED,
        "gone": Recheck.REMOVED,
        "nobody": Recheck.UNKNOWN,
        "paused": Recheck.PAUSED,
    }
    assert "line 1: broken: no key" in answers["broken"].message
    assert [row["subject"] for row in await rows(database, OPERATOR_ACTION)] == ["acme"]


async def test_what_is_due_already_keeps_its_place(database: Database) -> None:
    """Asking for it must not put it behind the others."""
    await sync(database, a_tenant("acme"))
    assert await ask(database, T0 + HOUR, "acme") == {"acme": Recheck.ASKED}
    (credential,) = await rows(database, CREDENTIAL)
    assert credential["next_due"] == T0


async def test_of_two_who_ask_at_once_one_is_refused(workers: list[Database]) -> None:
    """Whatever process each of them asks."""
    await checked_fleet(workers[0], "acme", "globex")
    now = T0 + HOUR
    answers = await asyncio.gather(*(ask(worker, now, "acme", "globex") for worker in workers))
    for tenant in ("acme", "globex"):
        assert sorted(answer[tenant] for answer in answers) == [Recheck.ASKED, *[Recheck.TOO_SOON] * 3]


async def test_waiting_ends_with_the_last_check(sqlite: Database) -> None:
    """What has begun and what is done is told meanwhile."""
    await checked_fleet(sqlite, "acme", "globex")
    now = T0 + HOUR
    await ask(sqlite, now, "acme", "globex")
    seen: list[RecheckProgress] = []
    service = [
        lambda: claim(sqlite, 1, now + timedelta(seconds=1)),
        lambda: check(sqlite, ALL_WELL, now + timedelta(seconds=2), credential_id=1),
        lambda: check(sqlite, ALL_WELL, now + timedelta(seconds=3), credential_id=2),
    ]

    async def sleep(_: float) -> None:
        await service.pop(0)()

    assert await recheck.wait(sqlite, ["acme", "globex"], now, HOUR, sleep, seen.append) is Waited.DONE
    assert [(one.begun, one.done) for one in seen] == [(0, 0), (1, 0), (1, 1), (2, 2)]


async def test_waiting_ends_where_nothing_comes(sqlite: Database) -> None:
    """After a minute if no service begins a check, and after the given time if one does not end."""
    await checked_fleet(sqlite, "acme")
    now, slept = T0 + HOUR, 0
    await ask(sqlite, now, "acme")

    async def sleep(seconds: float) -> None:
        nonlocal slept
        slept += int(seconds)

    def unseen(_: RecheckProgress) -> None:
        pass

    assert await recheck.wait(sqlite, ["acme"], now, HOUR, sleep, unseen) is Waited.NOT_BEGUN
    assert slept == 60
    await claim(sqlite, 1, now)
    assert await recheck.wait(sqlite, ["acme"], now, 2 * MINUTE, sleep, unseen) is Waited.NOT_DONE
