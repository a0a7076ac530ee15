"""The real check at the real sandbox: no verdict is wrong, whatever the sandbox's settings."""

import random
from itertools import permutations
from typing import Any

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Cell, WriteProbes
from checks.check_request import CheckRequest
from checks.credential import CredentialState
from checks.manifest import load
from checks.report import CheckReport, Finding
from checks.v1.verdicts import KeyRule
from monitor.sandbox.greenhouse.endpoints import cells, endpoint_names, endpoints
from monitor.sandbox.greenhouse.settings import NAMED_ORDERS, CheckStep
from tests.sandbox_check import check_key
from tests.sandbox_session import sandbox_session
from tests.worlds import EVERYTHING, false_findings

GEM = load("gem")
ORDERS = [*NAMED_ORDERS, *(",".join(steps) for steps in permutations(CheckStep))]
NESTED = ("nested/applications", "nested/rest")


def drawn(chance: random.Random) -> dict[str, Any]:
    """Orders and needs of each cell, and of single records under a record apart from lists; shapes of answers."""
    orders = {cell: chance.choice(ORDERS) for cell in some(chance, cells())}
    for cell in some(chance, NESTED):
        orders |= dict.fromkeys(_records_under(cell), chance.choice(ORDERS))
    without_fields = some(chance, cells())
    return {
        "order": chance.choice(ORDERS),
        "orders": orders,
        "on_behalf_of": chance.choice(["every_write", "documented", "off"]),
        "headers": {cell: chance.choice(["every_write", "off"]) for cell in some(chance, cells())},
        "nested_without_parent": chance.choice(["not_found", "empty_list"]),
        "parents": {cell: chance.choice(["not_found", "empty_list"]) for cell in some(chance, NESTED)},
        "not_needed": {e.name: list(e.needs) for e in endpoints().values() if e.needs and e.cell in without_fields},
        "denial_status": chance.choice([401, 403]),
        "denial_shape": chance.choice(["message", "errors"]),
        "not_found_shape": chance.choice(["message", "errors"]),
        "validation_shape": chance.choice(["recorded", "documented"]),
        "limit_headers": chance.random() < 0.5,
    }


def some(chance: random.Random, names: list[str] | tuple[str, ...]) -> list[str]:
    share = chance.choice((0, 0.3, 1))
    return [name for name in names if chance.random() < share]


def _records_under(cell: str) -> list[str]:
    return [e.name for e in endpoints().values() if e.cell == cell and e.gives_object]


def held(chance: random.Random) -> frozenset[str]:
    """What a key has of the catalogue's endpoints: a word's, without a few or with a few more."""
    few = chance.sample(EVERYTHING, chance.choice((0, 1, 3, 10, 40)))
    base = endpoint_names(chance.choice(["gem", "gem+eeoc", "all", "none"]))
    return base - frozenset(few) if chance.random() < 0.7 else base | frozenset(few)


def checked(chance: random.Random, settings: dict[str, Any], grants: frozenset[str]) -> CheckReport:
    session = sandbox_session(sorted(grants), **settings)
    request = CheckRequest(GEM, features=frozenset({"eeoc"} if chance.random() < 0.5 else ()))
    return check_key(session, request, chance.choice(list(WriteProbes)))


def false(report: CheckReport, grants: frozenset[str]) -> list[Finding]:
    """Without what is borrowed, whose rule says that it may be false if its own kind has an order of its own."""
    return [finding for finding in false_findings(report, grants) if finding.rule != KeyRule.GRANTED_BORROWED.number]


def test_no_verdict_is_wrong_whatever_the_settings() -> None:
    """Any order for each cell, any need lifted, every shape of a refusal, any key; most keys are decided in part."""
    decided = 0
    for number in range(100):
        chance = random.Random(number)
        settings, grants = drawn(chance), held(chance)
        report = checked(chance, settings, grants)
        assert report.state is CredentialState.OK, number
        assert false(report, grants) == [], (number, settings)
        decided += sum(finding.verdict in ("granted", "missing") for finding in report.findings)
    assert decided > 100 * len(GEM.permissions) / 3


def test_one_endpoint_with_an_order_of_its_own_misleads_about_its_cell_at_most() -> None:
    """What a cell's refusals show is believed of all of it. Nothing is ever missing that is there."""
    misled = 0
    for number in range(60):
        chance = random.Random(f"odd {number}")
        settings, grants = drawn(chance), held(chance)
        odd = chance.choice(EVERYTHING)
        settings["orders"] |= {odd: chance.choice(ORDERS)}
        report = checked(chance, settings, grants)
        for finding in false(report, grants):
            assert (finding.verdict, cell_of(finding.endpoint)) == ("granted", cell_of(odd)), (number, settings)
            misled += 1
    assert misled


def cell_of(endpoint: str | None) -> Cell:
    return catalogue().entry(endpoint or "").cell


def test_a_need_of_one_kind_that_comes_before_the_permission_makes_no_false_grant() -> None:
    """The cases that were thought of one by one, each with a key that lacks one permission after the other."""
    single = [name for cell in NESTED for name in _records_under(cell)]
    lists = [e.name for e in endpoints().values() if e.cell in NESTED and not e.gives_object]
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"orders": dict.fromkeys(single, "lookup_first")}, single),
        ({"orders": dict.fromkeys(lists, "lookup_first")}, lists),
        ({"orders": dict.fromkeys(single, "lookup_first"), "nested_without_parent": "empty_list"}, single),
        ({"orders": by_method("PATCH", "fields,permission,on_behalf_of,record")}, names("PATCH")),
        ({"orders": by_method("POST", "on_behalf_of,permission,record,fields")}, names("POST")),
        ({"orders": by_method("PUT", "record,permission,on_behalf_of,fields")}, names("PUT")),
    ]
    required = endpoint_names("gem")
    for number, (settings, endpoints_of_a_kind) in enumerate(cases):
        for lost in sorted(required.intersection(endpoints_of_a_kind)):
            session = sandbox_session(sorted(required - {lost}), **settings)
            report = check_key(session, CheckRequest(GEM), WriteProbes.ALL)
            assert false_findings(report, required - {lost}) == [], (number, lost)


def by_method(method: str, order: str) -> dict[str, str]:
    return dict.fromkeys(names(method), order)


def names(method: str) -> list[str]:
    return [endpoint.name for endpoint in endpoints().values() if endpoint.method == method]
