"""Two services on one database: everybody is looked at once, by whoever comes first, and nobody is forgotten."""

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
class Pair:
    """An installation, and a second service of it that sees the database as another process does."""

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
async def pair(sqlite: Database, tmp_path: Path) -> AsyncIterator[Pair]:
    other = Database(sqlite.url)
    async with installation(sqlite, tmp_path) as here, running(here.sandbox) as url:
        greenhouse = Greenhouse(
            url, "harvest-monitor/test", ConnectionSettings(), LIMITS, here.metrics, now=here.clock.read
        )
        yield Pair(here, check_job_on(other, greenhouse, Metrics("test"), here.clock))
    await other.close()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as lines:
        yield lines


def events(logged: list[MutableMapping[str, Any]]) -> list[str]:
    return [line["event"] for line in logged if line["event"] in ("checked", "fenced_check")]


async def test_what_both_find_due_is_checked_by_one_of_them(pair: Pair, logged: list[MutableMapping[str, Any]]) -> None:
    """Both set out for everybody at once: each customer is asked what one check asks, and no check is in vain."""
    for tenant_id in CUSTOMERS:
        pair.here.customer(tenant_id)
    await pair.here.sync()
    due = await pair.due()
    await asyncio.gather(*(service.check(number) for number in due for service in (pair.first, pair.second)))
    checks = await pair.checks()
    assert sorted(tenant_id for tenant_id, _ in checks) == CUSTOMERS
    assert len({requests for _, requests in checks}) == 1, "they are customers alike, and cost alike"
    assert all(pair.asked(tenant_id) == requests for tenant_id, requests in checks)
    assert events(logged) == ["checked"] * len(CUSTOMERS)


async def asked_once(pair: Pair, tenant_id: str) -> None:
    """Until the first request of a check has reached Greenhouse, where it is answered slowly."""
    while not pair.asked(tenant_id):
        await asyncio.sleep(0.01)


def slow_down(pair: Pair, tenant_id: str) -> None:
    fault = {"kind": "slow", "account": tenant_id, "seconds": 0.15, "times": 1}
    pair.here.sandbox.add_fault(Fault.model_validate(fault))


async def test_a_check_under_way_is_nobody_elses(pair: Pair, logged: list[MutableMapping[str, Any]]) -> None:
    """While one looks, the credential is not due to the other, and handed to it all the same it is left alone."""
    pair.here.customer("acme")
    await pair.here.sync()
    slow_down(pair, "acme")
    under_way = asyncio.create_task(pair.first.check(1))
    await asked_once(pair, "acme")
    assert await pair.due() == []
    await pair.second.check(1)
    assert await pair.checks() == []
    await under_way
    assert events(logged) == ["checked"]


async def test_a_check_cancelled_in_the_middle_is_due_again_at_once(
    pair: Pair, logged: list[MutableMapping[str, Any]]
) -> None:
    """It gives back what it took: the clock does not move, and the other service looks."""
    pair.here.customer("acme")
    await pair.here.sync()
    slow_down(pair, "acme")
    under_way = asyncio.create_task(pair.first.check(1))
    await asked_once(pair, "acme")
    under_way.cancel()
    with suppress(asyncio.CancelledError):
        await under_way
    assert under_way.cancelled()
    assert await pair.due() == [1]
    await pair.second.check(1)
    assert [tenant_id for tenant_id, _ in await pair.checks()] == ["acme"]
    assert events(logged) == ["checked"]


async def test_what_a_late_loser_gives_back_is_not_taken_from_the_winner(pair: Pair) -> None:
    """A check that hung beyond its hold is cancelled while another looks: the other's hold stands."""
    pair.here.customer("acme")
    await pair.here.sync()
    slow_down(pair, "acme")
    late = asyncio.create_task(pair.first.check(1))
    await asked_once(pair, "acme")
    pair.here.clock.forward(seconds=LEASE.total_seconds())
    async with pair.here.db.writing() as conn:
        now = pair.here.clock.now
        winner = await claim_queries.claim_due(conn, 1, now, POLICY.interval, leased_until=now + LEASE)
    assert winner is not None
    late.cancel()
    with suppress(asyncio.CancelledError):
        await late
    assert await pair.due() == []


async def test_a_claim_whose_process_died_is_due_after_its_hold(
    pair: Pair, logged: list[MutableMapping[str, Any]]
) -> None:
    """Not a second earlier; then the other service looks, and the dead one's findings, come late, are not recorded."""
    pair.here.customer("acme")
    await pair.here.sync()
    async with pair.here.db.writing() as conn:
        now = pair.here.clock.now
        dead = await claim_queries.claim_due(conn, 1, now, POLICY.interval, leased_until=now + LEASE)
    assert dead is not None
    pair.here.clock.now += LEASE - A_SECOND
    assert await pair.due() == []
    pair.here.clock.now += A_SECOND
    assert await pair.due() == [1]
    await pair.second.check(1)
    found = served({"jobs": "m"})
    assert await record(pair.here.db, dead, found, KEY, pair.here.clock.now, POLICY) is None
    assert events(logged) == ["checked"]
    assert len(await pair.checks()) == 1


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[tuple[Path, Sandbox, str]]:
    """A folder with customers alike, next to a sandbox on a thread of its own."""
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
    """Started together, they share a first sweep that takes a while: one check each, and nothing else in the ledger."""
    folder, sandbox, url = vendor
    settings = {"harvest_url": url, "requests_per_second": 40, "concurrency": 1, "stop_timeout": "5s"}
    with serving(folder, **settings) as one, serving(folder, **settings) as other:
        until(lambda: len(checked(one, other)) >= len(CUSTOMERS))
        assert (one.stop(), other.stop()) == (0, 0)
    lines = checked(one, other)
    assert sorted(line["tenant"] for line in lines) == CUSTOMERS
    assert {line["outcome"] for line in lines} == {"compliant"}
    assert {line["tenant"]: line["requests"] for line in lines} == dict(sandbox.request_log.by_account)
    assert checked(one), "the one took nothing up, and nothing was shared"
    assert checked(other), "the other took nothing up, and nothing was shared"
    assert one.logged("fenced_check") + other.logged("fenced_check") == []
