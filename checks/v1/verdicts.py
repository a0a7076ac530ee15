"""From answers to verdicts: pure, each rule numbered and written out in docs/verdicts.md.

What makes an answer past the permission check mean `granted` is evidence that, for this credential and this kind of
request, Greenhouse looks at the permission before whatever else gave that answer: the record, On-Behalf-Of, the fields.
Greenhouse documents no order of checks, so it is shown again in each check by a refusal in the same cell of a request
that was bound to fail the same; where nothing shows it the verdict is `undecided`. Lists under a record and single
records are looked up apart, and neither vouches for the other.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import Catalogue
from checks.catalogue.entry import Cell, Entry, Hurdle, RequestClass, Service, WriteProbes
from checks.judgement import Judgement, Rule
from checks.report import Verdict


class KeyRule(Rule):
    """docs/verdicts.md carries the same table."""

    MISSING = ("V18", Verdict.MISSING, "The answer is 401 or 403 with the permission text, each time it was asked.")
    GRANTED_DATA = (
        "V19",
        Verdict.GRANTED,
        "A list is answered 200 with a JSON array.",
    )
    GRANTED_REMEMBERED = (
        "V20",
        Verdict.GRANTED,
        "The answer lies past the permission check, this same endpoint was refused to this credential before, and "
        "controls of the cell that were refused before still are, while none of these passes.",
    )
    GRANTED_BESIDE_MISSING = (
        "V21",
        Verdict.GRANTED,
        "The answer lies past the permission check, and other permissions of the manifest in the cell are refused that "
        "were bound to fail what gave it.",
    )
    GRANTED_BY_CONTROL = (
        "V22",
        Verdict.GRANTED,
        "The answer lies past the permission check, and controls of the cell are refused that were bound to fail what "
        "gave it, while none of these passes.",
    )
    GRANTED_SAME_SEGMENT = (
        "V23",
        Verdict.GRANTED,
        "The controls of the cell that were bound to fail what gave the answer disagree, and a request under the same "
        "first path segment is refused that was bound to fail it.",
    )
    GRANTED_BORROWED = (
        "V24",
        Verdict.GRANTED,
        "The cell has no control that is bound to fail what gave the answer; the same class in the other service and "
        "another kind of request of its own service (reads from reads, writes from writes) both show such a refusal "
        "and no disagreement: borrowed.",
    )
    NO_POSITIVE_CONTROL = (
        "V8",
        Verdict.UNDECIDED,
        "The answer lies past the permission check, but nothing in its service shows that the API serves this "
        "credential.",
    )
    NO_REFUSAL = (
        "V25",
        Verdict.UNDECIDED,
        "The answer lies past the permission check, but no refusal in the cell shows that the permission comes before "
        "what gave it.",
    )
    MIXED_CONTROLS = (
        "V26",
        Verdict.UNDECIDED,
        "The controls of the cell that were bound to fail what gave the answer disagree, and no such refusal is under "
        "the same first path segment.",
    )
    NOT_DECISIVE = ("V11", Verdict.UNDECIDED, "The answer, or its absence, says nothing about the permission.")
    NOT_ASKED = ("V12", Verdict.UNDECIDED, "The check ended before the question, or a control it needs, was put.")
    WRITE_HALT = ("V13", Verdict.UNDECIDED, "Writes are halted after an answer that no probe should get.")
    NO_ENDPOINT = ("V14", Verdict.NOT_CHECKABLE, "Greenhouse documents no endpoint for this permission.")
    CONTRADICTED = (
        "V17",
        Verdict.UNDECIDED,
        "The answers of this check contradict each other: refused and not refused when asked again, or a refused key "
        "that is served.",
    )
    WRITES_OFF = ("V15", Verdict.NOT_CHECKABLE, "Only a write probe could tell, and the setting does not allow it.")


READS = frozenset({RequestClass.BY_ID, RequestClass.NESTED})
WRITES = frozenset({RequestClass.POST, RequestClass.PATCH, RequestClass.PUT, RequestClass.DELETE})

_KIND_REASON: Mapping[AnswerKind, str] = {
    AnswerKind.IMPOSSIBLE: "not_greenhouse",
    AnswerKind.UNKNOWN_REFUSAL: "unknown_refusal",
    AnswerKind.GONE: "unexpected_answer",
    AnswerKind.REDIRECT: "redirect",
    AnswerKind.RATE_LIMITED: "rate_limited",
    AnswerKind.SERVER_ERROR: "server_error",
    AnswerKind.NOT_JSON: "not_json",
    AnswerKind.COPY: "copied",
    AnswerKind.UNEXPECTED: "unexpected_answer",
    AnswerKind.TIMEOUT: "timeout",
    AnswerKind.NO_CONNECTION: "no_connection",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one check saw, by documented endpoint.

    `required` are the endpoints of the tenant's permissions; `remembered` those refused to this credential before,
    controls too; `granted` and `missing` those known as that; `contradicted` those that were refused and answered
    otherwise when asked again, or the other way round; `repeated` those that were granted as often as a grant has to
    be; `not_sent` says why a request was not sent (a key of reasons.REASONS), `cut_short` why the check ended early, if
    it did.
    """

    catalogue: Catalogue
    answers: Mapping[str, Answer]
    required: Set[str]
    remembered: Set[str] = frozenset()
    granted: Set[str] = frozenset()
    missing: Set[str] = frozenset()
    contradicted: Set[str] = frozenset()
    repeated: Set[str] = frozenset()
    not_sent: Mapping[str, str] = field(default_factory=dict)
    cut_short: str | None = None


