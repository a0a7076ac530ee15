"""One check against a fake Greenhouse: never a wrong verdict, whatever the order in which Greenhouse checks.

The fake follows the recorded facts and knows nothing of controls or rules of cells; it only answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Cell, Entry, RequestClass, Service, WriteProbes
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.credential import CredentialState
from checks.manifest import Manifest, load
from checks.report import CheckReport, Outcome, Verdict, WriteAlarm
from checks.v1.check import KeyCheckRun, SendGuard
from tests.cases import for_each
from tests.confirming import confirmed

CATALOGUE = catalogue()
GEM = load("gem")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REQUIRED = frozenset(p.endpoint for p in GEM.applying_to([]) if p.endpoint)
EVERYTHING = frozenset({*CATALOGUE.probes, *CATALOGUE.controls})
CELLS = sorted({entry.cell for entry in CATALOGUE.all_entries() if entry.request_class is not RequestClass.LIST})
BORROWING = Cell(RequestClass.BY_ID, Service.APPLICATIONS)


@dataclass
class FakeGreenhouse:
    """Answers one key; in the cells `lookup_first` it looks up the record before it checks the permission."""

    grants: frozenset[str]
    lookup_first: frozenset[Cell] = frozenset()
    denial: int = 403
    odd: Mapping[str, Answer] = field(default_factory=dict)
    permitted: WriteProbes = WriteProbes.ALL
    requests: int = 0
    asked: list[str] = field(default_factory=list)

    async def send(self, entry: Entry, guard: SendGuard) -> Answer | None:
        if not await guard.may_send(entry):
            return None
        self.requests += 1
        self.asked.append(entry.endpoint)
        answer = self.answer(entry)
        await guard.answered(entry, answer)
        return answer

    def answer(self, entry: Entry) -> Answer:
        if entry.endpoint in self.odd:
            return self.odd[entry.endpoint]
        denied = entry.endpoint not in self.grants
        if entry.request_class is RequestClass.LIST:
            return Answer(AnswerKind.PERMISSION, self.denial) if denied else Answer(AnswerKind.JSON, 200)
        if denied and entry.cell not in self.lookup_first:
            return Answer(AnswerKind.PERMISSION, self.denial)
        return Answer(AnswerKind.NOT_FOUND, 404)


class Guard:
    def __init__(self) -> None:
        self.alarms: list[WriteAlarm] = []

    async def may_write(self, entry: Entry) -> bool:
        return not self.alarms

    async def halt(self, alarm: WriteAlarm) -> None:
        self.alarms.append(alarm)


async def no_answer() -> Answer:
    return Answer(AnswerKind.INVALID_KEY, 401)


KNOWN_401 = Answer(AnswerKind.INVALID_KEY, 401)


def run_of(
    greenhouse: FakeGreenhouse,
    request: CheckRequest,
    guard: Guard | None = None,
    anonymous: Callable[[], Awaitable[Answer]] = no_answer,
    **context: object,
) -> KeyCheckRun:
    calm = CheckContext(lambda: NOW, lambda: 0.0, 60.0, lambda: False)
    return KeyCheckRun(greenhouse, request, CATALOGUE, guard or Guard(), anonymous, replace(calm, **context))  # type: ignore[arg-type]


def check(greenhouse: FakeGreenhouse, request: CheckRequest, **more: object) -> CheckReport:
    return asyncio.run(run_of(greenhouse, request, **more).report())  # type: ignore[arg-type]


def verdicts(report: CheckReport) -> dict[str, Verdict]:
    return {f.endpoint: f.verdict for f in report.findings if f.endpoint}


def wrong(report: CheckReport, grants: frozenset[str], *, but: Cell | None = None) -> list[str]:
    """Endpoints whose verdict is false, without those of the cell `but`."""
    found = []
    for endpoint, verdict in verdicts(report).items():
        false = verdict is (Verdict.MISSING if endpoint in grants else Verdict.GRANTED)
        if false and CATALOGUE.entry(endpoint).cell != but:
            found.append(endpoint)
    return found


GRANTS = st.frozensets(st.sampled_from(sorted(EVERYTHING))) | st.frozensets(
    st.sampled_from(sorted(EVERYTHING)), max_size=4
).map(lambda lost: EVERYTHING - lost)
ORDERS = st.frozensets(st.sampled_from(CELLS))


@settings(max_examples=400, deadline=None)
@given(GRANTS, ORDERS, st.sampled_from(WriteProbes), st.booleans(), st.frozensets(st.sampled_from(sorted(REQUIRED))))
def test_no_verdict_is_ever_wrong(
    grants: frozenset[str],
    lookup_first: frozenset[Cell],
    permitted: WriteProbes,
    eeoc: bool,
    remembered: frozenset[str],
) -> None:
    """For any key and any order in each cell, the key has what is `granted` and lacks what is `missing`.

    The one permission in a cell without controls is judged by neighbouring cells; where only its own cell has another
    order, the verdict may be wrong and its rule says so: this test leaves it out. Refusals are remembered only from
    cells that check the permission first.
    """
    seen_refused = frozenset(e for e in remembered if CATALOGUE.entry(e).cell not in lookup_first)
    greenhouse = FakeGreenhouse(grants, lookup_first, permitted=permitted)
    request = CheckRequest(GEM, frozenset({"eeoc"} if eeoc else ()), remembered=seen_refused)
    report = check(greenhouse, request)
    assert wrong(report, grants, but=BORROWING if BORROWING in lookup_first else None) == []
    assert report.state is CredentialState.OK
    granted = {finding.endpoint for finding in report.findings if finding.verdict is Verdict.GRANTED}
    for endpoint in set(greenhouse.asked):
        entry = CATALOGUE.entry(endpoint)
        refused = greenhouse.answer(entry).kind is AnswerKind.PERMISSION
        inferred = endpoint in granted and endpoint in ASKED_AGAIN
        back = endpoint in granted & seen_refused and endpoint not in WITHOUT_ID
        if endpoint in REQUIRED:
            assert greenhouse.asked.count(endpoint) == (3 if refused or inferred or back else 1)
    assert len(greenhouse.asked) == report.requests


def test_a_borrowed_verdict_says_that_it_is_borrowed() -> None:
    """If only what borrows has another order, no control can show that: the rule number says V24."""
    greenhouse = FakeGreenhouse(
        REQUIRED - {"GET /v1/applications/{id}"}, frozenset({BORROWING}), permitted=WriteProbes.OFF
    )
    report = check(greenhouse, CheckRequest(GEM))
    assert wrong(report, greenhouse.grants) == ["GET /v1/applications/{id}"]
    assert [f.rule for f in report.findings if f.endpoint == "GET /v1/applications/{id}"] == ["V24"]


@pytest.mark.parametrize("denial", [401, 403])
@pytest.mark.parametrize("features", [frozenset(), frozenset({"eeoc"})])
@pytest.mark.parametrize("permitted", list(WriteProbes))
def test_a_healthy_least_privilege_key_is_compliant(
    denial: int, features: frozenset[str], permitted: WriteProbes
) -> None:
    """A key with exactly the manifest's permissions is compliant, with nothing undecided and no excess."""
    grants = frozenset(p.endpoint for p in GEM.applying_to(features) if p.endpoint)
    report = check(FakeGreenhouse(grants, denial=denial, permitted=permitted), CheckRequest(GEM, features))
    assert report.outcome is Outcome.COMPLIANT
    assert report.counts[Verdict.UNDECIDED] == 0
    assert report.unchecked == {WriteProbes.OFF: 17, WriteProbes.SAFE: 4, WriteProbes.ALL: 1}[permitted]
    assert report.excess == ()


