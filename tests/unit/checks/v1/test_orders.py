"""Whole checks of a Greenhouse that checks a permission, a record and the fields in an order of its own."""

import asyncio

import pytest

from checks.catalogue.entry import Cell, RequestClass, Service
from checks.report import Verdict
from tests.cases import for_each
from tests.worlds import CATALOGUE, CELLS, EVERYTHING, REQUIRED, STEPS, World, check, wrong

UPDATE, CONVERT = "PATCH /v1/applications/{id}", "PATCH /v1/applications/{id}/convert_prospect"
POSTS_OF_JOB = "GET /v1/jobs/{id}/job_posts"
CURRENT_OFFER = "GET /v1/applications/{application_id}/offers/current_offer"
FEED = "GET /v1/candidates/{id}/activity_feed"
PATCHES = [Cell(RequestClass.PATCH, service) for service in Service]
NESTED = [Cell(RequestClass.NESTED, service) for service in Service]


def verdicts(world: World) -> dict[str | None, Verdict]:
    """By endpoint; none of them is wrong."""
    report = asyncio.run(check(world))
    assert wrong(report, world) == []
    return {finding.endpoint: finding.verdict for finding in report.findings}


@pytest.mark.parametrize("needs_header", [True, False])
@pytest.mark.parametrize("grants", [REQUIRED, frozenset(EVERYTHING)], ids=["what is required", "everything"])
def test_a_patch_whose_fields_are_looked_at_first_is_not_granted_by_another_that_needs_none(
    grants: frozenset[str], needs_header: bool
) -> None:
    """Update Application is refused; Convert a prospect is missing as well, and answers 422."""
    world = World(
        grants - {UPDATE, CONVERT},
        orders=dict.fromkeys(PATCHES, ("fields", "permission", "on_behalf_of", "record")),
        without_header=frozenset() if needs_header else frozenset(PATCHES),
    )
    found = verdicts(world)
    assert (found[UPDATE], found[CONVERT]) == (Verdict.MISSING, Verdict.UNDECIDED)


SINGLE = [e for e in EVERYTHING if CATALOGUE.entry(e).cell in NESTED and not CATALOGUE.entry(e).gives_list]


@pytest.mark.parametrize("lost", [CURRENT_OFFER, FEED])
def test_a_record_under_a_record_that_is_looked_up_first_is_not_granted_by_a_refused_list(lost: str) -> None:
    """Lists answer [] for a parent that is not there; single records are looked up before the permission."""
    lost_list = "GET /v1/applications/{application_id}/offers" if lost == CURRENT_OFFER else POSTS_OF_JOB
    world = World(
        REQUIRED - {lost, lost_list, POSTS_OF_JOB},
        orders=dict.fromkeys(SINGLE, ("record", "permission", "on_behalf_of", "fields")),
        without_parent=frozenset(NESTED),
    )
    found = verdicts(world)
    assert (found[POSTS_OF_JOB], found[lost_list], found[lost]) == (
        Verdict.MISSING,
        Verdict.MISSING,
        Verdict.UNDECIDED,
    )


ORDERS = [(first, *(step for step in STEPS if step != first)) for first in STEPS]
ORDERS += [(*(step for step in STEPS if step != last), last) for last in STEPS]


@for_each(CELLS, ORDERS, ["two of the cell", "all of the cell", "all of the cell but one"], ids=str)
def test_no_order_of_one_cell_makes_a_wrong_verdict(cell: Cell, order: tuple[str, ...], lost: str) -> None:
    """Some of its permissions are missing, and the rest of Greenhouse is as it was thought to be."""
    mine = [endpoint for endpoint in EVERYTHING if CATALOGUE.entry(endpoint).cell == cell]
    gone = {"two of the cell": mine[:2], "all of the cell": mine, "all of the cell but one": mine[1:]}[lost]
    for without_parent in (frozenset[Cell](), frozenset({cell})):
        world = World(REQUIRED - set(gone), orders={cell: order}, without_parent=without_parent)
        assert wrong(asyncio.run(check(world)), world) == []
