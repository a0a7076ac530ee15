"""What Greenhouse cannot have said grants nothing and takes nothing away, in whole checks of keys of any kind."""

import asyncio
import json
from collections.abc import Iterable

import pytest

from checks.answer import AnswerKind
from checks.catalogue.entry import RequestClass
from checks.credential import CredentialState
from checks.report import CheckReport, Verdict
from checks.v1.key_answers import reduce
from tests.cases import for_each
from tests.worlds import CATALOGUE, EVERYTHING, NO_PERMISSION, REQUIRED, Reply, World, check, wrong

READS = frozenset(endpoint for endpoint in EVERYTHING if endpoint.startswith("GET "))
LISTS = frozenset(e for e in READS if CATALOGUE.entry(e).request_class is RequestClass.LIST)
UNDER_ID = READS - LISTS
BY_ID = frozenset(e for e in READS if CATALOGUE.entry(e).request_class is RequestClass.BY_ID)
JOB = CATALOGUE.entry("GET /v1/jobs/{id}")
KEYS = {
    "nothing": frozenset[str](),
    "everything": frozenset(EVERYTHING),
    "what is required": REQUIRED,
    "what is required, but for three": REQUIRED - {"GET /v1/offices", "GET /v1/jobs/{id}", "GET /v1/jobs/{id}/stages"},
    "lists alone": LISTS,
}
TEXT = "This API Key does not have permission for this endpoint"


def behind(gateway: Reply, through: Iterable[str], key: str, *, told_apart: bool) -> tuple[CheckReport, World]:
    """Some requests of this key are answered by a gateway; it sends no rate limit headers where it is `told_apart`."""
    world = World(KEYS[key], gateway=gateway, through_gateway=frozenset(through), disguised=not told_apart)
    return asyncio.run(check(world)), world


def decided(report: CheckReport, verdict: Verdict, among: Iterable[str]) -> set[str | None]:
    return {finding.endpoint for finding in report.findings if finding.verdict is verdict} & set(among)


DATA_OF_NOBODY: dict[str, Reply] = {
    "a maintenance notice": (200, {"maintenance": True}),
    "problem+json": (200, {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "blocked"}),
    "an empty array": (200, []),
    "a record": (200, {"id": 1, "name": "x"}),
    "an error": (200, {"errors": [{"message": "try later"}]}),
}


@for_each(DATA_OF_NOBODY, KEYS)
def test_data_for_a_record_that_does_not_exist_is_believed_of_nothing(answer: str, key: str) -> None:
    """A 200 on every request by id comes from somebody in between, and so may have all that came before it."""
    report, world = behind(DATA_OF_NOBODY[answer], BY_ID, key, told_apart=False)
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "not_greenhouse")
    assert report.counts[Verdict.GRANTED] == report.counts[Verdict.MISSING] == 0
    assert wrong(report, world) == []


@for_each(DATA_OF_NOBODY, sorted(BY_ID & REQUIRED))
def test_data_for_one_record_that_does_not_exist_is_enough(answer: str, endpoint: str) -> None:
    """Once, on any single request by id: of that check nothing is believed."""
    report, _ = behind(DATA_OF_NOBODY[answer], [endpoint], "lists alone", told_apart=False)
    assert report.detail == "not_greenhouse"
    assert report.counts[Verdict.GRANTED] == report.counts[Verdict.MISSING] == 0


@for_each(
    {"rows": [{"id": 1, "name": "x"}], "an empty array": [], "an empty object": {}, "a page in JSON": {"a": 1}}.items(),
    KEYS,
    [True, False],
    ids=lambda case: case[0] if isinstance(case, tuple) else case,
)
def test_a_cache_that_answers_every_read_grants_nothing(body: tuple[str, object], key: str, told_apart: bool) -> None:
    """Also to a key that holds nothing: no list is granted by it, and no record."""
    report, _ = behind((200, body[1]), READS, key, told_apart=told_apart)
    assert report.state is not CredentialState.OK
    assert report.counts[Verdict.GRANTED] == report.counts[Verdict.MISSING] == 0


def test_a_cache_in_front_of_some_lists_is_told_by_what_its_answers_lack() -> None:
    """A list out of a cache carries no rate limit, and the answers that Greenhouse served do."""
    cached = {"GET /v1/sources", "GET /v1/offices", "GET /v1/users"}
    report, world = behind((200, [{"id": 1}]), cached, "lists alone", told_apart=True)
    lacking = World(KEYS["lists alone"] - cached, gateway=(200, [{"id": 1}]), through_gateway=frozenset(cached))
    for found, model in ((report, world), (asyncio.run(check(lacking)), lacking)):
        assert decided(found, Verdict.GRANTED, cached) == decided(found, Verdict.MISSING, cached) == set()
        assert decided(found, Verdict.GRANTED, LISTS) == (LISTS & REQUIRED) - cached
        assert wrong(found, model) == []


