"""Two services on one database: each credential is checked once, by the first to claim it, and none is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from checks.wire.connection import ConnectionSettings
from monitor.checking import claim_queries
from monitor.checking.check_job import CheckJob
from monitor.checking.greenhouse import Greenhouse
from monitor.checking.recording_queries import record
from monitor.metrics import Metrics
from monitor.sandbox.faults.http import Fault
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import running
from monitor.store.database import Database
from monitor.store.tables import CHECK
from tests.background_server import background_sandbox
from tests.command import ServeProcess, serving, until
from tests.installation import LIMITS, POLICY, Installation, check_job_on, installation
from tests.reports import KEY, served
from tests.store import rows

LEASE = timedelta(minutes=7)
A_SECOND = timedelta(seconds=1)
CUSTOMERS = ["acme", "globex", "initech", "umbrella"]


@dataclass
class TwoServices:
    """An installation, and a second service with its own connection to the same database."""

    here: Installation
    second: CheckJob

    @property
    def first(self) -> CheckJob:
        return self.here.check_job

    async def due(self) -> list[int]:
        async with self.here.db.reading() as conn:
            found = await claim_queries.due(conn, self.here.clock.now, 1000)
        return [*found.pressing, *found.ordinary]

    async def checks(self) -> list[tuple[str, int]]:
        return [(row["tenant_id"], row["requests"]) for row in await rows(self.here.db, CHECK)]

    def asked(self, tenant_id: str) -> int:
        return self.here.sandbox.request_log.by_account[tenant_id]


@pytest.fixture
async def both(sqlite: Database, tmp_path: Path) -> AsyncIterator[TwoServices]:
    other = Database(sqlite.url)
    async with installation(sqlite, tmp_path) as here, running(here.sandbox) as url:
        greenhouse = Greenhouse(
            url, "harvest-monitor/test", ConnectionSettings(), LIMITS, here.metrics, now=here.clock.read
        )
        yield TwoServices(here, check_job_on(other, greenhouse, Metrics("test"), here.clock))
    await other.close()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as lines:
        yield lines


def events(logged: list[MutableMapping[str, Any]]) -> list[str]:
    return [line["event"] for line in logged if line["event"] in ("checked", "fenced_check")]


async def test_what_both_find_due_is_checked_by_one_of_them(
    both: TwoServices, logged: list[MutableMapping[str, Any]]
) -> None:
    """Both start all checks at once: each customer gets the requests of one check, and no check is fenced."""
    for tenant_id in CUSTOMERS:
        both.here.add_tenant(tenant_id)
    await both.here.sync()
    due = await both.due()
    await asyncio.gather(*(service.check(number) for number in due for service in (both.first, both.second)))
    checks = await both.checks()
    assert sorted(tenant_id for tenant_id, _ in checks) == CUSTOMERS
    assert len({requests for _, requests in checks}) == 1, "equal customers need equal numbers of requests"
    assert all(both.asked(tenant_id) == requests for tenant_id, requests in checks)
    assert events(logged) == ["checked"] * len(CUSTOMERS)


async def asked_once(both: TwoServices, tenant_id: str) -> None:
    """Waits until the first request of a check has reached Greenhouse, where it is answered slowly."""
    while not both.asked(tenant_id):
        await asyncio.sleep(0.01)


def slow_down(both: TwoServices, tenant_id: str) -> None:
    fault = {"kind": "slow", "account": tenant_id, "seconds": 0.15, "times": 1}
    both.here.sandbox.add_fault(Fault.model_validate(fault))


async def test_a_credential_that_is_being_checked_is_not_checked_by_the_other(
    both: TwoServices, logged: list[MutableMapping[str, Any]]
) -> None:
    """It is not due for the other service, and is not claimed even if that one tries."""
    both.here.add_tenant("acme")
    await both.here.sync()
    slow_down(both, "acme")
    running_check = asyncio.create_task(both.first.check(1))
    await asked_once(both, "acme")
    assert await both.due() == []
    await both.second.check(1)
    assert await both.checks() == []
    await running_check
    assert events(logged) == ["checked"]


async def test_a_check_cancelled_in_the_middle_is_due_again_at_once(
    both: TwoServices, logged: list[MutableMapping[str, Any]]
) -> None:
    """It releases its claim: without any wait the other service checks."""
    both.here.add_tenant("acme")
    await both.here.sync()
    slow_down(both, "acme")
    running_check = asyncio.create_task(both.first.check(1))
    await asked_once(both, "acme")
    running_check.cancel()
    with suppress(asyncio.CancelledError):
        await running_check
    assert running_check.cancelled()
    assert await both.due() == [1]
    await both.second.check(1)
    assert [tenant_id for tenant_id, _ in await both.checks()] == ["acme"]
    assert events(logged) == ["checked"]


async def test_a_late_release_does_not_end_a_newer_lease(both: TwoServices) -> None:
    """A check that hung beyond its lease is cancelled while another one runs: the newer lease stays."""
    both.here.add_tenant("acme")
    await both.here.sync()
    slow_down(both, "acme")
    late = asyncio.create_task(both.first.check(1))
    await asked_once(both, "acme")
    both.here.clock.forward(seconds=LEASE.total_seconds())
    async with both.here.db.writing() as conn:
        now = both.here.clock.now
        winner = await claim_queries.claim_due(conn, 1, now, POLICY.interval, leased_until=now + LEASE)
    assert winner is not None
    late.cancel()
    with suppress(asyncio.CancelledError):
        await late
    assert await both.due() == []


async def test_a_claim_whose_process_died_is_due_after_its_lease(
    both: TwoServices, logged: list[MutableMapping[str, Any]]
) -> None:
    """Not a second earlier; then the other service checks, and a late result of the dead one is not recorded."""
    both.here.add_tenant("acme")
    await both.here.sync()
    async with both.here.db.writing() as conn:
        now = both.here.clock.now
        dead = await claim_queries.claim_due(conn, 1, now, POLICY.interval, leased_until=now + LEASE)
    assert dead is not None
    both.here.clock.now += LEASE - A_SECOND
    assert await both.due() == []
    both.here.clock.now += A_SECOND
    assert await both.due() == [1]
    await both.second.check(1)
    found = served({"jobs": "m"})
    assert await record(both.here.db, dead, found, KEY, both.here.clock.now, POLICY) is None
    assert events(logged) == ["checked"]
    assert len(await both.checks()) == 1


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[tuple[Path, Sandbox, str]]:
    """A folder with equal customers, and a sandbox on a thread of its own."""
    sandbox = Sandbox()
    for tenant_id in CUSTOMERS:
        sandbox.add_account(tenant_id, limit=1_000_000)
        (tmp_path / tenant_id).write_text(sandbox.add_key(tenant_id, "gem").text)
    tenants = [
        {
            "id": tenant_id,
            "name": tenant_id.title(),
            "credential": {"kind": "harvest-key", "label": "Key", "key": f"file:{tmp_path / tenant_id}"},
        }
        for tenant_id in CUSTOMERS
    ]
    (tmp_path / "tenants.yaml").write_text(yaml.safe_dump({"tenants": tenants}))
    with background_sandbox(sandbox) as url:
        yield tmp_path, sandbox, url


def checked(*services: ServeProcess) -> list[dict[str, Any]]:
    return [line for service in services for line in service.logged("checked")]


def test_two_processes_on_one_file_send_every_request_once(vendor: tuple[Path, Sandbox, str]) -> None:
    """Started together, they share the first sweep: one check for each credential, and no other request."""
    folder, sandbox, url = vendor
    settings = {"harvest_url": url, "requests_per_second": 40, "concurrency": 1, "stop_timeout": "5s"}
    with serving(folder, **settings) as one, serving(folder, **settings) as other:
        until(lambda: len(checked(one, other)) >= len(CUSTOMERS))
        assert (one.stop(), other.stop()) == (0, 0)
    lines = checked(one, other)
    assert sorted(line["tenant"] for line in lines) == CUSTOMERS
    assert {line["outcome"] for line in lines} == {"compliant"}
    assert {line["tenant"]: line["requests"] for line in lines} == dict(sandbox.request_log.by_account)
    assert checked(one), "the first checked nothing"
    assert checked(other), "the second checked nothing"
    assert one.logged("fenced_check") + other.logged("fenced_check") == []
