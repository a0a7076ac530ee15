"""Whole sweeps as the service makes them: what is asked, confirmed, remembered and told, where answers are false."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pytest

from checks.answer import Answer, AnswerKind
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.credential import CredentialState
from checks.report import CheckReport
from checks.v1.check import KeyCheckRun
from monitor.drift import Event, EventKind
from monitor.drift.suspicion import Suspicion
from tests import worlds
from tests.check_sequence import CheckSequence
from tests.confirming import confirmed
from tests.reports import HOUR, KEY
from tests.worlds import CATALOGUE, GEM, INVALID_KEY, NO_PERMISSION, REQUIRED, Reply, World, noisy, wrong

SWEEPS = 6
CHECKS = 60  # a thousand each were put to it when it was written


def look(world: World, request: CheckRequest) -> CheckReport:
    context = CheckContext(lambda: worlds.NOW, lambda: 0.0, 3600.0, lambda: False)
    return asyncio.run(KeyCheckRun(world, request, CATALOGUE, worlds.Writes(), known_401, context).report())


async def known_401() -> Answer:
    return Answer(AnswerKind.INVALID_KEY, 401)


@dataclass
class Tenant:
    """One key through all its checks. `refused` is what the service remembers for it."""

    world: World
    sequence: CheckSequence = field(default_factory=CheckSequence)
    refused: frozenset[str] = frozenset()
    events: list[Event] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def sweep(self) -> None:
        """One check, and the checks that follow what it left in doubt."""
        again: timedelta | None = HOUR
        for _ in range(4):
            if again is None:
                return
            request = Suspicion.of(self.sequence.known, self.refused).narrow(CheckRequest(GEM), KEY)
            report = look(self.world, request)
            self.faults += wrong(report, self.world)
            self.sequence.check(report)
            assert self.sequence.change is not None
            self.events += self.sequence.change.events
            self.refused |= self.sequence.change.refused
            again = self.sequence.check_again_in


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_false_refusals_make_no_wrong_verdict_of_a_check_and_its_confirmation(noise: float) -> None:
    """Two, five and ten in a hundred answers are the permission text, in both looks: nothing wrong is missing, and
    nothing wrong is granted by what they vouch for or by what was remembered of the first look.
    """
    for number in range(CHECKS):
        world = noisy(random.Random(f"confirmed-{noise}-{number}"), noise)
        report = confirmed(CheckRequest(GEM), partial(look, world), partial(look, world))
        assert wrong(report, world) == [], f"world {number}"


NOISES: dict[str, tuple[Reply, ...]] = {
    "false refusals": (NO_PERMISSION,),
    "stray 401s": (INVALID_KEY,),
    "both": (NO_PERMISSION, INVALID_KEY),
}


@pytest.mark.parametrize("noises", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_nothing_that_never_happened_is_told(noises: tuple[Reply, ...], noise: float) -> None:
    """Keys that do not change, through a day of sweeps: nothing is lost, nothing regained, and no key fails."""
    told: Counter[str] = Counter()
    for number in range(8):
        tenant = Tenant(noisy(random.Random(f"sweeps-{noise}-{number}"), noise))
        tenant.world.noises = noises
        for _ in range(SWEEPS):
            tenant.sweep()
        assert tenant.faults == [], f"world {number}"
        told.update(event.kind for event in tenant.events)
    assert set(told) <= {EventKind.FOUND, EventKind.EXCESS_FOUND, EventKind.EXCESS_GONE}


@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_of_sixty_working_keys_none_ends_as_revoked(noise: float) -> None:
    """One in a hundred answers is the known 401, through a check and the checks that confirm it."""
    for number in range(60):
        tenant = Tenant(World(REQUIRED, noise=noise, noises=(INVALID_KEY,), chance=random.Random(f"{noise}-{number}")))
        tenant.sweep()
        tenant.sweep()
        assert tenant.sequence.known.credential.state is CredentialState.OK, f"key {number}"
        assert tenant.events == [], f"key {number}"
