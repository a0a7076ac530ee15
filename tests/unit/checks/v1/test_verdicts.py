"""Each rule of docs/verdicts.md, one by one, with answers that Greenhouse is known to give."""

from collections.abc import Mapping

import pytest

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import RequestClass
from checks.v1.verdicts import Evidence, KeyRule, judge, positive_control

CATALOGUE = catalogue()
DENIED = Answer(AnswerKind.PERMISSION, 403)
DATA = Answer(AnswerKind.JSON, 200)
NOT_FOUND = Answer(AnswerKind.NOT_FOUND, 404)

LIST = "GET /v1/users"
APPLICATIONS = "GET /v1/applications"
JOB = "GET /v1/jobs/{id}"
OFFER = "GET /v1/offers/{id}"
APPLICATION = "GET /v1/applications/{id}"
SCORECARDS = "GET /v1/applications/{id}/scorecards"
STAGES = "GET /v1/jobs/{id}/stages"
JOB_POST = "GET /v1/jobs/{id}/job_post"
EEOC = "GET /v1/applications/{id}/eeoc"
FUTURE_JOBS = "GET /v1/users/{id}/permissions/future_jobs"
NOTE = "POST /v1/candidates/{id}/activity_feed/notes"
MERGE = "PUT /v1/candidates/merge"
WRITES = frozenset({"PATCH /v1/applications/{id}", "PATCH /v1/applications/{id}/convert_prospect"})
REQUIRED = frozenset({LIST, APPLICATIONS, JOB, OFFER, APPLICATION, SCORECARDS, STAGES, FUTURE_JOBS, NOTE, MERGE})

APPROVAL_FLOW = "GET /v1/approval_flows/{id}"
PROSPECT_POOL = "GET /v1/prospect_pools/{id}"
DEMOGRAPHICS = "GET /v1/applications/{id}/demographics/answers"
HIRING_TEAM = "GET /v1/jobs/{id}/hiring_team"
JOB_APPROVALS = "GET /v1/jobs/{id}/approval_flows"
LOCATIONS = "GET /v1/job_posts/{id}/custom_locations"
PENDING = "GET /v1/users/{user_id}/pending_approvals"
EMPLOYMENTS = "POST /v1/candidates/{id}/employments"
APPLICATION_ATTACHMENTS = "POST /v1/applications/{id}/attachments"


def ruled(endpoint: str, answers: Mapping[str, Answer], **more: object) -> tuple[KeyRule, str]:
    told = {"required": REQUIRED, "repeated": answers.keys(), **more}
    evidence = Evidence(CATALOGUE, answers, **told)  # type: ignore[arg-type]
    judgement = judge(CATALOGUE.entry(endpoint), evidence)
    return judgement.rule, judgement.reason


@pytest.mark.parametrize("status", [401, 403])
def test_v18_the_permission_text_means_missing_whatever_else_is_known(status: int) -> None:
    """The text decides with either status, in any class, without a control."""
    for endpoint in (LIST, JOB, STAGES, NOTE):
        answers = {endpoint: Answer(AnswerKind.PERMISSION, status)}
        assert ruled(endpoint, answers) == (KeyRule.MISSING, "refused")


def test_v19_data_of_a_list_means_granted() -> None:
    """A list answered with data needs no control."""
    assert ruled(LIST, {LIST: DATA}) == (KeyRule.GRANTED_DATA, "data")


def test_an_empty_list_under_a_record_means_granted_only_beside_a_refused_one() -> None:
    """It may be empty because its record is not there, for any key: as for "not found", a refusal shows the order."""
    stages = {LIST: DATA, STAGES: DATA}
    assert ruled(STAGES, stages)[0] is KeyRule.NO_REFUSAL
    assert ruled(STAGES, {STAGES: DATA})[0] is KeyRule.NO_POSITIVE_CONTROL
    # What gives no list cannot be empty first, so its refusal shows nothing of lists.
    assert ruled(STAGES, {**stages, HIRING_TEAM: DENIED})[0] is KeyRule.NO_REFUSAL
    assert ruled(STAGES, {**stages, PENDING: DENIED})[0] is KeyRule.GRANTED_BY_CONTROL
    assert ruled(STAGES, {**stages, PENDING: DENIED, LOCATIONS: DATA})[0] is KeyRule.MIXED_CONTROLS
    assert ruled(STAGES, stages, remembered=frozenset({STAGES}))[0] is KeyRule.GRANTED_REMEMBERED
    turned = frozenset({STAGES, PENDING})
    assert ruled(STAGES, {**stages, PENDING: DATA}, remembered=turned)[0] is KeyRule.NO_REFUSAL


