"""A scope value that is not wholly understood decides nothing, in whole checks of a token that carries everything."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest

from checks.answer import Answer, AnswerKind
from checks.catalogue.scopes import known
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.credential import CredentialState, OAuthClient
from checks.report import CheckReport, Verdict
from checks.v3.check import TokenCheckRun
from checks.v3.scope_value import read_scopes
from checks.v3.token_answers import CLAIMS, introspected
from tests.cases import for_each
from tests.unit.checks.v3.test_check import ANYBODYS, GEM_REQUEST, HELD, NOW, READ_BEFORE, REQUIRED, World

ALL = sorted(known())
JOINED = " ".join(ALL)
WHOLE = '{"active": true, "client_id": "client-1", "organization_id": 4242, "user_role": null, %s}'


def scope(value: object) -> str:
    return f'"scope": {json.dumps(value)}'


def misreadable(names: list[str]) -> dict[str, str]:
    """Shapes that must not be guessed at, each with all these names in it."""
    joined, half = " ".join(names), len(names) // 2
    return {
        "joined by a comma and a blank": scope(", ".join(names)),
        "joined by a comma": scope(",".join(names)),
        "joined by a semicolon": scope("; ".join(names)),
        "joined by plus signs": scope("+".join(names)),
        "joined by two blanks": scope("  ".join(names)),
        "joined by lines": scope("\n".join(names)),
        "blanks around": scope(f" {joined} "),
        "quoted": scope(f'"{joined}"'),
        "each quoted": scope(" ".join(f"'{name}'" for name in names)),
        "the first alone quoted": scope(f'"{names[0]}" {" ".join(names[1:])}'),
        "percent-escaped": scope(quote(joined)),
        "each percent-escaped": scope(" ".join(map(quote, names))),
        "upper case": scope(joined.upper()),
        "half of it upper case": scope(" ".join([*names[:half], *map(str.upper, names[half:])])),
        "prefixed by a URL": scope(" ".join(f"https://api.greenhouse.io/{name}" for name in names)),
        "some prefixed by a URL": scope(
            " ".join([*names[:half], *(f"https://api.greenhouse.io/{name}" for name in names[half:])])
        ),
        "dots for colons": scope(joined.replace(":", ".")),
        "with another server's scope": scope(f"openid {joined}"),
        "a list with one joined text": scope([joined]),
        "a list with two joined texts": scope([" ".join(names[:half]), " ".join(names[half:])]),
        "a list of names and a joined text": scope([*names[:half], " ".join(names[half:])]),
        "objects in a list": scope([{"name": name} for name in names]),
        "objects among names": scope([*names[:half], *({"name": name} for name in names[half:])]),
        "null among names": scope([*names[:half], None]),
        "by resource": scope({"harvest": names}),
        "a number": scope(163),
        "given twice, the short one last": f"{scope(joined)}, {scope(' '.join(names[:9]))}",
        "given twice, the short one first": f"{scope(' '.join(names[:9]))}, {scope(joined)}",
        "also in the claims": f'{scope(joined)}, "{CLAIMS}": {{"scopes": {json.dumps(names[:9])}}}',
        "the rest in the claims": f'{scope(names[:half])}, "{CLAIMS}": {{{scope(names)}}}',
        "the rest under another key": f'{scope(names[:half])}, "granted_scope": {json.dumps(names[half:])}',
        "a part of them": f'{scope(names[:half])}, "scope_next": "cursor"',
        "fewer than counted": f'{scope(names[:half])}, "scopeCount": {len(names)}',
        "given under two names": f'{scope(" ".join(names[:9]))}, "scopes": {json.dumps(names)}',
    }


MISREADABLE = {"everything": misreadable(ALL), "what is needed": misreadable(sorted(REQUIRED))}


def check(
    told: str, world: World | None = None, request: CheckRequest = GEM_REQUEST, client: OAuthClient = HELD
) -> CheckReport:
    """A check in which introspection answers so, and the token carries everything."""
    world = world or World(frozenset(ALL))
    world.told = introspected(200, {}, (WHOLE % told).encode())
    context = CheckContext(lambda: NOW, lambda: 0.0, 60.0, lambda: False)
    return asyncio.run(TokenCheckRun(world, client, request, context).report())


def by_verdict(report: CheckReport, verdict: Verdict) -> set[str]:
    return {finding.permission_id for finding in report.findings if finding.verdict is verdict}


@for_each(MISREADABLE, sorted(misreadable(ALL)))
def test_what_is_not_wholly_understood_makes_nothing_missing(carried: str, shape: str) -> None:
    """Lists decide on reads; everything else is left open for a reason of its own, and the credential is well."""
    report = check(MISREADABLE[carried][shape])
    assert by_verdict(report, Verdict.MISSING) == set()
    assert report.state is CredentialState.OK
    open_ = [finding for finding in report.findings if finding.verdict is Verdict.UNDECIDED]
    assert {finding.reason for finding in open_} == {"scopes_unreadable"}
    assert (report.excess, report.excess_is_whole) == ((), False)


@pytest.mark.parametrize("told", [scope(JOINED), scope(ALL), f'"scopes": {json.dumps(ALL)}'])
def test_a_text_of_names_and_a_list_of_names_are_understood(told: str) -> None:
    """The two shapes, under either name."""
    assert by_verdict(check(told), Verdict.UNDECIDED) == by_verdict(check(told), Verdict.MISSING) == set()


def test_a_text_that_was_cut_off_anywhere_makes_nothing_missing() -> None:
    """Within a name its end is no scope; between two names the lists behind the cut are read all the same."""
    wrong = [end for end in range(1, len(JOINED)) if by_verdict(check(scope(JOINED[:end])), Verdict.MISSING)]
    assert wrong == []


def test_a_name_that_begins_another_is_cut_off_only_at_the_end() -> None:
    """Elsewhere it is one that Greenhouse has added."""
    assert read_scopes("harvest:jobs:li harvest:users:list").names == {"harvest:jobs:li", "harvest:users:list"}
    assert read_scopes("harvest:users:list harvest:jobs:li").unreadable
    assert read_scopes(["harvest:users:list", "harvest:jobs:li"]).names is not None


def refusing(refused: Callable[[str], bool], answer: Answer) -> World:
    class Gateway(World):
        async def list(self, entry, token, may_send):  # type: ignore[no-untyped-def]
            found = await super().list(entry, token, may_send)
            return answer if refused(entry.endpoint) else found

    return Gateway(frozenset(ALL))


FORBIDDEN = Answer(AnswerKind.FORBIDDEN, 403)


@pytest.mark.parametrize("request_", [GEM_REQUEST, READ_BEFORE], ids=["first check", "read before"])
@pytest.mark.parametrize("share", [2, 10, 40])
def test_a_gateway_that_refuses_many_lists_is_doubt_and_no_loss(share: int, request_: CheckRequest) -> None:
    """403 in JSON on all lists but one in so many, where introspection says nothing."""
    numbers: dict[str, int] = {}
    world = refusing(lambda path: numbers.setdefault(path, len(numbers)) % share != 0, FORBIDDEN)
    report = check('"x": 1', world, request_, ANYBODYS)
    assert by_verdict(report, Verdict.MISSING) == set()


@pytest.mark.parametrize(("lost", "told_missing"), [(1, True), (3, True), (4, False)])
def test_without_introspection_few_lists_are_lost_at_once(lost: int, told_missing: bool) -> None:
    """Up to three that were read before; with more, something in between is as likely."""
    gone = {f"GET /v3/{name.split(':')[1]}" for name in ALL if name in REQUIRED_LISTS[:lost]}
    world = refusing(gone.__contains__, FORBIDDEN)
    report = check('"x": 1', world, READ_BEFORE, ANYBODYS)
    assert bool(by_verdict(report, Verdict.MISSING)) is told_missing
    if not told_missing:
        assert "many_lists_refused" in {finding.reason for finding in report.findings}


@pytest.mark.parametrize(("counted", "told_missing"), [(True, True), (False, False)])
def test_without_introspection_a_refusal_must_state_the_limit_where_lists_do(counted: bool, told_missing: bool) -> None:
    """Every recorded answer of Harvest states it, and a gateway that writes JSON does not know it."""
    gone = f"GET /v3/{REQUIRED_LISTS[0].split(':')[1]}"

    class Counting(World):
        async def list(self, entry, token, may_send):  # type: ignore[no-untyped-def]
            found = await super().list(entry, token, may_send)
            return replace(FORBIDDEN, counted=counted) if entry.endpoint == gone else replace(found, counted=True)

    report = check('"x": 1', Counting(frozenset(ALL)), READ_BEFORE, ANYBODYS)
    assert bool(by_verdict(report, Verdict.MISSING)) is told_missing
    assert ("uncounted_refusal" in {finding.reason for finding in report.findings}) is not told_missing


def test_without_introspection_one_false_refusal_is_no_loss() -> None:
    """A list that was read before is asked for again at once, and the second answer decides."""
    gone, asked = f"GET /v3/{REQUIRED_LISTS[0].split(':')[1]}", []

    def first_time(path: str) -> bool:
        asked.append(path)
        return path == gone and asked.count(gone) == 1

    report = check('"x": 1', refusing(first_time, FORBIDDEN), READ_BEFORE, ANYBODYS)
    assert (by_verdict(report, Verdict.MISSING), by_verdict(report, Verdict.UNDECIDED)) == (set(), set())
    assert asked.count(gone) == 2


def test_without_introspection_a_list_that_was_never_read_is_not_lost() -> None:
    """Nothing shows that it ever was to be had; once known to be missing, it stays so."""
    gone = f"GET /v3/{REQUIRED_LISTS[0].split(':')[1]}"
    never = check('"x": 1', refusing(gone.__eq__, FORBIDDEN), GEM_REQUEST, ANYBODYS)
    assert by_verdict(never, Verdict.MISSING) == set()
    assert "list_never_read" in {finding.reason for finding in never.findings}
    ids = frozenset(p.id for p in GEM_REQUEST.manifest.permissions if REQUIRED_LISTS[0] in p.scopes)
    known_missing = CheckRequest(GEM_REQUEST.manifest, missing_before=ids)
    report = check('"x": 1', refusing(gone.__eq__, FORBIDDEN), known_missing, ANYBODYS)
    assert by_verdict(report, Verdict.MISSING) == ids


REQUIRED_LISTS = sorted({n for p in GEM_REQUEST.manifest.applying_to([]) for n in p.scopes if known()[n].list})


def test_a_list_that_is_said_to_be_missing_and_is_served_takes_the_others_with_it() -> None:
    """Introspection is wrong about one absence, so it is believed about none; what it names stays granted."""
    named = [name for name in ALL if name not in (REQUIRED_LISTS[0], "harvest:notes:create")]
    report = check(scope(named))
    open_ = [finding for finding in report.findings if finding.verdict is Verdict.UNDECIDED]
    assert {(finding.rule, finding.reason) for finding in open_} == {("S16", "contradicted")}
    assert {name for finding in open_ for name in finding.scopes} == {REQUIRED_LISTS[0], "harvest:notes:create"}
    assert by_verdict(report, Verdict.MISSING) == set()
    assert not report.excess_is_whole


@pytest.mark.parametrize("kind", [AnswerKind.TIMEOUT, AnswerKind.UNKNOWN_REFUSAL, AnswerKind.NOT_FOUND])
def test_a_list_that_is_said_to_be_missing_and_cannot_be_read_is_left_open(kind: AnswerKind) -> None:
    """Only a refusal of the API confirms. A write has no list, and introspection's word stands for it."""
    gone = {REQUIRED_LISTS[0], "harvest:notes:create"}
    path = f"GET /v3/{REQUIRED_LISTS[0].split(':')[1]}"
    report = check(scope([name for name in ALL if name not in gone]), refusing(path.__eq__, Answer(kind)))
    assert {name for finding in report.missing for name in finding.scopes} == {"harvest:notes:create"}
    assert {n for f in report.findings if f.verdict is Verdict.UNDECIDED for n in f.scopes} == {REQUIRED_LISTS[0]}