@for_each(sorted(REQUIRED))
def test_exactly_the_lost_permission_is_missing(lost: str) -> None:
    """Least-privilege key, one permission unticked: that one is missing, everything else is granted."""
    report = check(FakeGreenhouse(REQUIRED - {lost}), CheckRequest(GEM))
    expected = {e: Verdict.MISSING if e == lost else Verdict.GRANTED for e in REQUIRED}
    assert verdicts(report) == expected
    assert report.outcome is Outcome.DRIFTED


@for_each(sorted(REQUIRED))
def test_a_key_with_every_permission_shows_its_loss_and_its_repair(lost: str) -> None:
    """The loss is certain; once repaired, the remembered refusal is the control that proves it."""
    broken = check(FakeGreenhouse(EVERYTHING - {lost}), CheckRequest(GEM))
    assert verdicts(broken)[lost] is Verdict.MISSING
    repaired = check(FakeGreenhouse(EVERYTHING), CheckRequest(GEM, remembered=broken.refused))
    assert verdicts(repaired)[lost] is Verdict.GRANTED


@dataclass
class Gone(FakeGreenhouse):
    """As if these had never been there: "not found", whatever the key may do."""

    gone: Callable[[Entry], bool] = lambda entry: False

    def answer(self, entry: Entry) -> Answer:
        return Answer(AnswerKind.NOT_FOUND, 404) if self.gone(entry) else super().answer(entry)


def test_what_greenhouse_takes_away_is_not_taken_for_a_repair() -> None:
    """Whole kinds of requests answer "not found" from one check to the next: what was missing is not granted."""
    kinds: Mapping[str, Callable[[Entry], bool]] = {
        "reads with an id": lambda entry: entry.method == "GET" and "/0" in entry.target,
        "all with an id": lambda entry: "/0" in entry.target,
        "all writes": lambda entry: entry.is_write,
    }
    for lost in sorted(REQUIRED - {e for e in REQUIRED if CATALOGUE.entry(e).request_class is RequestClass.LIST}):
        before = check(FakeGreenhouse(REQUIRED - {lost}), CheckRequest(GEM))
        assert lost in before.refused
        for name, gone in kinds.items():
            if not gone(CATALOGUE.entry(lost)):
                continue
            greenhouse = Gone(REQUIRED - {lost}, gone=gone)
            after = check(greenhouse, CheckRequest(GEM, remembered=before.refused))
            assert verdicts(after)[lost] is Verdict.UNDECIDED, f"{lost}, {name} gone"


def test_a_new_order_of_checks_is_not_taken_for_a_repair() -> None:
    """From some release on Greenhouse looks for the record first, everywhere or in one kind of request."""
    for lost in ("GET /v1/offices/{id}", "GET /v1/applications/{id}", "GET /v1/jobs/{id}/stages"):
        before = check(FakeGreenhouse(REQUIRED - {lost}), CheckRequest(GEM))
        # Of the cell without controls only its neighbours can tell.
        own = CATALOGUE.entry(lost).cell
        for cells in (frozenset(CELLS), frozenset({own}) if own != BORROWING else frozenset(CELLS) - {own}):
            greenhouse = FakeGreenhouse(REQUIRED - {lost}, cells | {own})
            after = check(greenhouse, CheckRequest(GEM, remembered=before.refused))
            assert verdicts(after)[lost] is not Verdict.GRANTED, lost


