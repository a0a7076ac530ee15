"""No verdict is wrong in worlds drawn at random, and no working key ends as revoked."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from itertools import permutations

import pytest

from checks.catalogue.entry import Entry, WriteProbes
from checks.check_request import CheckRequest
from checks.credential import CredentialState
from checks.report import CheckReport, Verdict
from monitor.drift import Event, EventKind, Known, compare
from monitor.drift.suspicion import Suspicion
from tests import worlds
from tests.reports import HOUR, KEY, POLICY, T0
from tests.worlds import (
    CELLS,
    GEM,
    INVALID_FIELDS,
    INVALID_KEY,
    NO_PERMISSION,
    NOT_FOUND,
    REQUIRED,
    STEPS,
    World,
    check,
    noisy,
    survey,
    wrong,
)


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


@pytest.mark.parametrize(("share", "at_most"), [(0, 0), (0.03, 0.05), (0.1, 0.1), (0.3, 0.2)])
async def test_what_an_order_by_segment_makes_wrong_is_only_what_no_answer_shows(share: float, at_most: float) -> None:
    """As docs/verdicts.md says: under a segment with the record first, by the refusal of a request under another."""
    absent, faults = await worlds.survey_by_segment(60, share)
    for world, finding in faults:
        assert finding.endpoint
        assert worlds.CATALOGUE.entry(finding.endpoint).segment in world.record_first_under
        assert (finding.verdict, finding.rule in ("V21", "V22")) == (Verdict.GRANTED, True), finding
    assert len(faults) <= absent * at_most


async def test_lists_that_are_empty_before_the_permission_is_looked_at_grant_nothing() -> None:
    """In one cell, or in all, lists under a record that is not there answer [] to any key."""
    lists_first = ("record", "permission", "on_behalf_of", "fields")
    for cells in (CELLS, *([cell] for cell in CELLS)):
        orders = dict.fromkeys(cells, lists_first)
        for absent in (REQUIRED, frozenset({"GET /v1/jobs/{id}/stages", "GET /v1/applications/{id}/scorecards"})):
            world = World(REQUIRED - absent, orders=orders, without_parent=frozenset(CELLS))
            assert wrong(await check(world), world) == [], cells


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
async def test_false_refusals_at_random_make_no_wrong_verdict(noise: float) -> None:
    """Each answer is drawn by itself, also when the same is asked again: no false refusal is believed, nor vouches."""
    for number in range(100):
        world = noisy(random.Random(f"{noise}-{number}"), noise)
        assert wrong(await check(world), world) == [], f"world {number}"


async def looks(world: World, count: int) -> AsyncIterator[tuple[CheckReport, tuple[Event, ...]]]:
    """Checks of one key, one after another, each with what the earlier ones left: as the service does."""
    known, refused = Known(), frozenset[str]()
    for number in range(count):
        report = await check(world, Suspicion.of(known, refused).narrow(CheckRequest(GEM), KEY))
        change = compare(known, report, KEY, T0 + number * HOUR, POLICY)
        known, refused = change.known, refused | change.refused
        yield report, change.events


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
async def test_stray_answers_past_the_permission_check_make_no_wrong_verdict(noise: float) -> None:
    """Greenhouse's own 404 and 422 where it has no reason for them, in several checks that remember: nothing comes
    back, and nothing is lost, that did not.
    """
    strays = (NOT_FOUND, INVALID_FIELDS)
    for number in range(25):
        world = noisy(random.Random(f"{noise}-{number}"), noise, strays)
        world.grants = REQUIRED - frozenset(world.chance.sample(sorted(REQUIRED), 4))
        world.permitted = WriteProbes.SAFE  # those without an id are not asked again to be granted
        async for report, events in looks(world, 5):
            assert wrong(report, world) == [], f"world {number}"
            assert not {event.kind for event in events} & {EventKind.LOST, EventKind.REGAINED}, f"world {number}"


async def test_a_repair_is_seen_in_one_look_all_the_same() -> None:
    """Every ask of that check agrees: each permission that was missing is back at once."""
    for lost in sorted(REQUIRED):
        world = World(REQUIRED - {lost})
        events: list[Event] = []
        async for report, happened in looks(world, 3):
            events += happened
            if report.partial:
                world.grants = REQUIRED
        assert [event.kind for event in events if event.permission_id] == [EventKind.FOUND, EventKind.REGAINED], lost


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