def test_v20_an_endpoint_refused_before_is_its_own_control() -> None:
    """A remembered refusal of the same endpoint proves the repair even where every control always passed."""
    answers = {LIST: DATA, JOB: NOT_FOUND, APPROVAL_FLOW: NOT_FOUND, PROSPECT_POOL: NOT_FOUND}
    assert ruled(JOB, answers, remembered=frozenset({JOB}))[0] is KeyRule.GRANTED_REMEMBERED
    assert ruled(JOB, answers, remembered=frozenset({OFFER}))[0] is KeyRule.NO_REFUSAL


@pytest.mark.parametrize("remembered", [frozenset({JOB, APPROVAL_FLOW}), frozenset({JOB, APPROVAL_FLOW, OFFER})])
def test_v20_a_control_that_was_refused_before_and_passes_takes_the_proof_away(remembered: frozenset[str]) -> None:
    """Greenhouse may now look for the record first, or no longer have these requests: the key is as it was."""
    answers = {LIST: DATA, JOB: NOT_FOUND, APPROVAL_FLOW: NOT_FOUND, PROSPECT_POOL: NOT_FOUND}
    assert ruled(JOB, answers, remembered=remembered)[0] is KeyRule.NO_REFUSAL


def test_v20_where_controls_were_refused_before_one_has_to_be_refused_again() -> None:
    """Controls without a usable answer leave open whether the permission still comes first."""
    remembered = frozenset({JOB, APPROVAL_FLOW, PROSPECT_POOL})
    answers = {LIST: DATA, JOB: NOT_FOUND, APPROVAL_FLOW: Answer(AnswerKind.TIMEOUT)}
    assert ruled(JOB, answers, remembered=remembered) == (KeyRule.NO_REFUSAL, "no_refusal")
    assert ruled(JOB, answers, remembered=remembered, cut_short="deadline") == (KeyRule.NOT_ASKED, "deadline")
    assert ruled(JOB, {**answers, PROSPECT_POOL: DENIED}, remembered=remembered)[0] is KeyRule.GRANTED_REMEMBERED


@pytest.mark.parametrize("kind", [AnswerKind.VALIDATION, AnswerKind.BAD_PAYLOAD])
def test_an_answer_that_nothing_in_the_request_can_have_given_decides_nothing(kind: AnswerKind) -> None:
    """A request to read has no fields: whatever 422 and 400 are about there, it is not known."""
    answers = {LIST: DATA, JOB: Answer(kind, 422), APPROVAL_FLOW: DENIED}
    for remembered in (frozenset[str](), frozenset({JOB})):
        assert ruled(JOB, answers, remembered=remembered) == (KeyRule.NOT_DECISIVE, "unexpected_answer")
    without_fields = {APPLICATIONS: DATA, UPDATE: Answer(AnswerKind.BAD_PAYLOAD, 400)}
    assert ruled(UPDATE, without_fields, required=WRITES)[0] is KeyRule.NOT_DECISIVE


def test_v20_a_refusal_taken_back_takes_the_proof_away_and_a_control_that_always_passed_does_not() -> None:
    """Where something refuses at random nothing can be told; what the key had before says nothing new."""
    answers = {LIST: DATA, JOB: NOT_FOUND, APPROVAL_FLOW: DENIED, PROSPECT_POOL: NOT_FOUND}
    for remembered in (frozenset({JOB}), frozenset({JOB, APPROVAL_FLOW})):
        assert ruled(JOB, answers, remembered=remembered)[0] is KeyRule.GRANTED_REMEMBERED
        doubtful = frozenset({"GET /v1/offices"})
        assert ruled(JOB, answers, remembered=remembered, contradicted=doubtful)[0] is KeyRule.NO_REFUSAL
    turned = frozenset({JOB, APPROVAL_FLOW, PROSPECT_POOL})
    assert ruled(JOB, answers, remembered=turned)[0] is KeyRule.MIXED_CONTROLS