@for_each([Cell(c, s) for c in RequestClass for s in Service if Cell(c, s) in CELLS])
def test_refusals_of_controls_are_remembered(cell: Cell) -> None:
    """Not only those of the permissions: their end is what shows a new order."""
    report = check(FakeGreenhouse(REQUIRED), CheckRequest(GEM))
    controls = {control.endpoint for control in CATALOGUE.controls_of(cell)}
    assert bool(report.refused & controls) == bool(controls)


def test_a_key_with_every_permission_is_undecided_where_it_needs_a_control() -> None:
    """Lists are granted, the rest is undecided: Greenhouse may look up the record first."""
    report = check(FakeGreenhouse(EVERYTHING), CheckRequest(GEM))
    decided = {e for e, v in verdicts(report).items() if v is Verdict.GRANTED}
    assert decided == {e for e in REQUIRED if CATALOGUE.entry(e).request_class is RequestClass.LIST}
    assert report.outcome is Outcome.UNDECIDED
    assert [(x.endpoint, x.certain) for x in report.excess] == [("GET /v1/eeoc", True)]


def test_rows_of_a_feature_the_tenant_lacks_are_excess_when_granted() -> None:
    """EEOC granted without the feature is excess: certain for the list, not for the record; the outcome stays."""
    grants = REQUIRED | {"GET /v1/eeoc", "GET /v1/applications/{id}/eeoc"}
    report = check(FakeGreenhouse(grants, permitted=WriteProbes.OFF), CheckRequest(GEM))
    assert {(x.label, x.certain) for x in report.excess} == {
        ("GET: List EEOC", True),
        ("GET: Retrieve EEOC Data for Application", False),
    }
    assert report.outcome is Outcome.COMPLIANT
    assert "eeoc.list_eeoc" not in {f.permission_id for f in report.findings}


def test_no_more_controls_are_sent_than_needed() -> None:
    """One refused control per cell and kind is enough, also beside a missing permission of the cell."""
    greenhouse = FakeGreenhouse(REQUIRED, permitted=WriteProbes.OFF)
    check(greenhouse, CheckRequest(GEM))
    assert {e for e in greenhouse.asked if e in CATALOGUE.controls} == {
        "GET /v1/approval_flows/{id}",
        "GET /v1/applications/{id}/demographics/answers",
        "GET /v1/jobs/{id}/hiring_team",
        "GET /v1/jobs/{id}/approval_flows",  # for lists, as that one is for single records
    }


@for_each([Cell(c, s) for c in RequestClass for s in Service if Cell(c, s) in CELLS and c is not RequestClass.LIST])
def test_beside_a_missing_permission_one_refused_control_is_looked_for(cell: Cell) -> None:
    """That it was refused, too, is what a repair rests on; a check of suspects looks for none."""
    for lost in sorted(e for e in REQUIRED if CATALOGUE.entry(e).cell == cell):
        known = frozenset(p.id for p in GEM.permissions if p.endpoint == lost)
        for held in (REQUIRED, frozenset(EVERYTHING), frozenset[str]()):
            greenhouse = FakeGreenhouse(held - {lost})
            report = check(greenhouse, CheckRequest(GEM))
            hurdles = CATALOGUE.entry(lost).hurdles
            controls = {c.endpoint for c in CATALOGUE.controls_of(cell) if c.hurdles & hurdles}
            assert bool(controls & report.refused) == bool(controls - held)
            second = FakeGreenhouse(held - {lost})
            check(second, CheckRequest(GEM, only=known, remembered=frozenset({lost})))
            assert not {*second.asked} & CATALOGUE.controls.keys()


def test_writes_are_sent_only_as_the_setting_allows() -> None:
    """`off` sends no write, `safe` none of the three without an id, `all` sends them."""
    sent = {}
    for permitted in WriteProbes:
        greenhouse = FakeGreenhouse(REQUIRED, permitted=permitted)
        check(greenhouse, CheckRequest(GEM))
        sent[permitted] = {e for e in greenhouse.asked if not e.startswith("GET")}
    without_id = {"POST /v1/candidates", "POST /v1/prospects", "PUT /v1/candidates/merge"}
    assert sent[WriteProbes.OFF] == set()
    assert sent[WriteProbes.SAFE] & without_id == set()
    assert without_id <= sent[WriteProbes.ALL]


@pytest.mark.parametrize("status", [200, 201, 204])
def test_an_accepted_write_stops_all_writes_and_raises_the_alarm(status: int) -> None:
    """A 2xx on a write probe raises the alarm with endpoint, time, request id and record id; no write follows it."""
    answer = Answer(AnswerKind.JSON, status, request_id="req-1", record_id="4711")
    greenhouse = FakeGreenhouse(REQUIRED, odd={"POST /v1/applications/{id}/move": answer})
    guard = Guard()
    report = check(greenhouse, CheckRequest(GEM), guard=guard)
    writes = [e for e in greenhouse.asked if not e.startswith("GET")]
    assert writes[-1] == "POST /v1/applications/{id}/move"
    assert guard.alarms == list(report.alarms)
    assert report.alarms == (WriteAlarm("POST /v1/applications/{id}/move", status, NOW, "req-1", "4711", "all"),)
    by_endpoint = {f.endpoint: (f.verdict, f.reason) for f in report.findings}
    assert by_endpoint["POST /v1/applications/{id}/move"] == (Verdict.UNDECIDED, "write_alarm")
    assert by_endpoint["PUT /v1/candidates/merge"] == (Verdict.UNDECIDED, "write_halt")


