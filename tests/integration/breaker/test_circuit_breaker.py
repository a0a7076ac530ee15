"""Greenhouse in trouble for everybody, over a real connection: what is sent, what is recorded, and how it recovers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.catalogue.entry import WriteProbes
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits, State, Transition
from monitor.clock import elapsed
from monitor.drift import EventKind
from monitor.sandbox.faults.http import Fault
from monitor.store.database import Database
from monitor.store.tables import CHECK, CREDENTIAL, DRIFT_EVENT
from tests.installation import LABEL, Installation, installation
from tests.store import rows

TENANTS = 7
LISTS = ["jobs", "offers", "users", "departments", "offices", "sources", "close_reasons"]
SMALL = {
    "name": "small",
    "version": "1",
    "title": "Small",
    "source": "the test",
    "groups": ["Lists"],
    "permissions": [
        {"id": f"lists.{name}", "group": "Lists", "label": f"GET: {name}", "endpoint": f"GET /v1/{name}"}
        for name in LISTS
    ],
}
LIMITS = Limits(
    forget_after=60, slow_before_pause=0.1, calm_for=0.2, slow_after_pause=0.3, first_pause=0.2, longest_pause=0.8
)
FAULTS = [
    {"kind": "rate_limited", "seconds": 1},
    {"kind": "status", "status": 403},
    {"kind": "reset"},
]


@dataclass
class BreakerInstallation:
    """`skipped` are the seconds by which the breaker's clock is ahead."""

    here: Installation
    breaker: CircuitBreaker
    transitions: list[Transition]
    skipped: list[float]

    @property
    def sent(self) -> int:
        return self.here.sandbox.request_log.next_number

    def fault(self, **details: Any) -> None:
        self.here.sandbox.add_fault(Fault.model_validate(details))

    async def until(self, state: State) -> None:
        """Check what is due, minute by minute, until the breaker changes to that state."""
        before = len(self.transitions)
        async with asyncio.timeout(120):
            while state not in (transition.after for transition in self.transitions[before:]):
                self.here.clock.forward(minutes=1)
                await self.here.check_due()
                await asyncio.sleep(0.02)

    async def credentials(self) -> list[dict[str, Any]]:
        return await rows(self.here.db, CREDENTIAL)

    async def details(self) -> list[str]:
        return [check["detail"] for check in await rows(self.here.db, CHECK)]


@asynccontextmanager
async def breaker_installation(
    database: Database, folder: Path, limits: Limits = LIMITS
) -> AsyncIterator[BreakerInstallation]:
    transitions: list[Transition] = []
    skipped: list[float] = []
    breaker = CircuitBreaker(limits, [transitions.append], clock=lambda: elapsed() + sum(skipped))
    async with installation(database, folder, writes=WriteProbes.OFF, breaker=breaker) as here:
        (folder / "small.yaml").write_text(yaml.safe_dump(SMALL), "utf-8")
        for number in range(TENANTS):
            tenant = f"t{number:02}"
            key = {"kind": "harvest-key", "label": LABEL, "key": f"file:{folder / tenant}"}
            here.add_tenant(tenant, credential=key | {"manifest": str(folder / "small.yaml")})
        await here.sync()
        yield BreakerInstallation(here, breaker, transitions, skipped)


@pytest.mark.parametrize("fault", FAULTS, ids=["429", "html 403", "reset"])
async def test_trouble_for_all_causes_a_pause_and_changes_nothing(
    sqlite: Database, tmp_path: Path, fault: dict[str, Any]
) -> None:
    """Everybody was well; a sweep meets trouble, and none of it is recorded; afterwards all is as before."""
    async with breaker_installation(sqlite, tmp_path) as it:
        await it.here.check_due()
        before, told = await it.credentials(), await rows(it.here.db, DRIFT_EVENT)
        assert {row["last_outcome"] for row in before} == {"compliant"}
        assert {row["kind"] for row in told} == {EventKind.EXCESS_FOUND}  # keys with every permission

        it.fault(**fault)
        it.here.clock.forward(hours=4)
        await it.until(State.PAUSED)
        assert "paused" in await it.details()
        assert {row["state"] for row in await it.credentials()} == {"ok"}
        assert [row for row in await it.credentials() if row["next_due"] <= it.here.clock.now]

        it.here.sandbox.faults.clear()
        await it.until(State.CLOSED)
        it.here.clock.forward(minutes=5)
        await it.here.check_due()
        after = await it.credentials()
        assert {(row["state"], row["suspect_state"], row["suspects"], row["last_outcome"]) for row in after} == {
            ("ok", None, 0, "compliant")
        }
        assert min(row["last_full_at"] for row in after) > max(row["last_full_at"] for row in before)
        assert await rows(it.here.db, DRIFT_EVENT) == told


async def test_a_new_installation_that_is_blocked_records_nothing(sqlite: Database, tmp_path: Path) -> None:
    """The very first checks are refused with an HTML page: tenants whose check was cut short stay new."""
    async with breaker_installation(sqlite, tmp_path) as it:
        it.fault(kind="status", status=403)
        await it.until(State.PAUSED)
        cut_short = [row for row in await it.credentials() if row["last_checked_at"] is None]
        assert cut_short
        assert {(row["last_outcome"], row["fingerprint"], row["granted"]) for row in cut_short} == {(None, None, 0)}
        assert await rows(it.here.db, DRIFT_EVENT) == []


async def test_after_a_pause_one_request_goes_ahead(sqlite: Database, tmp_path: Path) -> None:
    """However many checks begin, each pause ends with a single request."""
    async with breaker_installation(sqlite, tmp_path, replace(LIMITS, first_pause=500, longest_pause=500)) as it:
        it.fault(kind="status", status=403)
        await it.until(State.PAUSED)
        for _ in range(3):
            sent = it.sent
            await it.here.check_due()
            assert it.sent == sent
            it.skipped.append(1000)
            it.here.clock.forward(minutes=1)
            await it.here.check_due()
            assert (it.sent - sent, it.breaker.state) == (1, State.PAUSED)


@pytest.mark.parametrize("fault", FAULTS, ids=["429", "html 403", "reset"])
async def test_one_tenants_trouble_is_its_own(sqlite: Database, tmp_path: Path, fault: dict[str, Any]) -> None:
    """The breaker does nothing, the others are checked, and the state of that one is found out."""
    async with breaker_installation(sqlite, tmp_path) as it:
        it.fault(**fault, account="t03", **({"times": 2} if fault["kind"] == "rate_limited" else {}))
        await it.here.check_due()
        await it.here.confirm()
        assert it.transitions == []
        states = {row["tenant_id"]: row["state"] for row in await it.credentials()}
        assert {tenant for tenant, state in states.items() if state != "ok"} <= {"t03"}
        assert states["t03"] == {"rate_limited": "ok", "status": "blocked", "reset": "unreachable"}[fault["kind"]]
