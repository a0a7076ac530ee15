"""No verdict is wrong in worlds drawn at random, and no working key ends as revoked."""

import asyncio
import random
from collections import Counter
from itertools import permutations

import pytest

from checks.catalogue.entry import Entry
from checks.credential import CredentialState
from checks.report import Verdict
from tests import worlds
from tests.worlds import CELLS, INVALID_KEY, NO_PERMISSION, REQUIRED, STEPS, World, check, noisy, survey, wrong


async def test_no_verdict_is_wrong_in_worlds_of_any_order_and_behind_any_gateway() -> None:
    """Every order of the four checks per cell and need, needs that are not there, gateways' words, any permissions."""
    faults, verdicts = await survey(1000)
    assert faults == []
    decided = verdicts[Verdict.GRANTED] + verdicts[Verdict.MISSING]
    assert decided > verdicts.total() / 3


def test_the_worlds_draw_every_order_for_every_cell_and_need() -> None:
    """In a thousand worlds; single records under a record also in another order than lists, and each need lifted."""
    drawn = list(worlds.worlds(1000))
    for place in (*CELLS, "GET /v1/jobs/{id}/hiring_team", "GET /v1/applications/{id}/eeoc"):
        assert {world.orders.get(place) for world in drawn} == {None, *permutations(STEPS)}, place
    for cell in CELLS:
        for lifted in ("without_parent", "without_header", "without_fields"):
            assert {cell in getattr(world, lifted) for world in drawn} == {True, False}, (cell, lifted)


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
async def test_false_refusals_at_random_make_no_wrong_verdict(noise: float) -> None:
    """Each answer is drawn by itself, also when the same is asked again: no false refusal is believed, nor vouches."""
    for number in range(100):
        world = noisy(random.Random(f"{noise}-{number}"), noise)
        assert wrong(await check(world), world) == [], f"world {number}"


@pytest.mark.parametrize("noise", [0.01, 0.1])
async def test_stray_401s_make_no_working_key_revoked(noise: float) -> None:
    """A share of answers says "Invalid Basic Auth credentials": the key stays ok, and what it was asked is judged."""
    states: Counter[CredentialState] = Counter()
    for number in range(60):
        world = World(REQUIRED, noise=noise, noises=(INVALID_KEY,), chance=random.Random(number))
        report = await check(world)
        states[report.state] += 1
        assert wrong(report, world) == []
    assert states == {CredentialState.OK: 60}


def test_one_refusal_taken_back_makes_every_refusal_of_the_check_doubtful() -> None:
    """Where something refuses at random, what is refused twice may be chance as well."""
    once = iter([True])

    class Flaky(World):
        def reply(self, entry: Entry) -> worlds.Reply:
            flaky = entry.endpoint == "GET /v1/jobs" and next(once, False)
            return NO_PERMISSION if flaky else super().reply(entry)

    report = asyncio.run(check(Flaky(REQUIRED - {"GET /v1/offices"})))
    found = {f.endpoint: (f.verdict, f.rule, f.reason) for f in report.findings}
    assert found["GET /v1/jobs"] == found["GET /v1/offices"] == (Verdict.UNDECIDED, "V17", "contradicted")
    assert report.refused == frozenset()