@pytest.mark.parametrize("kind", [AnswerKind.VALIDATION, AnswerKind.UNEXPECTED])
def test_a_422_on_a_write_without_an_id_stops_those(kind: AnswerKind) -> None:
    """Greenhouse validated without On-Behalf-Of, so the three without an id have one guard less."""
    greenhouse = FakeGreenhouse(REQUIRED, odd={"POST /v1/candidates": Answer(kind, 422)})
    report = check(greenhouse, CheckRequest(GEM))
    assert [alarm.stops for alarm in report.alarms] == ["without_id"]
    harmless = FakeGreenhouse(REQUIRED, odd={"POST /v1/applications/{id}/move": Answer(AnswerKind.VALIDATION, 422)})
    assert check(harmless, CheckRequest(GEM)).alarms == ()


def test_a_refused_key_ends_the_check_and_voids_its_verdicts() -> None:
    """Six different requests of three classes get the known 401: nothing more is asked."""
    greenhouse = FakeGreenhouse(REQUIRED, odd=same(KNOWN_401))
    report = check(greenhouse, CheckRequest(GEM))
    assert len(set(greenhouse.asked)) == greenhouse.requests == 6
    assert len({CATALOGUE.entry(endpoint).cell for endpoint in greenhouse.asked}) == 4
    assert (report.state, report.detail) == (CredentialState.INVALID, "revoked_or_retired")
    assert report.counts[Verdict.MISSING] == report.counts[Verdict.GRANTED] == 0
    assert report.refused == frozenset()


@for_each(["GET /v1/applications", "GET /v1/jobs", "GET /v1/users/{id}", "PUT /v1/candidates/merge"])
def test_one_endpoint_that_refuses_the_key_is_doubt_about_that_endpoint(endpoint: str) -> None:
    """The key is served elsewhere in the same check, so it is not revoked, and the rest is judged."""
    greenhouse = FakeGreenhouse(REQUIRED - {"GET /v1/offices"}, odd={endpoint: KNOWN_401})
    report = check(greenhouse, CheckRequest(GEM))
    found = {f.endpoint: (f.verdict, f.reason) for f in report.findings}
    assert (report.state, found[endpoint]) == (CredentialState.OK, (Verdict.UNDECIDED, "contradicted"))
    assert found["GET /v1/offices"][0] is Verdict.MISSING
    assert greenhouse.asked.count(endpoint) == (1 if endpoint.startswith("PUT") else 2)


@dataclass
class InTurn(FakeGreenhouse):
    """Gives these answers first, in turn, to the endpoint `of`."""

    of: str = ""
    first: list[Answer] = field(default_factory=list)

    def answer(self, entry: Entry) -> Answer:
        return self.first.pop(0) if entry.endpoint == self.of and self.first else super().answer(entry)


@for_each(["GET /v1/applications", "GET /v1/jobs", "GET /v1/users/{id}"])
def test_a_refusal_after_a_401_is_asked_for_again_as_any_other(endpoint: str) -> None:
    """Early or late in the check: what answers twice in two wrong ways is contradicted, not missing."""
    refusal = Answer(AnswerKind.PERMISSION, 403)
    report = check(InTurn(REQUIRED, of=endpoint, first=[KNOWN_401, refusal]), CheckRequest(GEM))
    assert {f.rule for f in report.findings if f.endpoint == endpoint} == {"V17"}
    assert (
        verdicts(check(InTurn(REQUIRED - {endpoint}, of=endpoint, first=[KNOWN_401]), CheckRequest(GEM)))[endpoint]
        is Verdict.MISSING
    )


PAST = Answer(AnswerKind.NOT_FOUND, 404)
REFUSED = Answer(AnswerKind.PERMISSION, 403)
KNOWN_GRANTED = frozenset(p.id for p in GEM.applying_to([]))
INFERRED = sorted(e for e in REQUIRED if CATALOGUE.entry(e).request_class is not RequestClass.LIST)
WITHOUT_ID = sorted(e for e in REQUIRED if CATALOGUE.entry(e).needs is WriteProbes.ALL)
ASKED_AGAIN = sorted({*INFERRED} - {*WITHOUT_ID})


def id_of(endpoint: str) -> str:
    return next(p.id for p in GEM.permissions if p.endpoint == endpoint)


@for_each(ASKED_AGAIN)
def test_one_answer_alone_neither_infers_a_permission_nor_brings_it_back(absent: str) -> None:
    """One stray "not found", at first sight or of what is known as missing, and the refusal when asked again."""
    known = frozenset({absent})
    for request in (
        CheckRequest(GEM),
        CheckRequest(GEM, remembered=known),
        CheckRequest(GEM, missing_before=frozenset({id_of(absent)}), granted_before=KNOWN_GRANTED - {id_of(absent)}),
        CheckRequest(GEM, remembered=known, granted_before=KNOWN_GRANTED),
        CheckRequest(GEM, remembered=known, only=frozenset({id_of(absent)})),
    ):
        for strays in ([PAST], [PAST, PAST]):
            greenhouse = InTurn(REQUIRED - {absent}, of=absent, first=list(strays))
            report = check(greenhouse, request)
            found = {f.endpoint: (f.verdict, f.rule, f.reason) for f in report.findings}
            assert found[absent] == (Verdict.UNDECIDED, "V17", "contradicted"), request
            assert report.refused == frozenset()


@for_each([e for e in sorted(REQUIRED) if CATALOGUE.entry(e).request_class is RequestClass.LIST])
def test_one_list_with_data_does_not_bring_back_what_is_known_as_missing(absent: str) -> None:
    """Data is data, but what was refused before is asked again; three lists with data are the repair."""
    data = Answer(AnswerKind.JSON, 200)
    for request in (
        CheckRequest(GEM, missing_before=frozenset({id_of(absent)})),
        CheckRequest(GEM, remembered=frozenset({absent})),
    ):
        report = check(InTurn(REQUIRED - {absent}, of=absent, first=[data, data]), request)
        assert {f.rule for f in report.findings if f.endpoint == absent} == {"V17"}
        repaired = FakeGreenhouse(REQUIRED)
        assert verdicts(check(repaired, request))[absent] is Verdict.GRANTED
        assert repaired.asked.count(absent) == 3


