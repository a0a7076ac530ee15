"""From answers to verdicts: pure, each rule numbered and written out in docs/verdicts.md.

What makes an answer past the permission check mean `granted` is evidence that, for this credential and this kind of
request, Greenhouse checks the permission first. Greenhouse documents no order of checks, so it is shown again in
each check by a refusal in the same cell, and where nothing shows it the verdict is `undecided`.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import Catalogue
from checks.catalogue.entry import Cell, Entry, RequestClass, Service
from checks.judgement import Judgement, Rule
from checks.report import Verdict


class KeyRule(Rule):
    """docs/verdicts.md carries the same table."""

    MISSING = ("V1", Verdict.MISSING, "The answer is 401 or 403 with the permission text.")
    GRANTED_DATA = ("V2", Verdict.GRANTED, "A GET is answered 200 with a JSON array or object.")
    GRANTED_REMEMBERED = (
        "V3",
        Verdict.GRANTED,
        "The answer lies past the permission check, and this same endpoint was refused to this credential before.",
    )
    GRANTED_BESIDE_MISSING = (
        "V4",
        Verdict.GRANTED,
        "The answer lies past the permission check, and another required permission of the cell is refused.",
    )
    GRANTED_BY_CONTROL = (
        "V5",
        Verdict.GRANTED,
        "The answer lies past the permission check, and a control of the cell is refused while none passes.",
    )
    GRANTED_SAME_SEGMENT = (
        "V6",
        Verdict.GRANTED,
        "The controls of the cell disagree, and one under the same first path segment is refused.",
    )
    GRANTED_BORROWED = (
        "V7",
        Verdict.GRANTED,
        "The cell has no control; the same class in the other service and another class of its own service (reads from "
        "reads, writes from writes) both show a refusal and no disagreement: borrowed.",
    )
    NO_POSITIVE_CONTROL = (
        "V8",
        Verdict.UNDECIDED,
        "The answer lies past the permission check, but nothing in its service shows that the API serves this "
        "credential.",
    )
    NO_REFUSAL = (
        "V9",
        Verdict.UNDECIDED,
        "The answer lies past the permission check, but no refusal in the cell shows that this check comes first.",
    )
    MIXED_CONTROLS = (
        "V10",
        Verdict.UNDECIDED,
        "The controls of the cell disagree and none under the same first path segment is refused.",
    )
    NOT_DECISIVE = ("V11", Verdict.UNDECIDED, "The answer, or its absence, says nothing about the permission.")
    NOT_ASKED = ("V12", Verdict.UNDECIDED, "The check ended before the question, or a control it needs, was put.")
    WRITE_HALT = ("V13", Verdict.UNDECIDED, "Writes are halted after an answer that no probe should get.")
    NO_ENDPOINT = ("V14", Verdict.NOT_CHECKABLE, "Greenhouse documents no endpoint for this permission.")
    WRITES_OFF = ("V15", Verdict.NOT_CHECKABLE, "Only a write probe could tell, and the setting does not allow it.")


READS = frozenset({RequestClass.BY_ID, RequestClass.NESTED})
WRITES = frozenset({RequestClass.POST, RequestClass.PATCH, RequestClass.PUT, RequestClass.DELETE})

_KIND_REASON: Mapping[AnswerKind, str] = {
    AnswerKind.INVALID_KEY: "invalid_key",
    AnswerKind.UNKNOWN_REFUSAL: "unknown_refusal",
    AnswerKind.GONE: "unexpected_answer",
    AnswerKind.REDIRECT: "redirect",
    AnswerKind.RATE_LIMITED: "rate_limited",
    AnswerKind.SERVER_ERROR: "server_error",
    AnswerKind.NOT_JSON: "not_json",
    AnswerKind.UNEXPECTED: "unexpected_answer",
    AnswerKind.TIMEOUT: "timeout",
    AnswerKind.NO_CONNECTION: "no_connection",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one check saw, by documented endpoint.

    `required` are the endpoints of the tenant's permissions; `remembered` those refused to this credential before;
    `not_sent` says why a request was not sent (a key of reasons.REASONS), `cut_short` why the check ended early, if it
    did.
    """

    catalogue: Catalogue
    answers: Mapping[str, Answer]
    required: Set[str]
    remembered: Set[str] = frozenset()
    not_sent: Mapping[str, str] = field(default_factory=dict)
    cut_short: str | None = None


@dataclass(frozen=True, slots=True)
class CellView:
    """What one cell showed: refusals and passes of its controls, refusals of required permissions."""

    designated: int
    control_refusals: tuple[Entry, ...]
    control_passes: tuple[Entry, ...]
    required_refusals: tuple[Entry, ...]

    @property
    def disagrees(self) -> bool:
        return bool(self.control_refusals and self.control_passes)

    @property
    def refusals(self) -> tuple[Entry, ...]:
        return self.control_refusals + self.required_refusals

    @property
    def shows_order(self) -> bool:
        return bool(self.refusals) and not self.disagrees


