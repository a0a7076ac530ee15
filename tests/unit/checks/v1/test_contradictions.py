"""What speaks against a key as a whole, where something else in the same check speaks for it."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry, RequestClass
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.credential import CredentialState
from checks.report import CheckReport, Outcome, Verdict
from checks.v1.check import KeyCheckRun
from checks.v1.key_answers import reduce
from tests import worlds
from tests.cases import for_each
from tests.confirming import confirmed
from tests.worlds import CATALOGUE, EVERYTHING, GEM, INVALID_KEY, REQUIRED, Reply, World, wrong

LISTS = frozenset(e for e in EVERYTHING if CATALOGUE.entry(e).request_class is RequestClass.LIST)
BY_ID = frozenset(e for e in EVERYTHING if CATALOGUE.entry(e).request_class is RequestClass.BY_ID)
GONE: dict[str, Reply] = {
    "404 in other words": (404, {"error": "Not Found"}),
    "404 in Greenhouse's words": worlds.NOT_FOUND,
    "410": (410, {"message": "Gone"}),
    "301": (301, {}),
}


@dataclass
class Odd(World):
    """Answers some requests in its own way; `anonymous` answers the request without a key, `asked` counts those."""

    odd: Mapping[str, Reply] = field(default_factory=dict)
    anonymous: Answer = field(default_factory=lambda: Answer(AnswerKind.GONE, 410))
    asked: int = 0

    def reply(self, entry: Entry) -> Reply:
        return self.odd.get(entry.endpoint) or super().reply(entry)

    async def send_anonymous(self) -> Answer:
        self.asked += 1
        return self.anonymous


def confirmed_check(world: Odd) -> CheckReport:
    """A check and what follows it until nothing is in doubt."""

    def look(request: CheckRequest) -> CheckReport:
        context = CheckContext(lambda: worlds.NOW, lambda: 0.0, 3600.0, lambda: False)
        run = KeyCheckRun(world, request, CATALOGUE, worlds.Writes(), world.send_anonymous, context)
        return asyncio.run(run.report())

    return confirmed(CheckRequest(GEM), look, look)


def all_of(endpoints: Iterable[str], reply: Reply) -> dict[str, Reply]:
    return dict.fromkeys(endpoints, reply)


@for_each(sorted(REQUIRED))
def test_one_endpoint_that_always_refuses_the_key_makes_no_revoked_key(endpoint: str) -> None:
    """In both looks, whichever it is: the key is ok, and only that endpoint is left open."""
    world = Odd(REQUIRED, odd={endpoint: INVALID_KEY})
    report = confirmed_check(world)
    assert (report.state, report.outcome) == (CredentialState.OK, Outcome.UNDECIDED)
    assert {f.endpoint for f in report.findings if f.verdict is Verdict.UNDECIDED} >= {endpoint}
    assert report.missing == ()


@for_each(GONE)
def test_lists_that_are_all_gone_are_no_retirement_where_a_record_is_refused(gone: str) -> None:
    """The permission text on a request by id shows that the API is there, whatever a request without a key gets."""
    world = Odd(REQUIRED - BY_ID, odd=all_of(LISTS, GONE[gone]))
    report = confirmed_check(world)
    assert (report.state, world.asked) == (CredentialState.OK, 0)
    assert wrong(report, world) == []


@for_each(set(GONE) - {"404 in Greenhouse's words"})
def test_lists_that_are_all_gone_are_no_retirement_where_a_record_is_looked_for(gone: str) -> None:
    """Greenhouse's own 404 on a request by id is another answer than that of the lists."""
    world = Odd(REQUIRED, odd=all_of(LISTS, GONE[gone]))
    report = confirmed_check(world)
    assert not report.looks_retired
    assert world.asked == 0
    assert report.counts[Verdict.GRANTED] == report.counts[Verdict.MISSING] == 0


@for_each(GONE)
def test_everything_that_is_gone_looks_retired(gone: str) -> None:
    """What the two tests above differ from: also requests by id, and one without a key."""
    status, document = GONE[gone]
    without_key = reduce(CATALOGUE.anonymous, status, {}, json.dumps(document).encode())
    world = Odd(REQUIRED, odd=all_of(EVERYTHING, GONE[gone]), anonymous=without_key)
    assert confirmed_check(world).looks_retired
    for another in (Answer(AnswerKind.INVALID_KEY, 401), Answer(AnswerKind.GONE, 403)):
        there = Odd(REQUIRED, odd=all_of(EVERYTHING, GONE[gone]), anonymous=another)
        assert not confirmed_check(there).looks_retired


@dataclass
class Turning(Odd):
    """Refuses the key in the requests of one check whose numbers are in `refused`."""

    refused: range = range(0)

    def reply(self, entry: Entry) -> Reply:
        return INVALID_KEY if self.requests in self.refused else super().reply(entry)


@for_each([1, 2, 3, 10, 40])
def test_a_key_that_was_served_in_a_check_is_not_invalid_in_it(served: int) -> None:
    """So many requests are answered, and all later ones refuse the key: that is a contradiction, in one check."""
    world = Turning(REQUIRED, refused=range(served + 1, 1000))
    report = asyncio.run(worlds.check(world))
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "contradicted")
    assert report.counts[Verdict.GRANTED] == report.counts[Verdict.MISSING] == 0


@for_each([1, 2])
def test_a_key_that_was_refused_at_first_and_is_served_then_is_ok(refused: int) -> None:
    """What the first requests were refused is asked for again, and judged as any other."""
    report = asyncio.run(worlds.check(Turning(REQUIRED - {"GET /v1/offices"}, refused=range(1, refused + 1))))
    assert report.state is CredentialState.OK
    assert [finding.endpoint for finding in report.missing] == ["GET /v1/offices"]
    assert report.counts[Verdict.UNDECIDED] == 0