def test_what_is_known_as_granted_is_asked_once() -> None:
    """Only the controls' refusals are repeated then; at first sight what is inferred is, too."""
    eeoc = frozenset({"eeoc"})
    complete = frozenset(p.endpoint for p in GEM.permissions if p.endpoint)
    later = FakeGreenhouse(complete)
    check(later, CheckRequest(GEM, eeoc, granted_before=frozenset(p.id for p in GEM.permissions)))
    assert {endpoint for endpoint in later.asked if later.asked.count(endpoint) > 1} <= set(CATALOGUE.controls)
    first = FakeGreenhouse(complete)
    check(first, CheckRequest(GEM, eeoc))
    again = {e for e in first.asked if first.asked.count(e) == 3} - set(CATALOGUE.controls)
    assert again == {*ASKED_AGAIN, "GET /v1/applications/{id}/eeoc"}


@for_each(WITHOUT_ID)
def test_a_write_without_an_id_is_not_sent_more_often_to_be_granted(endpoint: str) -> None:
    """It has the least between itself and a change, so one answer has to do; a refusal is asked again as any other."""
    for remembered in (frozenset[str](), frozenset({endpoint})):
        greenhouse = FakeGreenhouse(REQUIRED)
        report = check(greenhouse, CheckRequest(GEM, remembered=remembered))
        assert (verdicts(report)[endpoint], greenhouse.asked.count(endpoint)) == (Verdict.GRANTED, 1)
    refused = FakeGreenhouse(REQUIRED - {endpoint})
    assert verdicts(check(refused, CheckRequest(GEM)))[endpoint] is Verdict.MISSING
    assert refused.asked.count(endpoint) == 3


def test_a_key_whose_inferences_come_to_nothing_is_not_asked_more_often() -> None:
    """With every permission nothing is inferred, so nothing is repeated, check after check."""
    greenhouse = FakeGreenhouse(EVERYTHING)
    check(greenhouse, CheckRequest(GEM))
    assert len(greenhouse.asked) == len(set(greenhouse.asked))


@for_each(["GET /v1/users/{id}", "PUT /v1/candidates/{candidate_id}/tags/{tag_id}"])
def test_what_cannot_be_asked_again_stays_undecided_for_that_reason(endpoint: str) -> None:
    """The second answer is no usable one."""

    class Failing(InTurn):
        def answer(self, entry: Entry) -> Answer:
            gone = entry.endpoint == endpoint and not self.first
            return Answer(AnswerKind.SERVER_ERROR, 500) if gone else super().answer(entry)

    report = check(Failing(REQUIRED, of=endpoint, first=[PAST]), CheckRequest(GEM))
    found = {f.endpoint: (f.verdict, f.reason) for f in report.findings}
    assert found[endpoint] == (Verdict.UNDECIDED, "server_error")


def test_an_answer_without_the_headers_of_the_others_is_no_second_answer() -> None:
    """The first came from Greenhouse, the second out of a cache or a gateway."""
    endpoint = "GET /v1/users/{id}"
    counted = {e: replace(FakeGreenhouse(REQUIRED).answer(CATALOGUE.entry(e)), counted=True) for e in EVERYTHING}

    class Cached(InTurn):
        def answer(self, entry: Entry) -> Answer:
            return super().answer(entry) if entry.endpoint == endpoint else counted[entry.endpoint]

    report = check(Cached(REQUIRED, of=endpoint, first=[counted[endpoint], PAST, counted[endpoint]]), CheckRequest(GEM))
    found = {f.endpoint: (f.verdict, f.reason) for f in report.findings}
    assert found[endpoint] == (Verdict.UNDECIDED, "unexpected_answer")


@for_each([200, 201, 204])
def test_a_write_is_asked_again_only_as_long_as_writes_may_be_sent(status: int) -> None:
    """The second answer raises the alarm: no third is asked for, and the permission stays undecided."""
    endpoint = "POST /v1/applications/{id}/advance"
    greenhouse = InTurn(REQUIRED, of=endpoint, first=[PAST, Answer(AnswerKind.JSON, status)])
    report = check(greenhouse, CheckRequest(GEM))
    assert greenhouse.asked.count(endpoint) == 2
    assert [alarm.status for alarm in report.alarms] == [status]
    assert {f.rule for f in report.findings if f.endpoint == endpoint} == {"V13"}


def test_a_write_that_may_not_be_asked_again_is_not_inferred() -> None:
    """Writes are halted after its first answer, by another check."""
    endpoint = "POST /v1/applications/{id}/advance"

    class HaltedAfterOne(Guard):
        async def may_write(self, entry: Entry) -> bool:
            return entry.endpoint != endpoint or endpoint not in greenhouse.asked

    greenhouse = FakeGreenhouse(REQUIRED)
    report = check(greenhouse, CheckRequest(GEM), guard=HaltedAfterOne())
    found = {f.endpoint: (f.verdict, f.reason) for f in report.findings}
    assert found[endpoint] == (Verdict.UNDECIDED, "write_halt")
    assert greenhouse.asked.count(endpoint) == 1


def test_one_stray_answer_makes_no_excess() -> None:
    """What the manifest does not ask for is inferred as carefully."""
    for control in ("GET /v1/jobs/{id}/approval_flows", "GET /v1/applications/{id}/eeoc"):
        report = check(InTurn(REQUIRED, of=control, first=[PAST]), CheckRequest(GEM))
        assert report.excess == (), control


