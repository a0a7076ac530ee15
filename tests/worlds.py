"""Worlds drawn at random: what a key holds, in which order Greenhouse checks, and what something in between adds.

The model answers in bytes, from the documentation and the recorded answers; it knows no rule of a verdict. The long
form is `python -m tests.worlds 100000`: it says how many verdicts were wrong, and which share was decided.

Every order of the four checks is drawn for every cell, and for single records under a record apart from lists; every
need (the header, the fields, a list's parent) is there or not for every cell. Within these all endpoints are alike:
that one of them alone is checked in another order no request that changes nothing could show.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from checks.answer import Answer
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Cell, Entry, RequestClass, Service, WriteProbes
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.manifest import load
from checks.report import CheckReport, Finding, Verdict
from checks.v1.check import KeyCheckRun, SendGuard
from checks.v1.key_answers import reduce
from checks.v1.verdicts import KeyRule
from tests.paths import FIXTURES
from tests.sandbox_check import Writes, known_401

CATALOGUE = catalogue()
GEM = load("gem")
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
EVERYTHING = sorted({*CATALOGUE.probes, *CATALOGUE.controls})
REQUIRED = frozenset(p.endpoint for p in GEM.applying_to([]) if p.endpoint)
CELLS = sorted({CATALOGUE.entry(endpoint).cell for endpoint in EVERYTHING})
BORROWING = Cell(RequestClass.BY_ID, Service.APPLICATIONS)
FIELDS_NEEDED = {
    f"{row['method']} {row['path']}": row["required_body"]
    for row in json.loads((FIXTURES / "documented_endpoints.json").read_text("utf-8"))["endpoints"]
}
NESTED = [entry for entry in map(CATALOGUE.entry, EVERYTHING) if entry.request_class is RequestClass.NESTED]
ONE_RECORD = ("/activity_feed", "/current_offer", "/job_post", "/eeoc", "/hiring_team")
STEPS = ("permission", "on_behalf_of", "record", "fields")
RECORD_FIRST = ("record", "permission", "on_behalf_of", "fields")
Reply = tuple[int, object]
NO_PERMISSION: Reply = (403, {"message": "This API Key does not have permission for this endpoint"})
NOT_FOUND: Reply = (404, {"message": "Resource not found"})
INVALID_KEY: Reply = (401, {"message": "Invalid Basic Auth credentials"})
INVALID_FIELDS: Reply = (422, {"errors": [{"message": "Missing required field: x", "field": "x"}]})
ROWS: Reply = (200, [{"id": 1}])
GATEWAYS: tuple[Reply, ...] = (
    (200, {"maintenance": True}),
    (200, {}),
    (200, {"type": "about:blank", "title": "Forbidden", "status": 403}),
    ROWS,
    (403, {"message": "Access Denied"}),
    (403, {"errors": [{"message": "Access Denied"}]}),
    (404, {"message": "Not Found"}),
    (404, {"message": "not found"}),
    (404, {"error": "Resource not found"}),
    (403, {"message": "Sorry: this API key does not have permission for this endpoint, says the proxy"}),
    (422, {"errors": [{"status": "422", "title": "Unprocessable"}]}),
    (400, {"message": "Invalid JSON payload"}),
)
"""What something between us and Greenhouse may answer; none of it is Greenhouse's."""