def test_v20_a_cell_without_controls_looks_at_those_it_borrows_from() -> None:
    """By id in the applications service has none of its own, so a neighbour's that turned counts."""
    remembered = frozenset({APPLICATION, APPROVAL_FLOW, DEMOGRAPHICS})
    assert ruled(APPLICATION, BORROWED, remembered=remembered)[0] is KeyRule.GRANTED_REMEMBERED
    for turned in (APPROVAL_FLOW, DEMOGRAPHICS):
        answers = {**BORROWED, turned: NOT_FOUND}
        assert ruled(APPLICATION, answers, remembered=remembered)[0] is KeyRule.NO_REFUSAL, turned


def test_v21_a_missing_permission_of_the_cell_is_a_control() -> None:
    """A refused required permission shows the order for the others in its cell, and is no disagreement."""
    answers = {LIST: DATA, JOB: NOT_FOUND, OFFER: DENIED, APPROVAL_FLOW: NOT_FOUND}
    assert ruled(JOB, answers)[0] is KeyRule.GRANTED_BESIDE_MISSING


def test_v22_a_refused_control_shows_the_order() -> None:
    """One refused control, none passing: `not found` means granted."""
    assert ruled(JOB, {LIST: DATA, JOB: NOT_FOUND, APPROVAL_FLOW: DENIED})[0] is KeyRule.GRANTED_BY_CONTROL


@pytest.mark.parametrize(
    "past",
    [
        Answer(AnswerKind.NOT_FOUND, 404),
        Answer(AnswerKind.NO_ACCESS, 403),
        Answer(AnswerKind.VALIDATION, 422),
        Answer(AnswerKind.BAD_PAYLOAD, 400),
    ],
)
def test_v22_every_answer_past_the_permission_check_counts_alike(past: Answer) -> None:
    """404, 403 about a record, 422 and 400 all come after the permission check, if that is first."""
    answers = {LIST: DATA, NOTE: past, EMPLOYMENTS: DENIED}
    assert ruled(NOTE, answers)[0] is KeyRule.GRANTED_BY_CONTROL
    assert ruled(NOTE, {LIST: DATA, NOTE: past, EMPLOYMENTS: past})[0] is KeyRule.NO_REFUSAL


UPDATE = "PATCH /v1/applications/{id}"
CONVERT = "PATCH /v1/applications/{id}/convert_prospect"
OFFERS = "GET /v1/applications/{application_id}/offers"
CURRENT_OFFER = "GET /v1/applications/{application_id}/offers/current_offer"
INVALID = Answer(AnswerKind.VALIDATION, 422)
PATCHES = {APPLICATIONS: DATA, UPDATE: DENIED}


def test_a_refusal_vouches_only_for_what_its_own_request_was_bound_to_fail() -> None:
    """A refused PATCH that needs no field shows nothing about a 422: Greenhouse may look at the fields first."""
    assert ruled(CONVERT, {**PATCHES, CONVERT: INVALID}, required=WRITES)[0] is KeyRule.NO_REFUSAL
    assert ruled(CONVERT, {**PATCHES, CONVERT: NOT_FOUND}, required=WRITES)[0] is KeyRule.GRANTED_BESIDE_MISSING
    reject = {**PATCHES, CONVERT: INVALID, "PATCH /v1/applications/{id}/reject": DENIED}
    assert ruled(CONVERT, reject, required=WRITES)[0] is KeyRule.GRANTED_BY_CONTROL


def test_a_refused_list_vouches_for_another_only_if_lists_look_for_their_parent() -> None:
    """A list that answers [] for a record that is not there never looked for it, so perhaps neither did the refused."""
    asked = {APPLICATIONS: DATA, DEMOGRAPHICS: DENIED, OFFERS: NOT_FOUND}
    assert ruled(OFFERS, asked)[0] is KeyRule.GRANTED_BY_CONTROL
    assert ruled(OFFERS, {**asked, SCORECARDS: DATA})[0] is KeyRule.NO_REFUSAL
    assert ruled(OFFERS, {**asked, SCORECARDS: DENIED})[0] is KeyRule.GRANTED_BESIDE_MISSING


