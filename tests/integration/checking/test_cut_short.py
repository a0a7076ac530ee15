"""Checks that are cut short, and alarms at the same time: no answer to a write is missed, and no halt lost."""

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
from tests.integration.checking.test_check_runner import ProgressRecorder
from tests.integration.checking.test_write_halt import WITHOUT_ID, an_alarm, rows, write_halt_on
from tests.integration.checks.wire.test_sender import CREATED, WRITE, sender_harness, slowly
from tests.raw_server import answer, raw_server
from tests.reports import POLICY
from tests.store import a_tenant, claim, sync


@pytest.fixture
async def claimed(database: Database) -> Claim:
    """A credential claimed for a check."""
    await sync(database, a_tenant("acme"))
    return await claim(database)


async def test_two_alarms_at_once_are_two_halts_and_break_no_check(database: Database, claimed: Claim) -> None:
    """Two checks get a 2xx at the same time: each halt is stored once, and neither `halt` raises."""
    write_halt = write_halt_on(database)
    await asyncio.gather(write_halt.halt(an_alarm(), claimed), write_halt.halt(an_alarm(WITHOUT_ID), claimed))
    assert len(await rows(database, WRITE_HALT)) == 2


async def test_an_alarm_while_the_periodic_task_stores_is_one_halt(database: Database, claimed: Claim) -> None:
    """The periodic task stores alarms that are not stored yet; one that is just being stored is not stored twice."""
    write_halt = write_halt_on(database)
    await asyncio.gather(write_halt.halt(an_alarm(), claimed), write_halt.store())
    assert len(await rows(database, WRITE_HALT)) == 1


async def test_the_answer_to_a_write_is_seen_even_if_its_check_is_cancelled_twice() -> None:
    """By the deadline and then by a stop: the guard still gets the 2xx."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with sender_harness(slowly(CREATED, arrived, go_on)) as harness:
        check = asyncio.create_task(harness.send(WRITE))
        await arrived.wait()
        for _ in range(2):
            check.cancel()
            await asyncio.wait([check], timeout=0.02)
        go_on.set()
        with suppress(asyncio.CancelledError):
            await check
        assert [a.status for a in harness.guard.answers] == [201]


def test_a_check_interrupted_while_a_write_is_sent_waits_for_its_answer() -> None:
    """Ctrl-C during `check` of two tenants, one of which has sent a write: the alarm is raised."""
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
            elif b"/0" in request:
                writer.write(answer("404 Not Found", b'{"message": "Resource not found"}'))
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
            run = asyncio.create_task(CheckRunner(check, POLICY, 5, ProgressRecorder()).run(tasks))
            await on_the_wire.wait()
            run.cancel()
            await run

    asyncio.run(main())
    assert len(sent) == 1
    assert [(tenant, alarm.status) for tenant, alarm in halt.alarms] == [("writing", 200)]


async def test_the_notice_of_a_stored_halt_is_tried_again(database: Database, claimed: Claim) -> None:
    """The halt was stored, the notice was not: a later run of the task notifies the operator."""
    write_halt = write_halt_on(database)
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE notice RENAME TO hidden"))
    await write_halt.halt(an_alarm(), claimed)
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE hidden RENAME TO notice"))
    assert len(await rows(database, WRITE_HALT)) == 1
    await write_halt.store()
    assert len(await rows(database, NOTICE)) == 1