@dataclass(frozen=True, slots=True)
class CellView:
    """What one cell showed about some hurdles: its controls that are bound to fail one of them, refused or passing.

    `permission_refusals` are of the manifest's permissions; `lists_look_up`: the cell's lists under a record were seen
    to look for the record, and none to do without.
    """

    designated: int
    control_refusals: tuple[Entry, ...]
    control_passes: tuple[Entry, ...]
    permission_refusals: tuple[Entry, ...]
    lists_look_up: bool

    @property
    def disagrees(self) -> bool:
        return bool(self.control_refusals and self.control_passes)

    @property
    def refusals(self) -> tuple[Entry, ...]:
        return self.control_refusals + self.permission_refusals

    @property
    def in_turn(self) -> tuple[str, ...]:
        """The endpoints of what was refused and of what passed by turns, so that the first few show both."""
        pairs = zip_longest(self.refusals, self.control_passes)
        return tuple(entry.endpoint for pair in pairs for entry in pair if entry is not None)

    def vouches(self, refusals: Iterable[Entry], needed: Set[Hurdle]) -> bool:
        """These refusals show that the permission comes before all of `needed`; at least one is there."""
        shown = [self._shown(entry) for entry in refusals]
        return bool(shown) and needed <= frozenset().union(*shown)

    def vouching(self, refusals: Iterable[Entry], needed: Set[Hurdle]) -> tuple[Entry, ...]:
        """Those that show something of it."""
        return tuple(entry for entry in refusals if self._shown(entry) & needed)

    def shows(self, needed: Set[Hurdle]) -> bool:
        return not self.disagrees and self.vouches(self.refusals, needed)

    def _shown(self, refused: Entry) -> frozenset[Hurdle]:
        # A list that answers [] for a record that is not there does not look for it, so its refusal does not show that.
        # It does show that it was not empty first.
        return refused.hurdles if self.lists_look_up else refused.hurdles - {Hurdle.PARENT}


def controls_for(cell: Cell, needed: Set[Hurdle], evidence: Evidence) -> list[Entry]:
    """The cell's controls that can say something about one of these hurdles.

    What the manifest requires is no control: its passing would be no disagreement.
    """
    controls = evidence.catalogue.controls_of(cell)
    return [entry for entry in controls if entry.hurdles & needed and entry.endpoint not in evidence.required]


