"""Checks that are cut short, and alarms that come at once: no answer to a write is missed, and no halt lost."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import text

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.credential import CredentialKind
from checks.manifest import load
from checks.report import CheckReport
from checks.wire.connection import ConnectionSettings
from monitor.checking.check_runner import CheckRunner, UnrecordedCheck
from monitor.checking.claim_queries import Claim
from monitor.checking.credential_check import CheckTask, CredentialCheck
from monitor.checking.greenhouse import Greenhouse
from monitor.checking.write_halt import LocalWriteHalt
from monitor.drift.suspicion import Suspicion
from monitor.store.database import Database
from monitor.store.tables import NOTICE, WRITE_HALT
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.file import CredentialConfig
from tests.installation import LIMITS, NullObserver
from tests.integration.checking.test_check_runner import Diary
from tests.integration.checking.test_write_halt import WITHOUT_ID, an_alarm, rows, stop_of
from tests.integration.checks.wire.test_sender import CREATED, WRITE, bench, slowly
from tests.raw_server import answer, raw_server
from tests.reports import POLICY
from tests.store import a_tenant, claim, sync


@pytest.fixture
async def taken(database: Database) -> Claim:
    """A credential taken up for a check."""
    await sync(database, a_tenant("acme"))
    return await claim(database)


async def test_two_alarms_at_once_are_two_halts_and_break_no_check(database: Database, taken: Claim) -> None:
    """Two checks side by side meet a 2xx: each halt is stored once, and neither `halt` raises."""
    stop = stop_of(database)
    await asyncio.gather(stop.halt(an_alarm(), taken), stop.halt(an_alarm(WITHOUT_ID), taken))
    assert len(await rows(database, WRITE_HALT)) == 2


async def test_an_alarm_while_the_beat_stores_is_one_halt(database: Database, taken: Claim) -> None:
    """The service's beat stores what is not stored yet; meeting an alarm on its way it does not store it twice."""
    stop = stop_of(database)
    await asyncio.gather(stop.halt(an_alarm(), taken), stop.store())
    assert len(await rows(database, WRITE_HALT)) == 1


async def test_a_write_is_listened_to_although_its_check_is_cancelled_twice() -> None:
    """Deadline, then stop: the 2xx is heard all the same."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with bench(slowly(CREATED, arrived, go_on)) as it:
        check = asyncio.create_task(it.send(WRITE))
        await arrived.wait()
        for _ in range(2):
            check.cancel()
            await asyncio.wait([check], timeout=0.02)
        go_on.set()
        with suppress(asyncio.CancelledError):
            await check
        assert [a.status for a in it.guard.answers] == [201]


def test_a_check_interrupted_while_a_write_is_on_the_wire_hears_its_answer() -> None:
    """Ctrl-C on `check` of two tenants, one idle between looks, one with a write out: the alarm is sounded."""
    halt = LocalWriteHalt()
    sent: list[bytes] = []

    async def main() -> None:
        on_the_wire = asyncio.Event()

        async def respond(number: int, writer: asyncio.StreamWriter) -> None:
            request = server.requests[number]
            if not request.startswith(b"GET"):
                sent.append(request.split(b"\r\n")[0])
                on_the_wire.set()
                await asyncio.sleep(0.15)
                writer.write(answer("200 OK", b'{"id": 7}'))
            else:
                writer.write(answer("200 OK"))
            await writer.drain()

        async with raw_server(respond) as server:
            greenhouse = Greenhouse(
                f"http://localhost:{server.port}", "t", ConnectionSettings(), LIMITS, NullObserver()
            )
            real = UnrecordedCheck(CredentialCheck(greenhouse, CredentialLoader(b"k" * 32, 5, {"K": "k"})), halt)

            async def check(task: CheckTask, suspicion: Suspicion) -> tuple[CheckReport, str]:
                if task.tenant_id == "idle":
                    await asyncio.Event().wait()
                return await real(task, suspicion)

            tasks = [
                CheckTask(
                    n,
                    CredentialConfig("Key", CredentialKind.HARVEST_KEY, "env:K", None),
                    CheckRequest(load("gem")),
                    WriteProbes.ALL,
                )
                for n in ("idle", "writing")
            ]
            run = asyncio.create_task(CheckRunner(check, POLICY, 5, Diary()).run(tasks))
            await on_the_wire.wait()
            run.cancel()
            await run

    asyncio.run(main())
    assert len(sent) == 1
    assert [(tenant, alarm.status) for tenant, alarm in halt.alarms] == [("writing", 200)]


async def test_the_notice_of_a_stored_halt_is_tried_again(database: Database, taken: Claim) -> None:
    """The halt was stored, the notice was not: the operator is told at a later beat."""
    stop = stop_of(database)
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE notice RENAME TO hidden"))
    await stop.halt(an_alarm(), taken)
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE hidden RENAME TO notice"))
    assert len(await rows(database, WRITE_HALT)) == 1
    await stop.store()
    assert len(await rows(database, NOTICE)) == 1