def test_a_refused_write_that_may_not_be_asked_again_decides_nothing() -> None:
    """Writes are halted after its first answer, by another check: one refusal is not believed, nor vouches."""
    endpoint = "POST /v1/applications/{id}/advance"

    class HaltedAfterOne(Guard):
        async def may_write(self, entry: Entry) -> bool:
            return endpoint not in greenhouse.asked

    greenhouse = FakeGreenhouse(REQUIRED - {endpoint})
    report = check(greenhouse, CheckRequest(GEM), guard=HaltedAfterOne())
    found = {f.endpoint: (f.verdict, f.reason) for f in report.findings}
    assert found[endpoint] == (Verdict.UNDECIDED, "write_halt")
    assert endpoint not in report.refused


def test_a_key_that_is_refused_from_some_moment_on_is_contradicted_and_not_yet_invalid() -> None:
    """Revoked on the way, or a proxy: this check ends soon and says so; the next one hears only the one thing."""
    lists = [p.endpoint for p in GEM.permissions if p.endpoint in CATALOGUE.probes]
    greenhouse = FakeGreenhouse(REQUIRED, odd=dict.fromkeys(lists[5:], KNOWN_401))
    report = check(greenhouse, CheckRequest(GEM))
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "contradicted")
    assert report.counts[Verdict.GRANTED] == 0


def test_data_of_a_record_that_does_not_exist_ends_the_check_and_voids_its_verdicts() -> None:
    """Something in between answers: whatever it let through before is no better."""
    greenhouse = FakeGreenhouse(frozenset(), odd={"GET /v1/jobs/{id}": Answer(AnswerKind.IMPOSSIBLE, 200)})
    report = check(greenhouse, CheckRequest(GEM))
    assert greenhouse.asked[-1] == "GET /v1/jobs/{id}"
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "not_greenhouse")
    assert report.missing == ()


def test_an_answer_without_the_headers_that_the_others_carry_decides_nothing() -> None:
    """Every recorded answer of Harvest counts the request; what does not came from a cache or a gateway."""
    counted = {e: Answer(AnswerKind.JSON, 200, counted=True) for e in CATALOGUE.probes if "{" not in e}
    cached = {"GET /v1/sources": Answer(AnswerKind.JSON, 200)}
    report = check(FakeGreenhouse(REQUIRED, odd={**counted, **cached}), CheckRequest(GEM))
    found = {f.endpoint: (f.verdict, f.reason) for f in report.findings}
    assert found["GET /v1/sources"] == (Verdict.UNDECIDED, "unexpected_answer")
    assert found["GET /v1/jobs"] == (Verdict.GRANTED, "data")


def same(answer: Answer) -> dict[str, Answer]:
    return dict.fromkeys(EVERYTHING, answer)


@pytest.mark.parametrize(
    ("answer", "state", "most_requests"),
    [
        (Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True), CredentialState.BLOCKED, 6),
        (Answer(AnswerKind.UNKNOWN_REFUSAL, 401), CredentialState.BLOCKED, 6),
        (Answer(AnswerKind.SERVER_ERROR, 503), CredentialState.UNREACHABLE, 3),
        (Answer(AnswerKind.TIMEOUT), CredentialState.UNREACHABLE, 3),
        (Answer(AnswerKind.NO_CONNECTION), CredentialState.UNREACHABLE, 3),
        (Answer(AnswerKind.NOT_FOUND, 404), CredentialState.UNREACHABLE, 24),
    ],
)
def test_the_same_failure_everywhere_ends_the_check_soon(
    answer: Answer, state: CredentialState, most_requests: int
) -> None:
    """It is one state, no verdicts, and few requests."""
    greenhouse = FakeGreenhouse(REQUIRED, odd=same(answer))
    report = check(greenhouse, CheckRequest(GEM))
    assert report.state is state
    assert {f.verdict for f in report.findings} <= {Verdict.UNDECIDED, Verdict.NOT_CHECKABLE}
    assert greenhouse.requests <= most_requests


PAGE_403 = Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True)
FILTERED = {e.endpoint for e in CATALOGUE.probes.values() if "_after=" in e.target}


@for_each(
    {
        "a rule against the date filter": frozenset(FILTERED),
        "the first lists": frozenset({"GET /v1/applications", "GET /v1/candidates", "GET /v1/close_reasons"}),
        "all lists": frozenset(e for e in CATALOGUE.probes if "{" not in e and CATALOGUE.entry(e).method == "GET"),
        "two reads in a row, late": frozenset({"GET /v1/close_reasons", "GET /v1/custom_fields/{field_type}"}),
    }.items(),
    ids=lambda case: case[0],
)
def test_what_is_refused_to_some_requests_is_no_state_of_a_served_key(case: tuple[str, frozenset[str]]) -> None:
    """Neither blocked nor invalid: the key is served elsewhere in the same check, and what was served is judged."""
    name, refused = case
    for odd in (PAGE_403, Answer(AnswerKind.UNKNOWN_REFUSAL, 401), KNOWN_401):
        greenhouse = FakeGreenhouse(REQUIRED - {"GET /v1/jobs/{id}"}, odd=dict.fromkeys(refused, odd))
        report = check(greenhouse, CheckRequest(GEM))
        assert report.state not in (CredentialState.BLOCKED, CredentialState.INVALID), (name, odd)
        if odd.kind is AnswerKind.UNKNOWN_REFUSAL and name != "all lists":
            found = {f.endpoint: f.reason for f in report.findings}
            assert {found[e] for e in refused if e in found} == {"unknown_refusal"}, (name, odd)
            assert found["GET /v1/jobs/{id}"] == "refused", (name, odd)