@dataclass
class World:
    """Greenhouse towards one key. `orders` are by cell or by endpoint, and the endpoint's wins.

    Under the first path segments `record_first_under` it looks for the record before anything else, whatever these say.

    A cell in `without_parent` lists nothing, with 200, under a record that is not there; one in `without_header` does
    not need On-Behalf-Of, and one in `without_fields` no field.

    `noise` is the share of answers, each drawn by itself, that are `noises` instead; `gateway` answers the requests of
    `through_gateway` instead of Greenhouse. `counted`: Greenhouse's answers carry its rate limit headers, as all that
    were recorded do; the gateway's do too where it is `disguised`.
    """

    grants: frozenset[str]
    orders: Mapping[Cell | str, tuple[str, ...]] = field(default_factory=dict)
    record_first_under: frozenset[str] = frozenset()
    without_parent: frozenset[Cell] = frozenset()
    without_header: frozenset[Cell] = frozenset()
    without_fields: frozenset[Cell] = frozenset()
    permitted: WriteProbes = WriteProbes.ALL
    noise: float = 0.0
    noises: tuple[Reply, ...] = (NO_PERMISSION,)
    gateway: Reply | None = None
    counted: bool = True
    disguised: bool = False
    through_gateway: frozenset[str] = frozenset()
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    requests: int = 0

    async def send(self, entry: Entry, guard: SendGuard) -> Answer | None:
        if not await guard.may_send(entry):
            return None
        self.requests += 1
        status, document = self.reply(entry)
        foreign = self.gateway is not None and entry.endpoint in self.through_gateway and not self.disguised
        headers = {"x-ratelimit-limit": "50"} if self.counted and not foreign else {}
        answer = reduce(entry, status, headers, json.dumps(document).encode())
        await guard.answered(entry, answer)
        return answer

    def reply(self, entry: Entry) -> Reply:
        if self.chance.random() < self.noise:
            return self.chance.choice(self.noises)
        if self.gateway is not None and entry.endpoint in self.through_gateway:
            return self.gateway
        for step in self.order_of(entry):
            refusal = self._refusal(step, entry)
            if refusal is not None:
                return refusal
        return 200, []

    def order_of(self, entry: Entry) -> tuple[str, ...]:
        if entry.segment in self.record_first_under:
            return RECORD_FIRST
        return self.orders.get(entry.endpoint) or self.orders.get(entry.cell, STEPS)

    def _refusal(self, step: str, entry: Entry) -> Reply | None:
        match step:
            case "permission" if entry.endpoint not in self.grants:
                return NO_PERMISSION
            case "on_behalf_of" if entry.method != "GET" and entry.cell not in self.without_header:
                return NOT_FOUND
            case "record" if "/0" in entry.target:
                return (200, []) if self._lists_nothing(entry) else NOT_FOUND
            case "fields" if FIELDS_NEEDED[entry.endpoint] and entry.cell not in self.without_fields:
                return INVALID_FIELDS
        return None

    def _lists_nothing(self, entry: Entry) -> bool:
        nested_list = entry.request_class is RequestClass.NESTED and not gives_one_record(entry)
        return nested_list and entry.cell in self.without_parent

    def has_an_order_alone(self, entry: Entry) -> bool:
        """What this endpoint's verdict would be borrowed from is checked in another order."""
        return entry.endpoint in self.orders or (entry.cell == BORROWING and self.order_of(entry) != STEPS)


def gives_one_record(entry: Entry) -> bool:
    return entry.target.endswith(ONE_RECORD)


async def check(world: World, request: CheckRequest | None = None) -> CheckReport:
    context = CheckContext(lambda: NOW, lambda: 0.0, 3600.0, lambda: False)
    return await KeyCheckRun(world, request or CheckRequest(GEM), CATALOGUE, Writes(), known_401, context).report()


def false_findings(report: CheckReport, grants: frozenset[str]) -> list[Finding]:
    """What is said to be granted and is not there, or to be missing and is."""
    return [f for f in report.findings if f.verdict is (Verdict.MISSING if f.endpoint in grants else Verdict.GRANTED)]


def wrong(report: CheckReport, world: World) -> list[str]:
    """False verdicts; not one that is borrowed, as its rule says, where what borrows has an order of its own."""
    return [
        f"{f.verdict} {f.endpoint} by {f.rule}"
        for f in false_findings(report, world.grants)
        if not (
            f.rule == KeyRule.GRANTED_BORROWED.number
            and f.endpoint
            and world.has_an_order_alone(CATALOGUE.entry(f.endpoint))
        )
    ]


