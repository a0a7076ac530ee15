"""Honest worlds: nothing in between, and one order of checks everywhere. Which share of the verdicts is decided?

`python -m tests.honest_worlds` prints it for each of them, with the number of wrong verdicts and of those that could
have been decided. What is not checkable does not count.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from checks.catalogue.entry import Entry, RequestClass, WriteProbes
from checks.check_request import CheckRequest
from checks.report import Verdict
from tests.worlds import BORROWING, CATALOGUE, CELLS, EVERYTHING, GEM, STEPS, World, check, gives_one_record, wrong

ENTRIES = [CATALOGUE.entry(endpoint) for endpoint in EVERYTHING]
RECORD_FIRST = ("record", "permission", "on_behalf_of", "fields")
ORDERS = {
    "permission first": STEPS,
    "lookup first": ("on_behalf_of", "record", "permission", "fields"),
    "permission last": ("on_behalf_of", "record", "fields", "permission"),
}
EEOC = frozenset({"eeoc"})


class Customer(NamedTuple):
    """What the key holds before anything is taken from it, and the features of the tenant."""

    holds: frozenset[str]
    features: frozenset[str]

    @property
    def required(self) -> list[str]:
        return sorted(p.endpoint for p in GEM.applying_to(self.features) if p.endpoint)


def _least(features: frozenset[str]) -> Customer:
    return Customer(frozenset(p.endpoint for p in GEM.applying_to(features) if p.endpoint), features)


CUSTOMERS = {
    "Gem's": _least(frozenset()),
    "Gem's with EEOC": _least(EEOC),
    "everything": Customer(frozenset(EVERYTHING), frozenset()),
}
LACKING = {"nothing": 0, "1": 1, "3": 3, "10": 10, "half": 31, "all": 10**6}


class Case(NamedTuple):
    order: str
    nested_lists: str  # under a record that does not exist: "404" or "[]"
    key: str
    lacks: str
    probes: WriteProbes

    @property
    def kind(self) -> tuple[str, str, str]:
        return self.order, self.nested_lists, self.key

    def worlds(self, draws: int) -> Iterator[World]:
        customer = CUSTOMERS[self.key]
        number = min(LACKING[self.lacks], len(customer.required))
        for draw in range(draws if 0 < number < len(customer.required) else 1):
            lost = random.Random(f"{self.lacks}-{draw}").sample(customer.required, number)
            yield World(
                grants=customer.holds - frozenset(lost),
                orders=dict.fromkeys(CELLS, ORDERS[self.order]),
                without_parent=frozenset(CELLS if self.nested_lists == "[]" else ()),
                permitted=self.probes,
            )


CASES = [Case(*each) for each in product(ORDERS, ("404", "[]"), CUSTOMERS, LACKING, WriteProbes)]


class Share(NamedTuple):
    decided: float
    wrong: list[str]
    decidable: list[str]
    """What was left undecided, although no other world gives the same answers."""


async def share(case: Case, draws: int) -> Share:
    counts = Counter[Verdict]()
    faults, decidable = list[str](), list[str]()
    for world in case.worlds(draws):
        report = await check(world, CheckRequest(GEM, CUSTOMERS[case.key].features))
        counts.update(report.counts)
        faults += wrong(report, world)
        undecided = [f.endpoint for f in report.findings if f.endpoint and f.verdict is Verdict.UNDECIDED]
        decidable += [e for e in undecided if not any(_answers_alike(world, each) for each in twins(world, e))]
    decided = counts[Verdict.GRANTED] + counts[Verdict.MISSING]
    return Share(decided / (decided + counts[Verdict.UNDECIDED]), faults, decidable)


def twins(world: World, endpoint: str) -> Iterator[World]:
    """Worlds where this one permission is the other way round, and what is of its kind perhaps in another order."""
    grants = world.grants ^ {endpoint}
    for alike in _kinds(CATALOGUE.entry(endpoint)):
        for order in (RECORD_FIRST, ORDERS["lookup first"]):
            orders = {**world.orders, **dict.fromkeys(alike, order)}
            yield World(grants=grants, orders=orders, without_parent=world.without_parent)


def _kinds(entry: Entry) -> Iterator[list[str]]:
    """None; its cell, or under a record only its lists or single records; all single records of applications."""
    yield []
    yield [e.endpoint for e in ENTRIES if e.cell == entry.cell and gives_one_record(e) == gives_one_record(entry)]
    single = [e.endpoint for e in ENTRIES if e.segment == BORROWING.service and _looks_up_one(e)]
    if entry.endpoint in single:
        yield single


def _looks_up_one(entry: Entry) -> bool:
    return entry.request_class is RequestClass.BY_ID or gives_one_record(entry)


def _answers_alike(one: World, other: World) -> bool:
    return all(one.reply(entry) == other.reply(entry) for entry in ENTRIES)


async def _print(draws: int) -> None:
    print("order | nested lists | key | lacks | write probes: decided, wrong, decidable")
    for case in CASES:
        found = await share(case, draws)
        print(f"{' | '.join(case)}: {found.decided:.4f}, {len(found.wrong)}, {len(found.decidable)}")


if __name__ == "__main__":
    asyncio.run(_print(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