def test_lists_that_are_gone_are_no_retirement_while_records_live() -> None:
    """A record of id 0 is "not found" in the same words; only the request without a key shows that it is there."""
    not_found = Answer(AnswerKind.NOT_FOUND, 404)
    lists_gone = {e: not_found for e in CATALOGUE.probes if CATALOGUE.entry(e).request_class is RequestClass.LIST}
    report = check(FakeGreenhouse(EVERYTHING, odd=lists_gone), CheckRequest(GEM))
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "uniform_answer")
    assert CATALOGUE.anonymous.request_class is RequestClass.BY_ID


def test_a_retired_api_is_not_taken_for_lost_permissions() -> None:
    """404 everywhere after the date, and without a key as well: it looks retired, and nothing is missing or granted."""

    async def gone() -> Answer:
        return Answer(AnswerKind.GONE, 404, html=True)

    greenhouse = FakeGreenhouse(REQUIRED, odd=same(Answer(AnswerKind.GONE, 404, html=True)))
    report = check(greenhouse, CheckRequest(GEM), anonymous=gone)
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "looks_retired")
    assert report.outcome is Outcome.FAILED


@for_each([PAGE_403, Answer(AnswerKind.GONE, 410)])
def test_the_request_without_a_key_is_sent_once_where_everything_fails_alike(answer: Answer) -> None:
    """It tells what concerns this credential from what concerns everybody."""
    sent = []

    async def counted() -> Answer:
        sent.append(1)
        return answer

    report = check(FakeGreenhouse(REQUIRED, odd=same(answer)), CheckRequest(GEM), anonymous=counted)
    assert sent == [1]
    assert report.detail == ("refused_without_key" if answer is PAGE_403 else "looks_retired")


def test_the_request_without_a_key_is_sent_for_nothing_else() -> None:
    """An outage, a dead key or a served one does not cause it."""
    sent = []

    async def counted() -> Answer:
        sent.append(1)
        return Answer(AnswerKind.INVALID_KEY, 401)

    for answer in (Answer(AnswerKind.TIMEOUT), KNOWN_401):
        check(FakeGreenhouse(REQUIRED, odd=same(answer)), CheckRequest(GEM), anonymous=counted)
    check(FakeGreenhouse(REQUIRED), CheckRequest(GEM), anonymous=counted)
    assert sent == []


async def test_the_deadline_cuts_the_check_and_loses_nothing_decided() -> None:
    """What was decided before the deadline counts; the rest is undecided, with the reason `deadline`."""

    class Slow(FakeGreenhouse):
        async def send(self, entry: Entry, guard: SendGuard) -> Answer | None:
            if self.requests >= 10:
                await asyncio.sleep(30)
            return await super().send(entry, guard)

    greenhouse = Slow(REQUIRED - {"GET /v1/close_reasons"})
    report = await run_of(greenhouse, CheckRequest(GEM), deadline_seconds=1).report()
    found = {f.endpoint: (f.verdict, f.reason) for f in report.findings}
    assert found["GET /v1/close_reasons"] == (Verdict.MISSING, "refused")
    assert found["GET /v1/applications"] == (Verdict.GRANTED, "data")
    assert found["GET /v1/offers/{id}"] == (Verdict.UNDECIDED, "deadline")


@dataclass
class Frozen(FakeGreenhouse):
    """Freezes after so many requests for an hour, which no timer of the event loop notices."""

    sleeps_after: int = 0

    def clock(self) -> float:
        return 3600.0 if self.requests >= self.sleeps_after else 0.0


@pytest.mark.parametrize("sleeps_after", [1, 10, 40])
def test_a_check_frozen_past_its_deadline_sends_nothing_more(sleeps_after: int) -> None:
    """The clock is read before every request: a frozen process that wakes sends no more probes."""
    greenhouse = Frozen(REQUIRED, sleeps_after=sleeps_after)
    report = check(greenhouse, CheckRequest(GEM), clock=greenhouse.clock)
    assert greenhouse.requests == sleeps_after
    assert report.findings[-1].reason == "deadline"


def test_the_request_without_a_key_is_not_sent_after_the_deadline() -> None:
    """It is a request like any other."""
    sent = []

    async def without_key() -> Answer:
        sent.append(1)
        return Answer(AnswerKind.GONE, 410)

    gone = same(Answer(AnswerKind.GONE, 410))
    awake = check(FakeGreenhouse(REQUIRED, odd=gone), CheckRequest(GEM), anonymous=without_key)
    assert sent == [1]
    asleep = Frozen(REQUIRED, odd=gone, sleeps_after=awake.requests)
    check(asleep, CheckRequest(GEM), clock=asleep.clock, anonymous=without_key)
    assert sent == [1]


@pytest.mark.parametrize("requests", [0, 1, 5, 40])
def test_a_check_that_is_stopped_asks_nothing_more_and_decides_nothing(requests: int) -> None:
    """It is paused: whatever was answered before, every verdict is undecided, and so is the outcome."""
    greenhouse = FakeGreenhouse(REQUIRED - {"GET /v1/candidates"})
    report = check(greenhouse, CheckRequest(GEM), stop=lambda: greenhouse.requests >= requests)
    assert greenhouse.requests == requests
    # Of a key that was not served, nobody says that it is ok.
    state = CredentialState.OK if requests else CredentialState.UNREACHABLE
    assert (report.state, report.detail, report.paused) == (state, "paused", True)
    assert report.outcome is Outcome.UNDECIDED
    reasons = {(f.verdict, f.reason) for f in report.findings if f.verdict is not Verdict.NOT_CHECKABLE}
    assert reasons == {(Verdict.UNDECIDED, "paused")}
    assert (report.excess, report.no_excess, report.refused) == ((), frozenset(), frozenset())