def speaking_for(cell: Cell, needed: Set[Hurdle], evidence: Evidence) -> list[tuple[Cell, Set[Hurdle]]]:
    """The cell itself, or the cells it borrows from where it has no such control."""
    return [(cell, needed)] if controls_for(cell, needed, evidence) else borrowed_from(cell, needed)


def controls_refused_before(cell: Cell, needed: Set[Hurdle], evidence: Evidence) -> list[Entry]:
    """Of these something is expected: of a control that was never refused nothing is, the key may have it."""
    speaking = (controls_for(*each, evidence) for each in speaking_for(cell, needed, evidence))
    return [control for controls in speaking for control in controls if control.endpoint in evidence.remembered]


def view(cell: Cell, needed: Set[Hurdle], evidence: Evidence) -> CellView:
    """What this check showed about one cell, as far as these hurdles are concerned."""
    controls = controls_for(cell, needed, evidence)
    asked = [(evidence.catalogue.entry(endpoint), answer.kind) for endpoint, answer in evidence.answers.items()]
    in_cell = [(entry, kind) for entry, kind in asked if entry.cell == cell]
    of_lists = {kind for entry, kind in in_cell if entry.gives_list}
    return CellView(
        designated=len(controls),
        control_refusals=tuple(e for e in controls if refused(e, evidence)),
        control_passes=tuple(e for e in controls if _passed(e, evidence)),
        permission_refusals=tuple(e for e, _ in in_cell if not _is_control(e, evidence) and refused(e, evidence)),
        lists_look_up=AnswerKind.NOT_FOUND in of_lists and AnswerKind.JSON not in of_lists,
    )


def _is_control(entry: Entry, evidence: Evidence) -> bool:
    return entry.endpoint in evidence.catalogue.controls and entry.endpoint not in evidence.required


def positive_control(service: Service, evidence: Evidence) -> Entry | None:
    """The first whose answer shows that this service serves the credential: a list's data, or the permission text."""
    for endpoint, answer in evidence.answers.items():
        entry = evidence.catalogue.entry(endpoint)
        listed = entry.request_class is RequestClass.LIST and answer.kind is AnswerKind.JSON
        if entry.service is service and (listed or refused(entry, evidence)):
            return entry
    return None


def refused(entry: Entry, evidence: Evidence) -> bool:
    """By the permission text; in a check that saw one such refusal taken back, none is believed."""
    answer = evidence.answers.get(entry.endpoint)
    return answer is not None and answer.kind is AnswerKind.PERMISSION and not evidence.contradicted


def gave(answer: Answer, entry: Entry) -> frozenset[Hurdle]:
    """Every check other than the permission that may have given this answer to this request."""
    match answer.kind:
        case AnswerKind.JSON:
            return entry.hurdles & {Hurdle.EMPTY_LIST}
        case AnswerKind.NOT_FOUND | AnswerKind.NO_ACCESS:
            return entry.hurdles - {Hurdle.FIELDS, Hurdle.EMPTY_LIST}
        case AnswerKind.VALIDATION:
            return frozenset({Hurdle.FIELDS}) | (entry.hurdles & {Hurdle.ON_BEHALF_OF})
        case AnswerKind.BAD_PAYLOAD:
            return frozenset({Hurdle.FIELDS})
    return frozenset()


def judge(entry: Entry, evidence: Evidence) -> Judgement:
    """The verdict on one endpoint."""
    judgement = _judge(entry, evidence)
    if judgement.verdict is Verdict.GRANTED and _has_to_be_repeated(entry, evidence):
        return replace(judgement, rule=KeyRule.NOT_ASKED, reason=evidence.cut_short or "deadline")
    return judgement


def rests_on_one_answer(entry: Entry, evidence: Evidence) -> bool:
    """It would be granted once it was asked again and answered alike."""
    return _has_to_be_repeated(entry, evidence) and _judge(entry, evidence).verdict is Verdict.GRANTED


