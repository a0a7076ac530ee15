"""Which pre-flights are kept, and for how long; the checks themselves are in tests/integration/web/api."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.credential import CredentialKind, Secret
from checks.manifest import load
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits
from monitor.checking.preflight import preflight_queue
from monitor.checking.preflight.preflight_check import PreflightCheck, PreflightOrder
from monitor.checking.preflight.preflight_queue import (
    MOST_OPEN,
    MOST_RUNNING,
    Preflight,
    PreflightQueue,
    PreflightState,
)

ORDER = PreflightOrder(Secret("c4na4y"), CredentialKind.HARVEST_KEY, None, CheckRequest(load("gem")), WriteProbes.OFF)
RESULT = {"outcome": "compliant", "credential": {"state": "ok"}, "requests": 1, "duration_seconds": 0.1}


class GatedCheck:
    """Ends once the gate is open, and counts how many are within at most."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.within = self.most = 0

    async def run(self, order: PreflightOrder) -> dict[str, Any] | None:
        self.within += 1
        self.most = max(self.most, self.within)
        await self.gate.wait()
        self.within -= 1
        return RESULT


class Hand:
    now = datetime(2026, 11, 23, tzinfo=UTC)


def a_queue(check: GatedCheck) -> PreflightQueue:
    return PreflightQueue(cast(PreflightCheck, check), CircuitBreaker(Limits.of(60)), lambda: Hand.now)


def submitted(queue: PreflightQueue) -> Preflight:
    preflight = queue.submit(ORDER)
    assert preflight is not None
    return preflight


async def test_a_few_run_at_once_and_the_others_wait() -> None:
    """Up to MOST_OPEN in all; as soon as one is done, the next may come."""
    check = GatedCheck()
    queue = a_queue(check)
    taken = [submitted(queue) for _ in range(MOST_OPEN)]
    await asyncio.sleep(0)
    states = [preflight.state for preflight in taken]
    assert states.count(PreflightState.RUNNING) == MOST_RUNNING
    assert states.count(PreflightState.QUEUED) == MOST_OPEN - MOST_RUNNING
    assert queue.submit(ORDER) is None
    check.gate.set()
    for preflight in taken:
        await preflight.wait(10)
    assert {preflight.state for preflight in taken} == {PreflightState.DONE}
    assert check.most == MOST_RUNNING
    assert queue.submit(ORDER) is not None
    await queue.stop()


async def test_a_result_is_kept_for_an_hour() -> None:
    """From the moment it was done; one that runs is kept however long it takes."""
    check = GatedCheck()
    queue = a_queue(check)
    preflight = submitted(queue)
    Hand.now += timedelta(hours=2)
    assert queue.find(preflight.id) is preflight
    check.gate.set()
    await preflight.wait(10)
    Hand.now += timedelta(minutes=60)
    assert queue.find(preflight.id) is preflight
    Hand.now += timedelta(seconds=1)
    assert queue.find(preflight.id) is None


async def test_the_oldest_results_make_room() -> None:
    """However many are asked for within the hour, memory stays bounded."""
    check = GatedCheck()
    check.gate.set()
    queue = a_queue(check)
    taken = []
    for _ in range(preflight_queue.MOST_KEPT + 2):
        taken.append(submitted(queue))
        await taken[-1].wait(10)
    assert queue.find(taken[0].id) is None
    assert queue.find(taken[-1].id) is taken[-1]
    assert sum(queue.find(preflight.id) is not None for preflight in taken) == preflight_queue.MOST_KEPT


async def test_a_stop_ends_those_that_are_open() -> None:
    """They are done without a result, and whoever waits is told at once."""
    queue = a_queue(GatedCheck())
    taken = [submitted(queue) for _ in range(MOST_RUNNING + 1)]
    await asyncio.sleep(0)
    await queue.stop()
    assert [(preflight.state, preflight.result) for preflight in taken] == [(PreflightState.DONE, None)] * len(taken)
    await taken[0].wait(10)


async def test_what_is_kept_holds_no_secret() -> None:
    """The credential goes with the check: nothing that stays leads to it."""
    check = GatedCheck()
    check.gate.set()
    queue = a_queue(check)
    preflight = submitted(queue)
    await preflight.wait(10)
    await asyncio.sleep(0)
    assert queue._tasks == set()
    assert not any(isinstance(getattr(preflight, name), PreflightOrder | Secret) for name in Preflight.__slots__)
