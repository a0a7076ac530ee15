"""What each verdict on a key's permission says it rests on."""

import random
from collections.abc import Mapping
from typing import NamedTuple

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry
from checks.check_request import CheckRequest
from checks.judgement import Judgement
from checks.report import MOST_EVIDENCE
from checks.v1.check import SendGuard
from checks.v1.verdicts import Evidence, KeyRule, judge
from tests.cases import for_each
from tests.worlds import CATALOGUE, EVERYTHING, GEM, World, check, draw, noisy
from tests.worlds import REQUIRED as REQUIRED_OF_GEM

DENIED = Answer(AnswerKind.PERMISSION, 403)
DATA = Answer(AnswerKind.JSON, 200)
NOT_FOUND = Answer(AnswerKind.NOT_FOUND, 404)
ALARM = Answer(AnswerKind.JSON, 201)

USERS, APPLICATIONS = "GET /v1/users", "GET /v1/applications"
JOB, OFFER = "GET /v1/jobs/{id}", "GET /v1/offers/{id}"
FLOW, POOL = "GET /v1/approval_flows/{id}", "GET /v1/prospect_pools/{id}"
STAGES, PENDING = "GET /v1/jobs/{id}/stages", "GET /v1/users/{user_id}/pending_approvals"
JOB_APPROVALS, FUTURE_JOBS = "GET /v1/jobs/{id}/approval_flows", "GET /v1/users/{id}/permissions/future_jobs"
APPLICATION, SCORECARDS = "GET /v1/applications/{id}", "GET /v1/applications/{id}/scorecards"
DEMOGRAPHICS = "GET /v1/applications/{id}/demographics/answers"
NOTE = "POST /v1/candidates/{id}/activity_feed/notes"
REQUIRED = frozenset({USERS, APPLICATIONS, JOB, OFFER, APPLICATION, SCORECARDS, STAGES, FUTURE_JOBS, NOTE})

SERVED = {USERS: DATA, JOB: NOT_FOUND}
MIXED = {USERS: DATA, STAGES: NOT_FOUND, FUTURE_JOBS: NOT_FOUND, JOB_APPROVALS: DENIED, PENDING: NOT_FOUND}
BORROWED = {**SERVED, APPLICATIONS: DATA, APPLICATION: NOT_FOUND, FLOW: DENIED}
BORROWED = {**BORROWED, SCORECARDS: NOT_FOUND, DEMOGRAPHICS: DENIED}


class Case(NamedTuple):
    rule: KeyRule
    endpoint: str
    answers: Mapping[str, Answer]
    status: int | None
    evidence: tuple[str, ...] = ()
    known: Mapping[str, object] = {}  # never written to

    def __str__(self) -> str:
        return f"{self.rule.number} {self.endpoint}"


def judged(case: Case) -> Judgement:
    told = {"required": REQUIRED, "repeated": case.answers.keys(), **case.known}
    return judge(CATALOGUE.entry(case.endpoint), Evidence(CATALOGUE, case.answers, **told))  # type: ignore[arg-type]


CASES = [
    Case(KeyRule.MISSING, JOB, {JOB: Answer(AnswerKind.PERMISSION, 401)}, 401),
    Case(KeyRule.GRANTED_DATA, USERS, {USERS: DATA}, 200),
    # Nothing else was refused before, so a list shows that the key is served.
    Case(KeyRule.GRANTED_REMEMBERED, JOB, SERVED, 404, (USERS,), {"remembered": {JOB}}),
    Case(KeyRule.GRANTED_REMEMBERED, JOB, {**SERVED, FLOW: DENIED}, 404, (FLOW,), {"remembered": {JOB, FLOW}}),
    Case(KeyRule.GRANTED_BESIDE_MISSING, JOB, {**SERVED, OFFER: DENIED, POOL: NOT_FOUND}, 404, (OFFER,)),
    Case(KeyRule.GRANTED_BY_CONTROL, JOB, {**SERVED, FLOW: DENIED}, 404, (FLOW,)),
    Case(KeyRule.GRANTED_SAME_SEGMENT, STAGES, MIXED, 404, (JOB_APPROVALS,)),
    Case(KeyRule.GRANTED_BORROWED, APPLICATION, BORROWED, 404, (FLOW, DEMOGRAPHICS)),
    Case(KeyRule.NO_POSITIVE_CONTROL, JOB, {JOB: NOT_FOUND}, 404),
    Case(KeyRule.NO_REFUSAL, JOB, {**SERVED, FLOW: NOT_FOUND, POOL: NOT_FOUND}, 404, (FLOW, POOL)),
    Case(KeyRule.MIXED_CONTROLS, FUTURE_JOBS, MIXED, 404, (JOB_APPROVALS, PENDING)),
    Case(KeyRule.NOT_DECISIVE, JOB, {JOB: Answer(AnswerKind.SERVER_ERROR, 502)}, 502),
    Case(KeyRule.NOT_DECISIVE, JOB, {JOB: Answer(AnswerKind.TIMEOUT)}, None),
    Case(KeyRule.NOT_ASKED, JOB, {USERS: DATA}, None),
    Case(KeyRule.NOT_ASKED, JOB, {**SERVED, FLOW: NOT_FOUND}, 404, (FLOW,), {"cut_short": "deadline"}),
    Case(KeyRule.NOT_ASKED, JOB, {**SERVED, FLOW: DENIED}, 404, (FLOW,), {"repeated": set()}),
    Case(KeyRule.WRITE_HALT, NOTE, {NOTE: ALARM}, 201),
    Case(KeyRule.CONTRADICTED, JOB, {JOB: NOT_FOUND}, 404, (), {"contradicted": {JOB}}),
    Case(KeyRule.CONTRADICTED, JOB, {JOB: DENIED}, 403, (OFFER,), {"contradicted": {OFFER}}),
]


