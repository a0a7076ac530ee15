"""What each verdict on a scope says it rests on."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from checks.answer import Answer, AnswerKind
from checks.catalogue.scopes import known
from checks.check_request import CheckRequest
from checks.judgement import Judgement
from checks.manifest import Permission, load
from checks.v3.evidence import TokenEvidence
from checks.v3.gate import INTROSPECT, lists
from checks.v3.token_answers import AuthAnswer, AuthKind, Introspection
from checks.v3.verdicts import ScopeRule, judge, judge_role
from tests.cases import for_each

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DATA, REFUSED = Answer(AnswerKind.JSON, 200), Answer(AnswerKind.FORBIDDEN, 403)
EMPTY, FAILED = Answer(AnswerKind.JSON, 200, empty=True), Answer(AnswerKind.SERVER_ERROR, 502)
JOBS, OFFERS, USERS = "harvest:jobs:list", "harvest:offers:list", "harvest:users:list"
DEPARTMENTS, OFFICES = "harvest:departments:list", "harvest:offices:list"
WRITE = "harvest:applications:update"
TOLD = "POST /introspect"
ADMIN = Introspection(True, scopes=frozenset({DEPARTMENTS, OFFERS}), role="Site Admin", role_stated=True)
UNREADABLE = replace(ADMIN, scopes=None, scopes_unreadable=True)
BASIC = replace(ADMIN, role="Basic")
GEM = load("gem")


class Case(NamedTuple):
    """`scope` is that of the permission judged; None asks for the role."""

    rule: ScopeRule
    scope: str | None
    told: Introspection | None
    answers: Mapping[str, Answer]
    status: int | None
    evidence: tuple[str, ...]
    doubted: str | None = None
    missing_before: bool = False

    def __str__(self) -> str:
        return f"{self.rule.number} {self.scope} {self.status}"


def listed(*names: str) -> tuple[str, ...]:
    return tuple(f"GET /v3/{name.split(':')[1]}" for name in names)


ALIVE, OPENED = {DEPARTMENTS: DATA}, (TOLD, *listed(DEPARTMENTS))
CASES = [
    Case(ScopeRule.GRANTED, OFFERS, ADMIN, ALIVE, None, OPENED),
    Case(ScopeRule.GRANTED, OFFERS, ADMIN, {OFFERS: DATA}, 200, (TOLD, *listed(OFFERS)), missing_before=True),
    Case(ScopeRule.MISSING, JOBS, ADMIN, {**ALIVE, JOBS: REFUSED}, 403, (TOLD, *listed(JOBS))),
    Case(ScopeRule.MISSING, WRITE, ADMIN, ALIVE, None, (TOLD,)),
    Case(ScopeRule.GRANTED_LIST, JOBS, None, {JOBS: DATA}, 200, listed(JOBS)),
    Case(ScopeRule.MISSING_LIST, JOBS, None, {JOBS: REFUSED, USERS: DATA}, 403, listed(JOBS, USERS), None, True),
    Case(ScopeRule.SCOPE_OR_ROLE, JOBS, None, {JOBS: REFUSED, USERS: REFUSED}, 403, listed(JOBS)),
    Case(ScopeRule.DOUBTED, OFFERS, ADMIN, {DEPARTMENTS: REFUSED}, None, OPENED, "stale_token"),
    Case(ScopeRule.NOT_ASKED, JOBS, ADMIN, ALIVE, None, ()),
    Case(ScopeRule.NOT_ASKED, JOBS, ADMIN, {**ALIVE, JOBS: FAILED}, 502, listed(JOBS)),
    Case(ScopeRule.NOT_ASKED, JOBS, None, {JOBS: FAILED}, 502, listed(JOBS)),
    Case(ScopeRule.NOT_ASKED, OFFERS, ADMIN, {OFFERS: FAILED}, 502, listed(OFFERS), missing_before=True),
    Case(ScopeRule.WRITES, WRITE, None, {JOBS: DATA}, None, ()),
    Case(ScopeRule.NO_SCOPE, "", ADMIN, ALIVE, None, ()),
    Case(ScopeRule.REFUTED, JOBS, ADMIN, {**ALIVE, USERS: DATA}, None, (TOLD, *listed(USERS))),
    Case(ScopeRule.UNREADABLE, WRITE, UNREADABLE, ALIVE, None, (TOLD,)),
    Case(
        ScopeRule.UNKNOWN_SCOPE,
        WRITE,
        replace(ADMIN, scopes=frozenset({DEPARTMENTS, "harvest:applications:edit"})),
        ALIVE,
        None,
        (TOLD,),
    ),
    Case(ScopeRule.SITE_ADMIN, None, ADMIN, ALIVE, None, (TOLD,)),
    Case(ScopeRule.OTHER_ROLE, None, BASIC, {OFFICES: REFUSED}, None, (TOLD, *listed(OFFICES))),
    Case(ScopeRule.ROLE_UNCONFIRMED, None, BASIC, {OFFICES: EMPTY}, None, (TOLD, *listed(OFFICES))),
    Case(ScopeRule.UNKNOWN_ROLE, None, replace(ADMIN, role="Wizard"), ALIVE, None, (TOLD,)),
    Case(ScopeRule.ROLE_UNTOLD, None, None, ALIVE, None, ()),
]


def judged(case: Case) -> Judgement:
    told = AuthAnswer(AuthKind.JSON, 200, introspection=case.told) if case.told else None
    seen = TokenEvidence(None, told, case.answers, introspected_at=NOW)
    if case.scope is None:
        return judge_role(seen, case.doubted)
    permission = Permission("one", "Group", "Label", None, scopes=tuple(filter(None, [case.scope])))
    before = frozenset({"one"}) if case.missing_before else frozenset[str]()
    return judge(permission, seen, case.doubted, CheckRequest(GEM, missing_before=before))


@for_each(CASES)
def test_a_verdict_names_introspection_and_the_lists_that_it_rests_on(case: Case) -> None:
    """The status is that of a list; introspection alone has none. All are requests that may be sent."""
    found = judged(case)
    assert (found.rule, found.status, found.evidence) == (case.rule, case.status, case.evidence)
    assert set(found.evidence) <= {
        INTROSPECT.endpoint,
        *(lists()[name].endpoint for name in known() if name in lists()),
    }


def test_every_rule_has_a_case() -> None:
    """None is left out."""
    assert {case.rule for case in CASES} == set(ScopeRule)