def view(cell: Cell, evidence: Evidence) -> CellView:
    """What this check showed about one cell."""
    controls = [entry for entry in evidence.catalogue.controls_of(cell) if entry.endpoint not in evidence.required]
    refused = [evidence.catalogue.entry(e) for e, a in evidence.answers.items() if a.kind is AnswerKind.PERMISSION]
    return CellView(
        designated=len(controls),
        control_refusals=tuple(e for e in controls if _refused(e, evidence)),
        control_passes=tuple(e for e in controls if _passed(e, evidence)),
        required_refusals=tuple(e for e in refused if e.cell == cell and e.endpoint in evidence.required),
    )


def positive_control(service: Service, evidence: Evidence) -> bool:
    """Some answer of this service shows that it serves this credential: a list's data, or the permission text."""
    for endpoint, answer in evidence.answers.items():
        entry = evidence.catalogue.entry(endpoint)
        listed = entry.request_class is RequestClass.LIST and answer.kind is AnswerKind.JSON
        if entry.service is service and (listed or answer.kind is AnswerKind.PERMISSION):
            return True
    return False


def judge(entry: Entry, evidence: Evidence) -> Judgement:
    """The verdict on one endpoint; the order of the steps is the order of docs/verdicts.md."""
    answer = evidence.answers.get(entry.endpoint)
    if answer is None:
        return _not_sent(evidence.not_sent.get(entry.endpoint, evidence.cut_short or "deadline"))
    if answer.kind is AnswerKind.PERMISSION:
        return Judgement(KeyRule.MISSING, "refused")
    if answer.kind is AnswerKind.JSON and not entry.is_write:
        return Judgement(KeyRule.GRANTED_DATA, "data")
    if answer.accepted and entry.is_write:
        return Judgement(KeyRule.WRITE_HALT, "write_alarm")
    if not answer.kind.past_permission:
        return Judgement(KeyRule.NOT_DECISIVE, _KIND_REASON[answer.kind])
    # A list looks up no record, so "not found" says nothing about its permission.
    if entry.request_class is RequestClass.LIST:
        return Judgement(KeyRule.NOT_DECISIVE, "unexpected_answer")
    return _past_permission(entry, evidence)


def _not_sent(reason: str) -> Judgement:
    match reason:
        case "write_halt":
            return Judgement(KeyRule.WRITE_HALT, reason)
        case "writes_off" | "writes_without_id_off":
            return Judgement(KeyRule.WRITES_OFF, reason)
    return Judgement(KeyRule.NOT_ASKED, reason)


def _past_permission(entry: Entry, evidence: Evidence) -> Judgement:
    passed = "past_permission_check"
    if not positive_control(entry.service, evidence):
        return _undecided(KeyRule.NO_POSITIVE_CONTROL, "no_positive_control", evidence)
    # Before the controls: the endpoint's own refusal counts more than theirs, even where all of them pass.
    if entry.endpoint in evidence.remembered:
        return Judgement(KeyRule.GRANTED_REMEMBERED, passed)
    seen = view(entry.cell, evidence)
    if seen.disagrees:
        same_segment = any(refused.segment == entry.segment for refused in seen.refusals)
        return (
            Judgement(KeyRule.GRANTED_SAME_SEGMENT, passed)
            if same_segment
            else Judgement(KeyRule.MIXED_CONTROLS, "mixed_controls")
        )
    if seen.required_refusals:
        return Judgement(KeyRule.GRANTED_BESIDE_MISSING, passed)
    if seen.control_refusals:
        return Judgement(KeyRule.GRANTED_BY_CONTROL, passed)
    # By-id × applications has no control in the catalogue; a manifest that requires a cell's controls leaves none.
    if seen.designated == 0 and _borrows(entry.cell, evidence):
        return Judgement(KeyRule.GRANTED_BORROWED, passed)
    return _undecided(KeyRule.NO_REFUSAL, "no_refusal", evidence)


def _undecided(rule: KeyRule, reason: str, evidence: Evidence) -> Judgement:
    """If the check was cut short, controls may be missing, so that is the reason to name."""
    return Judgement(KeyRule.NOT_ASKED, evidence.cut_short) if evidence.cut_short else Judgement(rule, reason)


def _borrows(cell: Cell, evidence: Evidence) -> bool:
    # On-Behalf-Of is required on writes only and may be checked first, so reads borrow from reads and writes from
    # writes.
    kin = READS if cell.request_class in READS else WRITES
    other_service = next(service for service in Service if service is not cell.service)
    across = view(Cell(cell.request_class, other_service), evidence)
    others = (view(Cell(other, cell.service), evidence) for other in kin - {cell.request_class})
    return across.shows_order and any(other.shows_order for other in others)


def _refused(entry: Entry, evidence: Evidence) -> bool:
    answer = evidence.answers.get(entry.endpoint)
    return answer is not None and answer.kind is AnswerKind.PERMISSION


def _passed(entry: Entry, evidence: Evidence) -> bool:
    answer = evidence.answers.get(entry.endpoint)
    return answer is not None and answer.kind.past_permission