def test_a_list_under_a_record_and_a_single_one_do_not_vouch_for_each_other() -> None:
    """Greenhouse may look up the one before the permission and the other after it."""
    asked = {LIST: DATA, STAGES: NOT_FOUND, JOB_POST: NOT_FOUND}
    lists_refused, record_refused = {**asked, PENDING: DENIED}, {**asked, HIRING_TEAM: DENIED}
    assert ruled(STAGES, lists_refused)[0] is KeyRule.GRANTED_BY_CONTROL
    assert ruled(JOB_POST, lists_refused)[0] is KeyRule.NO_REFUSAL
    assert ruled(STAGES, record_refused)[0] is KeyRule.NO_REFUSAL
    assert ruled(JOB_POST, record_refused)[0] is KeyRule.GRANTED_BY_CONTROL
    # Nor do they disagree: each is looked up in its own order.
    assert ruled(STAGES, {**lists_refused, HIRING_TEAM: NOT_FOUND})[0] is KeyRule.GRANTED_BY_CONTROL
    assert ruled(JOB_POST, {**lists_refused, HIRING_TEAM: NOT_FOUND})[0] is KeyRule.NO_REFUSAL


def test_v21_a_refused_permission_of_a_feature_that_the_tenant_lacks_is_a_control_too() -> None:
    """It is asked about for the sake of excess; that it is granted is no disagreement."""
    asked = {APPLICATIONS: DATA, CURRENT_OFFER: NOT_FOUND}
    assert ruled(CURRENT_OFFER, {**asked, EEOC: DENIED})[0] is KeyRule.GRANTED_BESIDE_MISSING
    assert ruled(CURRENT_OFFER, {**asked, EEOC: NOT_FOUND})[0] is KeyRule.NO_REFUSAL


def test_v17_where_one_refusal_was_taken_back_none_is_believed() -> None:
    """Nor does any vouch for another, or show that its service serves this key."""
    answers = {LIST: DATA, OFFER: DENIED, JOB: NOT_FOUND, APPROVAL_FLOW: DENIED}
    doubtful = frozenset({"GET /v1/offices"})
    assert ruled(OFFER, answers, contradicted=doubtful) == (KeyRule.CONTRADICTED, "contradicted")
    assert ruled(JOB, answers, contradicted=doubtful)[0] is KeyRule.NO_REFUSAL
    assert ruled(LIST, answers, contradicted=doubtful)[0] is KeyRule.GRANTED_DATA


def test_a_grant_that_is_inferred_or_new_does_not_rest_on_one_answer() -> None:
    """What is known as granted needs one; so does a list, unless it is known as missing or was refused before."""
    inferred = {LIST: DATA, JOB: NOT_FOUND, APPROVAL_FLOW: DENIED}
    one: dict[str, object] = {"repeated": frozenset(), "cut_short": "deadline"}
    job, listed = frozenset({JOB}), frozenset({LIST})
    assert ruled(JOB, inferred, **one) == (KeyRule.NOT_ASKED, "deadline")
    assert ruled(JOB, inferred, **one, granted=job)[0] is KeyRule.GRANTED_BY_CONTROL
    assert ruled(JOB, inferred, **one, granted=job, remembered=job)[0] is KeyRule.NOT_ASKED
    assert ruled(LIST, inferred, **one)[0] is KeyRule.GRANTED_DATA
    for known in ({"missing": listed}, {"remembered": listed}):
        assert ruled(LIST, inferred, **one, **known)[0] is KeyRule.NOT_ASKED


def test_a_control_of_another_cell_proves_nothing() -> None:
    """Controls do not carry over between classes or services."""
    for control in (HIRING_TEAM, DEMOGRAPHICS, EMPLOYMENTS):
        assert ruled(JOB, {LIST: DATA, JOB: NOT_FOUND, control: DENIED})[0] is KeyRule.NO_REFUSAL


def test_v23_disagreeing_controls_leave_only_what_shares_the_first_segment() -> None:
    """If one control is refused and one passes, only a refusal under the same first path segment decides."""
    answers = {LIST: DATA, STAGES: NOT_FOUND, FUTURE_JOBS: NOT_FOUND, JOB_APPROVALS: DENIED, PENDING: NOT_FOUND}
    assert ruled(STAGES, answers)[0] is KeyRule.GRANTED_SAME_SEGMENT
    assert ruled(FUTURE_JOBS, answers) == (KeyRule.MIXED_CONTROLS, "mixed_controls")