def test_an_answer_that_contradicts_itself_decides_nothing() -> None:
    """A role stated twice with different values: no verdict, and one list to see that the API accepts the token."""
    world = World(frozenset(ALL))
    told = f'{scope([name for name in ALL if name != "harvest:jobs:list"])}, "https://auth.greenhouse.io/claims": '
    report = check(told + '{"user_role": "Basic"}', world)
    assert {finding.reason for finding in report.findings} == {"contradicted"}
    assert (report.state, world.asked) == (CredentialState.OK, ["introspect", "GET /v3/departments"])


WRITES = sorted(name for name in REQUIRED if known()[name].list is None)


@pytest.mark.parametrize("unknown", ["harvest:applications:transfer", "harvest:all:write", "harvest:brand_new:up"])
def test_no_write_is_missing_beside_a_scope_that_is_not_known(unknown: str) -> None:
    """It may be the write's new name, one for many, or a name that was cut off; lists decide on reads as ever."""
    reads = [name for name in ALL if name not in WRITES and name != "harvest:jobs:list"]
    report = check(scope(" ".join([*reads, unknown])), World(frozenset(ALL) - {"harvest:jobs:list"}))
    by_reason = {finding.scopes[0]: finding.reason for finding in report.findings if finding.scopes}
    assert {by_reason[name] for name in WRITES} == {"unknown_scope"}
    assert by_reason["harvest:jobs:list"] == "scope_not_carried"
    assert {f.scopes for f in report.findings if f.verdict is Verdict.MISSING} == {("harvest:jobs:list",)}


def test_a_write_is_missing_beside_a_new_scope_to_read() -> None:
    """Greenhouse adds those over time, and none stands for a write."""
    named = [*(name for name in ALL if name != WRITES[0]), "harvest:new_things:list"]
    report = check(scope(named), World(frozenset(ALL)))
    assert {finding.scopes for finding in report.missing} == {(WRITES[0],)}