WORDS: dict[str, Reply] = {
    "Access Denied": (403, {"message": "Access Denied"}),
    "Access Denied in a list": (403, {"errors": [{"message": "Access Denied"}]}),
    "access denied": (403, {"errors": [{"message": "access denied"}]}),
    "Access denied, beside": (403, {"message": "Access denied"}),
    "Forbidden": (403, {"message": "Forbidden"}),
    "Unauthorized": (401, {"message": "Unauthorized"}),
    "a longer 401": (401, {"message": "Invalid Basic Auth credentials."}),
    "Not Found": (404, {"message": "Not Found"}),
    "not found": (404, {"message": "not found"}),
    "Not found, beside": (404, {"message": "Not found"}),
    "Not Found in a list": (404, {"errors": [{"message": "Not Found"}]}),
    "Resource Not Found": (404, {"message": "Resource Not Found"}),
    "Resource not found, with more": (404, {"message": "Resource not found", "path": "/v1/jobs/0"}),
    "Resource not found as an error": (404, {"error": "Resource not found"}),
    "Rails' own 404": (404, {"status": 404, "error": "Not Found"}),
    "problem+json": (404, {"type": "about:blank", "title": "Not Found", "status": 404}),
    "JSON:API": (422, {"errors": [{"status": "422", "title": "Unprocessable"}]}),
    "a payload in small letters": (400, {"message": "Invalid JSON payload"}),
    "no access, with a full stop": (403, {"message": "You do not have access to that record."}),
}
"""What gateways write, each next to something that Greenhouse is known to write."""


@for_each(WORDS, KEYS, [True, False])
def test_a_gateways_words_decide_nothing(words: str, key: str, told_apart: bool) -> None:
    """On every third request, where Greenhouse's refusals could vouch for them: neither granted nor missing by them."""
    through = frozenset(EVERYTHING[::3])
    report, world = behind(WORDS[words], through, key, told_apart=told_apart)
    assert decided(report, Verdict.GRANTED, through) == decided(report, Verdict.MISSING, through) == set()
    assert wrong(report, world) == []


@for_each(WORDS, sorted(UNDER_ID & REQUIRED)[::4])
def test_a_gateways_words_on_one_request_decide_nothing_about_it(words: str, endpoint: str) -> None:
    """Where all else is Greenhouse's, with every control refused."""
    report, world = behind(WORDS[words], [endpoint], "what is required", told_apart=False)
    verdict = next(finding.verdict for finding in report.findings if finding.endpoint == endpoint)
    assert verdict is Verdict.UNDECIDED
    assert wrong(report, world) == []


SENTENCES = [
    f"{TEXT}.",
    f"Error: {TEXT}",
    f'"{TEXT}"',
    f"<p>{TEXT}</p>",
    f"403 Forbidden - {TEXT}",
    f"{TEXT} (blocked by policy 7)",
    f"It is not true that {TEXT[0].lower()}{TEXT[1:]}",
    f"{TEXT}. {TEXT}",
    TEXT.replace("This", "Your"),
    TEXT.removesuffix(" for this endpoint"),
    TEXT.replace("Key", "Token"),
    TEXT.replace(" ", "-"),
]


@for_each(SENTENCES, [401, 403], ["message", "errors"])
def test_the_permission_text_inside_something_longer_is_not_the_permission_text(
    text: str, status: int, shape: str
) -> None:
    """Whole, or not at all; only white space around it and the case of its letters are free."""
    said = [{"message": text}] if shape == "errors" else text
    assert reduce(JOB, status, {}, json.dumps({shape: said}).encode()).kind is AnswerKind.UNKNOWN_REFUSAL


@pytest.mark.parametrize(
    "beside",
    [
        {"message": TEXT, "errors": [{"message": "blocked"}]},
        {"message": "blocked", "errors": [{"message": TEXT}]},
        {"errors": [{"message": TEXT}, {"message": "blocked"}]},
        {"errors": [TEXT, "blocked"]},
    ],
)
def test_the_permission_text_beside_another_is_not_the_permission_text(beside: object) -> None:
    """Every message of the answer has to be it."""
    assert reduce(JOB, 403, {}, json.dumps(beside).encode()).kind is AnswerKind.UNKNOWN_REFUSAL


@for_each(SENTENCES, KEYS, ["all but lists", "one in three"])
def test_a_proxy_that_quotes_the_permission_text_takes_nothing_away(text: str, key: str, where: str) -> None:
    """Nor does it vouch for what the key has."""
    through = frozenset(EVERYTHING) - LISTS if where == "all but lists" else frozenset(EVERYTHING[::3])
    report, world = behind((403, {"message": text}), through, key, told_apart=False)
    assert decided(report, Verdict.MISSING, through) == decided(report, Verdict.GRANTED, through) == set()
    assert wrong(report, world) == []


def test_the_permission_text_alone_is_a_refusal() -> None:
    """The same proxy with the text as it is would be Greenhouse: what the tests above rest on."""
    report, _ = behind(NO_PERMISSION, UNDER_ID, "everything", told_apart=False)
    assert decided(report, Verdict.MISSING, UNDER_ID) == UNDER_ID & REQUIRED