@for_each(CASES)
def test_a_verdict_names_the_status_that_was_judged_and_what_vouched(case: Case) -> None:
    """The permission's own answer by its status; every other answer by its endpoint."""
    found = judged(case)
    assert (found.rule, found.status, found.evidence) == (case.rule, case.status, case.evidence)


def test_every_rule_that_an_answer_leads_to_has_a_case() -> None:
    """What remains is about permissions of which nothing is asked."""
    assert set(KeyRule) - {case.rule for case in CASES} == {KeyRule.NO_ENDPOINT, KeyRule.WRITES_OFF}


def test_what_shows_nothing_of_the_answer_does_not_vouch_for_it() -> None:
    """A refused single record under a record is no evidence for a list, though it is of the same cell."""
    team = "GET /v1/jobs/{id}/hiring_team"
    answers = {USERS: DATA, STAGES: NOT_FOUND, PENDING: DENIED, team: DENIED}
    assert judged(Case(KeyRule.GRANTED_BY_CONTROL, STAGES, answers, 404)).evidence == (PENDING,)


def test_mixed_controls_show_both_sides_first() -> None:
    """By turns, so that what is left out of many leaves neither side out."""
    refused, passed = FLOW, POOL
    answers = {**SERVED, OFFER: DENIED, refused: DENIED, passed: NOT_FOUND}
    found = judged(Case(KeyRule.MIXED_CONTROLS, JOB, answers, 404))
    assert (found.rule, found.evidence) == (KeyRule.MIXED_CONTROLS, (refused, passed, OFFER))


async def test_evidence_is_in_the_catalogue_and_was_asked_in_that_check() -> None:
    """In worlds of any kind, and in noise; it is never the permission's own request, and never long."""
    for seed in range(40):
        chance = random.Random(seed)
        world = AskedWorld.of(draw(chance) if seed % 2 else noisy(chance, 0.03))
        before = frozenset(chance.sample(EVERYTHING, 20))
        report = await check(world, CheckRequest(GEM, remembered=before))
        for found in report.findings:
            assert set(found.evidence) <= world.asked & set(EVERYTHING), (seed, found)
            assert found.endpoint not in found.evidence, (seed, found)
            assert found.answered_status is None or found.endpoint in world.asked, (seed, found)
            assert len(found.evidence) <= MOST_EVIDENCE, (seed, found)
            assert found.more_evidence == 0 or len(found.evidence) == MOST_EVIDENCE, (seed, found)


async def test_of_many_that_vouch_the_first_few_are_named_and_the_rest_counted() -> None:
    """A key that lacks nearly everything has more refusals in a cell than anybody reads."""
    report = await check(World(grants=frozenset({USERS, JOB})))
    (job,) = (found for found in report.findings if found.endpoint == JOB)
    refused = [e for e in report.refused if CATALOGUE.entry(e).cell == CATALOGUE.entry(JOB).cell]
    assert len(job.evidence) == MOST_EVIDENCE
    assert set(job.evidence) < set(refused)
    assert job.more_evidence == len(set(refused) & REQUIRED_OF_GEM) - MOST_EVIDENCE > 0


class AskedWorld(World):
    """A world that knows what was asked."""

    asked: set[str]

    @classmethod
    def of(cls, world: World) -> "AskedWorld":
        made = cls(**{name: getattr(world, name) for name in World.__dataclass_fields__})
        made.asked = set()
        return made

    async def send(self, entry: Entry, guard: SendGuard) -> Answer | None:
        answer = await super().send(entry, guard)
        if answer is not None:
            self.asked.add(entry.endpoint)
        return answer