def draw(chance: random.Random) -> World:
    """A world of any kind; about a third of them have the same order in every cell."""
    orders: dict[Cell | str, tuple[str, ...]] = {cell: _order(chance) for cell in _some(chance, (0, 0.3, 1))}
    for cell in {entry.cell for entry in NESTED}:
        if chance.random() < 0.3:
            orders |= dict.fromkeys(_records_under(cell), _order(chance))
    gateway = chance.choice(GATEWAYS) if chance.random() < 0.3 else None
    counted, disguised = chance.random() < 0.5, chance.random() < 0.5
    through_gateway = chance.sample(EVERYTHING, chance.randint(1, len(EVERYTHING)))
    if gateway == ROWS and (disguised or not counted):
        # Rows of a list look like Greenhouse's own, so in this world no list goes through the gateway.
        through_gateway = [e for e in through_gateway if CATALOGUE.entry(e).request_class is not RequestClass.LIST]
    return World(
        grants=_grants(chance),
        orders=orders,
        without_parent=_some(chance, (0.3,)),
        without_header=_some(chance, (0, 0.2, 1)),
        without_fields=_some(chance, (0, 0.2, 1)),
        permitted=chance.choice(list(WriteProbes)),
        gateway=gateway,
        through_gateway=frozenset(through_gateway),
        counted=counted,
        disguised=disguised,
        chance=chance,
    )


def _order(chance: random.Random) -> tuple[str, ...]:
    return tuple(chance.sample(STEPS, 4))


def _some(chance: random.Random, shares: tuple[float, ...]) -> frozenset[Cell]:
    share = chance.choice(shares)
    return frozenset(cell for cell in CELLS if chance.random() < share)


def _records_under(cell: Cell) -> list[str]:
    return [entry.endpoint for entry in NESTED if entry.cell == cell and gives_one_record(entry)]


def _grants(chance: random.Random) -> frozenset[str]:
    """Nothing, everything, what Gem needs, or any of these without a few or with a few more."""
    base = chance.choice((frozenset[str](), frozenset(EVERYTHING), REQUIRED, REQUIRED))
    few = frozenset(chance.sample(EVERYTHING, chance.choice((0, 1, 3, 10, 40))))
    return base - few if chance.random() < 0.7 else base | few


def noisy(chance: random.Random, noise: float, noises: tuple[Reply, ...] = (NO_PERMISSION,)) -> World:
    """A world with false answers; in half Greenhouse looks for the record first, where refusals do most harm."""
    first = chance.random() < 0.5
    lookup_first = ("on_behalf_of", "record", "permission", "fields")
    return World(
        grants=_grants(chance),
        orders=dict.fromkeys(CELLS, lookup_first) if first else {},
        noise=noise,
        noises=noises,
        chance=chance,
    )


def by_segment(chance: random.Random, share: float) -> World:
    """A share of the first path segments has the record first; the key lacks one to five reads, and every control."""
    segments = sorted({CATALOGUE.entry(endpoint).segment for endpoint in EVERYTHING})
    inferred = [e for e in sorted(REQUIRED) if e.startswith("GET") and "/0" in CATALOGUE.entry(e).target]
    return World(
        grants=REQUIRED - frozenset(chance.sample(inferred, chance.randint(1, 5))),
        record_first_under=frozenset(segment for segment in segments if chance.random() < share),
        permitted=WriteProbes.OFF,
    )


async def survey_by_segment(count: int, share: float) -> tuple[int, list[tuple[World, Finding]]]:
    """How many permissions were absent, and every wrong verdict with its world."""
    absent, faults = 0, []
    for number in range(count):
        world = by_segment(random.Random(f"{share}-{number}"), share)
        absent += len(REQUIRED - world.grants)
        faults += [(world, finding) for finding in false_findings(await check(world), world.grants)]
    return absent, faults


def worlds(count: int, seed: int = 0) -> Iterator[World]:
    for number in range(count):
        yield draw(random.Random(f"{seed}-{number}"))


async def survey(count: int, seed: int = 0) -> tuple[list[str], Counter[Verdict]]:
    """Every wrong verdict, with the number of its world, and how often each verdict was given."""
    faults, verdicts = [], Counter[Verdict]()
    for number, world in enumerate(worlds(count, seed)):
        report = await check(world)
        verdicts.update(report.counts)
        faults += [f"world {number}: {fault}" for fault in wrong(report, world)]
        if sys.stderr.isatty() and number % 1000 == 0:
            print(f"\r{number} of {count}", end="", file=sys.stderr)
    return faults, verdicts


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    faults, verdicts = asyncio.run(survey(count))
    print(f"{count} worlds, {verdicts.total()} verdicts, {len(faults)} wrong")
    print(", ".join(f"{verdict}: {number}" for verdict, number in verdicts.items()))
    print(*faults[:20], sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