def _has_to_be_repeated(entry: Entry, evidence: Evidence) -> bool:
    """A single answer says otherwise than what is known, or infers what is not known as granted yet."""
    # A write without an id in its path has the least between itself and a change, so it is not sent more often.
    if entry.endpoint in evidence.repeated or entry.needs is WriteProbes.ALL:
        return False
    told_otherwise = entry.endpoint in evidence.missing or entry.endpoint in evidence.remembered
    return told_otherwise or (entry.request_class is not RequestClass.LIST and entry.endpoint not in evidence.granted)


def _judge(entry: Entry, evidence: Evidence) -> Judgement:
    """As if every answer had been given often enough; the order of the steps is the order of docs/verdicts.md."""
    answer = evidence.answers.get(entry.endpoint)
    if answer is None:
        return _not_sent(evidence.not_sent.get(entry.endpoint, evidence.cut_short or "deadline"))
    status = answer.status
    if entry.endpoint in evidence.contradicted:
        return Judgement(KeyRule.CONTRADICTED, "contradicted", status)
    if answer.kind is AnswerKind.PERMISSION:
        if refused(entry, evidence):
            return Judgement(KeyRule.MISSING, "refused", status)
        return Judgement(KeyRule.CONTRADICTED, "contradicted", status, tuple(sorted(evidence.contradicted)))
    if answer.kind is AnswerKind.INVALID_KEY:
        return Judgement(KeyRule.CONTRADICTED, "contradicted", status)
    if answer.accepted and entry.is_write:
        return Judgement(KeyRule.WRITE_HALT, "write_alarm", status)
    if not answer.kind.past_permission:
        return Judgement(KeyRule.NOT_DECISIVE, _KIND_REASON[answer.kind], status)
    # A list looks up no record, so "not found" says nothing about its permission.
    if entry.request_class is RequestClass.LIST and answer.kind is AnswerKind.JSON:
        return Judgement(KeyRule.GRANTED_DATA, "data", status)
    if entry.request_class is RequestClass.LIST or not gave(answer, entry) & entry.hurdles:
        return Judgement(KeyRule.NOT_DECISIVE, "unexpected_answer", status)
    return _past_permission(entry, answer, evidence)


def _not_sent(reason: str) -> Judgement:
    match reason:
        case "write_halt":
            return Judgement(KeyRule.WRITE_HALT, reason)
        case "writes_off" | "writes_without_id_off":
            return Judgement(KeyRule.WRITES_OFF, reason)
    return Judgement(KeyRule.NOT_ASKED, reason)


def _past_permission(entry: Entry, answer: Answer, evidence: Evidence) -> Judgement:
    served = positive_control(entry.service, evidence)
    if served is None:
        return _undecided(KeyRule.NO_POSITIVE_CONTROL, "no_positive_control", answer, (), evidence)
    needed = gave(answer, entry)
    # Before the controls: the endpoint's own refusal counts more than theirs, even where all of them always passed.
    if entry.endpoint in evidence.remembered and not _order_is_in_doubt(entry.cell, needed, evidence):
        again = [each for each in controls_refused_before(entry.cell, needed, evidence) if refused(each, evidence)]
        return _granted(KeyRule.GRANTED_REMEMBERED, answer, again, served)
    return _by_evidence_of_others(entry, needed, answer, served, evidence)


def _order_is_in_doubt(cell: Cell, needed: Set[Hurdle], evidence: Evidence) -> bool:
    """Nothing in this check shows that what a refusal showed earlier still holds, or something shows the contrary."""
    expected = controls_refused_before(cell, needed, evidence)
    turned = any(_passed(control, evidence) for control in expected)
    again = any(refused(control, evidence) for control in expected)
    return bool(evidence.contradicted) or turned or (bool(expected) and not again)