BORROWED = {
    APPLICATIONS: DATA,
    LIST: DATA,
    APPLICATION: NOT_FOUND,
    APPROVAL_FLOW: DENIED,
    SCORECARDS: NOT_FOUND,
    DEMOGRAPHICS: DENIED,
}


def test_v24_a_cell_without_controls_borrows_from_both_sides() -> None:
    """By id in the applications service: the same class elsewhere and another read of the service must both show it."""
    assert ruled(APPLICATION, BORROWED)[0] is KeyRule.GRANTED_BORROWED


def test_v24_a_single_record_under_an_application_borrows_where_its_cell_has_only_lists() -> None:
    """A single record elsewhere must show it, and lists in its own cell, which are looked up there as well."""
    asked = {APPLICATIONS: DATA, CURRENT_OFFER: NOT_FOUND, OFFERS: NOT_FOUND, DEMOGRAPHICS: DENIED}
    assert ruled(CURRENT_OFFER, {**asked, HIRING_TEAM: DENIED})[0] is KeyRule.GRANTED_BORROWED
    for change in (
        {HIRING_TEAM: NOT_FOUND},  # records elsewhere show no refusal
        {HIRING_TEAM: DENIED, DEMOGRAPHICS: NOT_FOUND},  # its own lists show none
        {HIRING_TEAM: DENIED, OFFERS: DATA},  # its own lists do not look for their parent
        {HIRING_TEAM: DENIED, DEMOGRAPHICS: NOT_FOUND, APPLICATION: DENIED},  # by id is another cell
    ):
        assert ruled(CURRENT_OFFER, {**asked, **change})[0] is KeyRule.NO_REFUSAL, change


@pytest.mark.parametrize(
    "change",
    [
        {APPROVAL_FLOW: NOT_FOUND},  # the class shows no refusal in the other service
        {SCORECARDS: DENIED},  # nothing shows that its lists look for the record
        {SCORECARDS: DATA},  # they do not look for it
        {DEMOGRAPHICS: NOT_FOUND},  # nothing shows the order in its own service
        {PROSPECT_POOL: NOT_FOUND},  # the controls of the other service disagree
        {DEMOGRAPHICS: NOT_FOUND, APPLICATION_ATTACHMENTS: DENIED},  # a write proves nothing about a read
    ],
)
def test_v24_half_of_the_evidence_is_not_borrowed(change: Mapping[str, Answer]) -> None:
    """If either side is missing or disagrees, the verdict is undecided."""
    assert ruled(APPLICATION, {**BORROWED, **change})[0] is KeyRule.NO_REFUSAL


def test_v8_without_a_positive_control_not_found_means_nothing() -> None:
    """404 everywhere, as after a retirement, never means granted; a positive control is for its service only."""
    assert ruled(JOB, {JOB: NOT_FOUND, LIST: NOT_FOUND})[0] is KeyRule.NO_POSITIVE_CONTROL
    assert ruled(JOB, {JOB: NOT_FOUND, APPLICATIONS: DATA})[0] is KeyRule.NO_POSITIVE_CONTROL
    assert ruled(SCORECARDS, {SCORECARDS: NOT_FOUND, LIST: DATA})[0] is KeyRule.NO_POSITIVE_CONTROL
    assert ruled(JOB, {JOB: NOT_FOUND}, remembered=frozenset({JOB}))[0] is KeyRule.NO_POSITIVE_CONTROL