@pytest.mark.parametrize(
    "answer",
    [Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True), Answer(AnswerKind.NO_CONNECTION), Answer(AnswerKind.TIMEOUT)],
)
def test_a_failure_that_pauses_all_checks_is_not_the_credentials_own(answer: Answer) -> None:
    """The last answer ended this check and made all checks pause: it is paused, not blocked or unreachable."""
    alone = check(FakeGreenhouse(REQUIRED, odd=same(answer)), CheckRequest(GEM))
    assert alone.outcome is Outcome.FAILED
    greenhouse = FakeGreenhouse(REQUIRED, odd=same(answer))
    shared = check(greenhouse, CheckRequest(GEM), stop=lambda: greenhouse.requests == alone.requests)
    assert (shared.requests, shared.paused, shared.outcome) == (alone.requests, True, Outcome.UNDECIDED)


def test_an_invalid_key_is_invalid_even_if_checks_pause() -> None:
    """Greenhouse refused this very key, whatever happens to others."""
    greenhouse = FakeGreenhouse(REQUIRED, odd=same(Answer(AnswerKind.INVALID_KEY, 401)))
    report = check(greenhouse, CheckRequest(GEM), stop=lambda: greenhouse.requests == 6)
    assert (report.state, report.paused) == (CredentialState.INVALID, False)


def confirmed_in(first: FakeGreenhouse, second: FakeGreenhouse, request: CheckRequest) -> CheckReport:
    return confirmed(request, partial(check, first), partial(check, second))


def test_the_second_check_asks_only_for_suspects_and_their_controls() -> None:
    """Two suspects cost two requests; controls are added only if the answers need them."""
    lost = frozenset({"GET /v1/jobs/{id}/stages", "GET /v1/close_reasons"})
    again = FakeGreenhouse(REQUIRED - lost)
    report = confirmed_in(FakeGreenhouse(REQUIRED - lost), again, CheckRequest(GEM))
    assert {f.endpoint for f in report.missing} == lost
    assert set(again.asked) == lost


@pytest.mark.parametrize(
    "permission", ["GET /v1/jobs/{id}/stages", "GET /v1/close_reasons", "GET /v1/applications/{id}"]
)
@pytest.mark.parametrize("grants", [REQUIRED, EVERYTHING], ids=["least privilege", "full"])
def test_an_answer_that_changes_between_the_checks_is_no_drift(permission: str, grants: frozenset[str]) -> None:
    """Refused once and granted a minute later: granted, with that refusal as the evidence."""
    final = confirmed_in(FakeGreenhouse(grants - {permission}), FakeGreenhouse(grants), CheckRequest(GEM))
    assert verdicts(final)[permission] is Verdict.GRANTED
    assert Outcome.DRIFTED is not final.outcome


def test_a_second_check_that_decides_nothing_leaves_it_undecided() -> None:
    """Refused once, then a server error: neither missing nor granted."""
    permission = "GET /v1/close_reasons"
    odd = {permission: Answer(AnswerKind.SERVER_ERROR, 500)}
    final = confirmed_in(FakeGreenhouse(REQUIRED - {permission}), FakeGreenhouse(REQUIRED, odd=odd), CheckRequest(GEM))
    found = next(f for f in final.findings if f.endpoint == permission)
    assert (found.verdict, found.rule, found.reason) == (Verdict.UNDECIDED, "V16", "unconfirmed")


def test_a_declined_permission_is_reported_and_is_no_drift() -> None:
    """What the customer refuses on purpose is missing in the report and does not change the outcome."""
    endpoint = "PUT /v1/candidates/merge"
    declined = frozenset({GEM.permission("PUT: Merge two candidates").id})
    report = check(FakeGreenhouse(REQUIRED - {endpoint}), CheckRequest(GEM, declined=declined))
    assert verdicts(report)[endpoint] is Verdict.MISSING
    assert report.outcome is Outcome.COMPLIANT
    asked_again = FakeGreenhouse(REQUIRED - {endpoint})
    confirmed_in(FakeGreenhouse(REQUIRED - {endpoint}), asked_again, CheckRequest(GEM, declined=declined))
    assert asked_again.asked == []


def only(predicate: Callable[[Entry], bool]) -> Manifest:
    kept = tuple(p for p in GEM.permissions if p.endpoint and predicate(CATALOGUE.entry(p.endpoint)))
    return replace(GEM, permissions=kept)


@pytest.mark.parametrize("cell", sorted({CATALOGUE.entry(endpoint).cell for endpoint in REQUIRED}), ids=str)
def test_a_manifest_of_one_cell_is_decided_too(cell: Cell) -> None:
    """A vendor who needs no list still gets verdicts: positive and negative controls come from the catalogue."""
    manifest = only(lambda entry: entry.cell == cell)
    wanted = frozenset(p.endpoint for p in manifest.permissions if p.endpoint)
    report = check(FakeGreenhouse(wanted), CheckRequest(manifest))
    # What could vouch for it are lists under a record, and a manifest of this cell alone asks for none that is there.
    borrows = {Verdict.UNDECIDED} if cell == BORROWING else {Verdict.GRANTED}
    assert set(verdicts(report).values()) == borrows
    assert wrong(check(FakeGreenhouse(frozenset()), CheckRequest(manifest)), frozenset()) == []