def _by_evidence_of_others(
    entry: Entry, needed: Set[Hurdle], answer: Answer, served: Entry, evidence: Evidence
) -> Judgement:
    seen = view(entry.cell, needed, evidence)
    if seen.disagrees:
        same_segment = [refusal for refusal in seen.refusals if refusal.segment == entry.segment]
        if seen.vouches(same_segment, needed):
            return _granted(KeyRule.GRANTED_SAME_SEGMENT, answer, seen.vouching(same_segment, needed), served)
        return Judgement(KeyRule.MIXED_CONTROLS, "mixed_controls", answer.status, seen.in_turn)
    if seen.vouches(seen.permission_refusals, needed):
        beside = seen.vouching(seen.permission_refusals, needed)
        return _granted(KeyRule.GRANTED_BESIDE_MISSING, answer, beside, served)
    if seen.shows(needed):
        return _granted(KeyRule.GRANTED_BY_CONTROL, answer, seen.vouching(seen.refusals, needed), served)
    # In applications the catalogue has none for single records; a manifest that requires a cell's controls leaves none.
    borrowed = _borrowed(entry.cell, needed, evidence) if seen.designated == 0 else ()
    if borrowed:
        return _granted(KeyRule.GRANTED_BORROWED, answer, borrowed, served)
    return _undecided(KeyRule.NO_REFUSAL, "no_refusal", answer, seen.in_turn, evidence)


def _granted(rule: KeyRule, answer: Answer, vouching: Sequence[Entry], served: Entry) -> Judgement:
    """`served` is named where none of those that vouch is of its service: any of them would show the same."""
    named = vouching if any(each.service is served.service for each in vouching) else (*vouching, served)
    return Judgement(rule, "past_permission_check", answer.status, tuple(each.endpoint for each in named))


def _undecided(rule: KeyRule, reason: str, answer: Answer, asked: tuple[str, ...], evidence: Evidence) -> Judgement:
    """If the check was cut short, controls may be missing, so that is the reason to name."""
    if evidence.cut_short:
        return Judgement(KeyRule.NOT_ASKED, evidence.cut_short, answer.status, asked)
    return Judgement(rule, reason, answer.status, asked)


def _borrowed(cell: Cell, needed: Set[Hurdle], evidence: Evidence) -> tuple[Entry, ...]:
    """The refusals that show it in the other service and in its own; none, unless both show it."""
    (across, across_needed), *own_service = borrowed_from(cell, needed)
    there = view(across, across_needed, evidence)
    if not there.shows(across_needed):
        return ()
    for own, own_needed in own_service:
        here = view(own, own_needed, evidence)
        if here.shows(own_needed):
            return there.vouching(there.refusals, across_needed) + here.vouching(here.refusals, own_needed)
    return ()


def borrowed_from(cell: Cell, needed: Set[Hurdle]) -> list[tuple[Cell, Set[Hurdle]]]:
    """Where evidence for a cell without a control may lie: the same class in the other service, then its own service.

    In the latter a list's parent stands for a record and the other way round: reads of one service are looked up alike.
    """
    # On-Behalf-Of is required on writes only and may be checked first, so reads borrow from reads and writes from
    # writes. Of reads only those under a record show something about both kinds.
    kin = {RequestClass.NESTED} if cell.request_class in READS else WRITES - {cell.request_class}
    other_service = next(service for service in Service if service is not cell.service)
    looked_up = {Hurdle.RECORD: Hurdle.PARENT, Hurdle.PARENT: Hurdle.RECORD}
    alike = frozenset(looked_up.get(hurdle, hurdle) for hurdle in needed)
    own_service = [(Cell(each, cell.service), each_needed) for each in sorted(kin) for each_needed in (needed, alike)]
    return [(Cell(cell.request_class, other_service), needed), *own_service]


def _passed(entry: Entry, evidence: Evidence) -> bool:
    answer = evidence.answers.get(entry.endpoint)
    return answer is not None and answer.kind.past_permission