def test_v25_a_key_with_every_permission_is_undecided() -> None:
    """If all controls pass, the key may have every permission, or Greenhouse looks up the record first."""
    assert ruled(JOB, {LIST: DATA, JOB: NOT_FOUND, APPROVAL_FLOW: NOT_FOUND}) == (KeyRule.NO_REFUSAL, "no_refusal")


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (AnswerKind.UNKNOWN_REFUSAL, 403, "unknown_refusal"),
        (AnswerKind.GONE, 410, "unexpected_answer"),
        (AnswerKind.REDIRECT, 302, "redirect"),
        (AnswerKind.RATE_LIMITED, 429, "rate_limited"),
        (AnswerKind.SERVER_ERROR, 500, "server_error"),
        (AnswerKind.NOT_JSON, 200, "not_json"),
        (AnswerKind.UNEXPECTED, 418, "unexpected_answer"),
        (AnswerKind.TIMEOUT, None, "timeout"),
        (AnswerKind.NO_CONNECTION, None, "no_connection"),
    ],
)
@pytest.mark.parametrize("endpoint", [LIST, JOB, NOTE])
def test_v11_an_answer_that_says_nothing_is_undecided_even_with_all_controls(
    endpoint: str, kind: AnswerKind, status: int | None, reason: str
) -> None:
    """What is neither data, nor a refusal, nor past the permission check is undecided, whatever the controls."""
    answers = {APPLICATIONS: DATA, APPROVAL_FLOW: DENIED, EMPLOYMENTS: DENIED, "GET /v1/jobs": DATA}
    rule, why = ruled(endpoint, {**answers, endpoint: Answer(kind, status)})
    if status == 200 and endpoint == NOTE:
        assert rule is KeyRule.WRITE_HALT
    else:
        assert (rule, why) == (KeyRule.NOT_DECISIVE, reason)


def test_v11_a_list_is_decided_by_its_data_alone() -> None:
    """A list that answers 404 is undecided even with refused controls."""
    assert ruled(LIST, {LIST: NOT_FOUND, "GET /v1/jobs": DENIED}) == (KeyRule.NOT_DECISIVE, "unexpected_answer")


def test_v12_a_check_cut_short_names_that_as_the_reason() -> None:
    """What was not asked, or lacks a control that was not asked, is undecided for the reason the check ended."""
    assert ruled(JOB, {LIST: DATA}, cut_short="deadline") == (KeyRule.NOT_ASKED, "deadline")
    assert ruled(JOB, {LIST: DATA, JOB: NOT_FOUND}, cut_short="deadline") == (KeyRule.NOT_ASKED, "deadline")
    assert ruled(JOB, {LIST: DATA, JOB: DENIED}, cut_short="deadline")[0] is KeyRule.MISSING


@pytest.mark.parametrize("status", [200, 201, 204])
def test_v13_a_write_that_was_accepted_is_an_alarm_and_no_grant(status: int) -> None:
    """A 2xx on a write probe is never read as granted."""
    answer = Answer(AnswerKind.JSON, status)
    assert ruled(NOTE, {LIST: DATA, NOTE: answer, EMPLOYMENTS: DENIED}) == (KeyRule.WRITE_HALT, "write_alarm")
    assert ruled(MERGE, {}, not_sent={MERGE: "write_halt"}) == (KeyRule.WRITE_HALT, "write_halt")


def test_v15_a_write_that_was_not_allowed_is_not_checkable() -> None:
    """A write that the setting leaves out says nothing about Greenhouse, so it is not undecided."""
    assert ruled(NOTE, {}, not_sent={NOTE: "writes_off"}) == (KeyRule.WRITES_OFF, "writes_off")


def test_a_control_the_manifest_requires_is_no_longer_a_control() -> None:
    """If a vendor requires a control's endpoint, its passing is no disagreement."""
    required = REQUIRED | {PROSPECT_POOL}
    answers = {LIST: DATA, JOB: NOT_FOUND, APPROVAL_FLOW: DENIED, PROSPECT_POOL: NOT_FOUND}
    assert ruled(JOB, answers, required=required)[0] is KeyRule.GRANTED_BY_CONTROL
    assert ruled(PROSPECT_POOL, answers, required=required)[0] is KeyRule.GRANTED_BY_CONTROL


def test_every_refusal_is_a_positive_control() -> None:
    """Like data, the permission text shows that the service knows the credential."""
    for entry in CATALOGUE.probes.values():
        evidence = Evidence(CATALOGUE, {entry.endpoint: DENIED}, REQUIRED)
        assert positive_control(entry.service, evidence)
        if entry.request_class is not RequestClass.LIST:
            assert not positive_control(entry.service, Evidence(CATALOGUE, {entry.endpoint: DATA}, REQUIRED))
