"""One check of one Harvest v1/v2 key: which questions are put in which order, and when to stop asking."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Protocol

from checks.answer import Answer, AnswerKind
from checks.asking import RequestSender
from checks.catalogue.endpoints import Catalogue, Cell, Entry, RequestClass, Service, WriteProbes
from checks.check_request import CheckRequest
from checks.credential import CredentialState
from checks.manifest import Permission
from checks.report import PAUSED, CheckReport, Excess, Finding, Verdict, WriteAlarm
from checks.v1.key_state import looks_retired, state_of
from checks.v1.verdicts import READS, WRITES, Evidence, Judgement, Rule, judge, positive_control, view

STOP_AFTER_UNKNOWN_REFUSALS = 2
STOP_AFTER_FAILURES = 3
FEWEST_LISTS = 3
MOST_POSITIVE_CONTROLS = 3
_FAILURES = frozenset({AnswerKind.TIMEOUT, AnswerKind.NO_CONNECTION, AnswerKind.SERVER_ERROR})
_MAY_BE_SHARED = frozenset({CredentialState.BLOCKED, CredentialState.UNREACHABLE})


class WriteGuard(Protocol):
    """Asked before every write probe, told of every answer that no write probe should get."""

    async def may_write(self, entry: Entry) -> bool: ...

    async def halt(self, alarm: WriteAlarm) -> None: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a check works with: the writes' guard, the request without a key, the clocks, and the time it may take.

    `clock` counts seconds, also while the machine sleeps. `stop` is asked before every request: where it says so, the
    check ends there and is `paused`.
    """

    guard: WriteGuard
    anonymous: Callable[[], Awaitable[Answer]]
    now: Callable[[], datetime]
    clock: Callable[[], float]
    deadline_seconds: float
    stop: Callable[[], bool]


class _EndOfCheck(Exception):
    """Nothing more is to be learned; the text is a key of verdict.REASONS."""


async def check(inquiry: RequestSender, question: CheckRequest, catalogue: Catalogue, means: Means) -> CheckReport:
    """One look at one key. Never raises for what Greenhouse answers or fails to answer."""
    started_at, started = means.now(), means.clock()
    conduct = _Conduct(inquiry, question, catalogue, means, ends_at=started + means.deadline_seconds)
    await conduct.run()
    report = _Judge(conduct).report(*conduct.state(started_at))
    return replace(
        report,
        started_at=started_at,
        requests=inquiry.requests,
        duration_seconds=means.clock() - started,
        partial=question.only is not None,
    )


@dataclass
class _Conduct:
    """Puts the questions; holds what was answered."""

    inquiry: RequestSender
    question: CheckRequest
    catalogue: Catalogue
    means: Means
    ends_at: float
    answers: dict[str, Answer] = field(default_factory=dict)
    unasked: dict[str, str] = field(default_factory=dict)
    alarms: list[WriteAlarm] = field(default_factory=list)
    cut_short: str | None = None
    anonymous: Answer | None = None
    _unknown_refusals: int = 0
    _failures: int = 0

    @cached_property
    def applying(self) -> tuple[Permission, ...]:
        return self.question.manifest.applying_to(self.question.features)

    @cached_property
    def wanted(self) -> list[Permission]:
        """The permissions this look is about, those of features the tenant does not have left out."""
        only = self.question.only
        return [permission for permission in self.applying if only is None or permission.id in only]

    @cached_property
    def outside(self) -> list[Permission]:
        """Rows of features the tenant does not have: asked in a full look, for excess."""
        if self.question.only is not None:
            return []
        return list(self.question.manifest.outside(self.question.features))

    @cached_property
    def required(self) -> frozenset[str]:
        return frozenset(p.endpoint for p in self.applying if p.endpoint is not None)

    @property
    def evidence(self) -> Evidence:
        return Evidence(
            catalogue=self.catalogue,
            answers=self.answers,
            required=self.required,
            remembered=self.question.remembered,
            unasked=self.unasked,
            cut_short=self.cut_short,
        )

    async def run(self) -> None:
        try:
            async with asyncio.timeout(self.means.deadline_seconds):
                await self._ask_everything()
        except TimeoutError:
            self.cut_short = "deadline"
        except _EndOfCheck as end:
            self.cut_short = str(end)

    def state(self, now: datetime) -> tuple[CredentialState, str]:
        """State and detail code. What fails while many are in trouble says nothing of this credential."""
        state, detail = state_of(self.answers.values(), self.anonymous, now)
        shared = state in _MAY_BE_SHARED and self.means.stop()
        return (CredentialState.OK, PAUSED) if shared or self.cut_short == PAUSED else (state, detail)

    async def _ask_everything(self) -> None:
        wanted, outside = self._entries(self.wanted), self._entries(self.outside)
        reads = [entry for entry in (*wanted, *outside) if not entry.is_write]
        lists = [entry for entry in reads if entry.request_class is RequestClass.LIST]
        await self._ask_all(lists or self._substitute_lists())
        await self._stop_if_not_served()
        await self._ask_all(entry for entry in reads if entry not in lists)
        await self._ask_controls_for(reads)
        writes = [entry for entry in wanted if entry.is_write]
        await self._ask_all(writes)
        await self._ask_controls_for(writes)

    def _entries(self, permissions: Iterable[Permission]) -> list[Entry]:
        endpoints = dict.fromkeys(p.endpoint for p in permissions if p.endpoint is not None)
        return [self.catalogue.entry(endpoint) for endpoint in endpoints]

    def _substitute_lists(self) -> list[Entry]:
        """For a look without a list of its own: one, to see that the API serves this credential."""
        services = {entry.service for entry in self._entries(self.wanted)} or {Service.REST}
        return [self.catalogue.lists_of(service)[0] for service in sorted(services)]

    async def _ask_all(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            await self._ask(entry)

    async def _ask(self, entry: Entry) -> Answer | None:
        if entry.endpoint in self.answers:
            return self.answers[entry.endpoint]
        if not self.inquiry.permitted.allows(entry.needs):
            off = self.inquiry.permitted is WriteProbes.OFF
            self.unasked[entry.endpoint] = "writes_off" if off else "writes_without_id_off"
            return None
        answer = await self.inquiry.ask(entry, self)
        if answer is None:
            self.unasked[entry.endpoint] = "write_halt"
            return None
        self.answers[entry.endpoint] = answer
        self._stop_if_hopeless(answer)
        return answer

    async def may_send(self, entry: Entry) -> bool:
        """Raises _EndOfCheck where nothing more may be sent, as after a sleep that no timer of the loop has noticed."""
        self._stop_if_told()
        return not entry.is_write or await self.means.guard.may_write(entry)

    def _stop_if_told(self) -> None:
        if self.means.clock() >= self.ends_at:
            raise _EndOfCheck("deadline")
        if self.means.stop():
            raise _EndOfCheck(PAUSED)

    async def heard(self, entry: Entry, answer: Answer) -> None:
        """Every answer is seen here the moment it comes, also one that comes after the deadline."""
        if entry.is_write:
            await self._sound_alarm(entry, answer)

    async def _sound_alarm(self, entry: Entry, answer: Answer) -> None:
        unguarded = answer.status == 422 and entry.needs is WriteProbes.ALL
        if answer.status is None or not (answer.accepted or unguarded):
            return
        alarm = WriteAlarm(
            endpoint=entry.endpoint,
            status=answer.status,
            at=self.means.now(),
            request_id=answer.request_id,
            record_id=answer.record_id,
            stops="all" if answer.accepted else "without_id",
        )
        self.alarms.append(alarm)
        await self.means.guard.halt(alarm)

    def _stop_if_hopeless(self, answer: Answer) -> None:
        if answer.kind is AnswerKind.INVALID_KEY:
            raise _EndOfCheck("invalid_key")
        self._unknown_refusals = self._unknown_refusals + 1 if answer.kind is AnswerKind.UNKNOWN_REFUSAL else 0
        if self._unknown_refusals >= STOP_AFTER_UNKNOWN_REFUSALS and (answer.status == 401 or not self._served):
            raise _EndOfCheck("blocked")
        self._failures = self._failures + 1 if answer.kind in _FAILURES else 0
        if self._failures >= STOP_AFTER_FAILURES and not self._served:
            raise _EndOfCheck("unreachable")

    @property
    def _served(self) -> bool:
        return any(answer.usable for answer in self.answers.values())

    async def _stop_if_not_served(self) -> None:
        """No verdict can follow when no list works; with few lists of our own, others are asked before giving up."""
        for listed in self.catalogue.lists_of(Service.REST):
            if self._served or len(self.answers) >= FEWEST_LISTS:
                break
            await self._ask(listed)
        if self._served:
            return
        if looks_retired(self.answers.values(), self.means.now()):
            self._stop_if_told()
            self.anonymous = await self.means.anonymous()
        raise _EndOfCheck("unreachable")

    async def _ask_controls_for(self, entries: Iterable[Entry]) -> None:
        """Controls for the cells in which an answer waits for one, and a sign of life of each service."""
        waiting = [entry for entry in entries if self._waits(entry)]
        for entry in waiting:
            if not positive_control(entry.service, self.evidence):
                await self._ask_positive_controls(entry)
        for cell in dict.fromkeys(entry.cell for entry in waiting if entry.endpoint not in self.question.remembered):
            for speaking in self._speaking_for(cell):
                await self._ask_controls_of(speaking)

    def _waits(self, entry: Entry) -> bool:
        answer = self.answers.get(entry.endpoint)
        return (
            answer is not None
            and entry.request_class is not RequestClass.LIST
            and answer.kind.past_permission
            and (entry.is_write or answer.kind is not AnswerKind.JSON)
        )

    async def _ask_positive_controls(self, entry: Entry) -> None:
        for listed in self.catalogue.lists_of(entry.service)[:MOST_POSITIVE_CONTROLS]:
            await self._ask(listed)
            if positive_control(entry.service, self.evidence):
                return

    def _speaking_for(self, cell: Cell) -> list[Cell]:
        """The cell itself, or the cells it borrows from where it has no control."""
        if view(cell, self.evidence).designated:
            return [cell]
        kin = READS if cell.request_class in READS else WRITES
        return [
            control_cell
            for control_cell in dict.fromkeys(control.cell for control in self.catalogue.controls.values())
            if (control_cell.request_class == cell.request_class)
            or (control_cell.service == cell.service and control_cell.request_class in kin)
        ]

    async def _ask_controls_of(self, cell: Cell) -> None:
        """Until one is refused; where one passes, all of them, to see whether they disagree."""
        if view(cell, self.evidence).required_refusals:
            return
        for control in self.catalogue.controls_of(cell):
            if control.endpoint in self.evidence.required:
                continue
            await self._ask(control)
            seen = view(cell, self.evidence)
            if seen.control_refusals and not seen.control_passes:
                return


@dataclass(frozen=True)
class _Judge:
    """Turns what was answered into a report."""

    conduct: _Conduct

    def report(self, state: CredentialState, detail: str) -> CheckReport:
        manifest = self.conduct.question.manifest
        void = _void(state, detail)
        served = void is None
        return CheckReport(
            manifest_name=manifest.name,
            manifest_version=manifest.version,
            manifest_digest=manifest.digest,
            state=state,
            detail=detail,
            findings=tuple(self._finding(permission, void) for permission in self.conduct.wanted),
            excess=self._excess() if served else (),
            no_excess=self._no_excess() if served else frozenset(),
            refused=self._refused() if served else frozenset(),
            alarms=tuple(self.conduct.alarms),
        )

    def _finding(self, permission: Permission, void: str | None) -> Finding:
        judgement = self._judgement(permission)
        if void is not None and judgement.verdict is not Verdict.NOT_CHECKABLE:
            judgement = Judgement(Rule.NOT_ASKED, void)
        return Finding(
            permission_id=permission.id,
            group=permission.group,
            label=permission.label,
            verdict=judgement.verdict,
            rule=judgement.rule.number,
            reason=judgement.reason,
            endpoint=permission.endpoint,
            mapping=permission.mapping if permission.mapping != "exact" else None,
            declined=permission.id in self.conduct.question.declined,
            scopes=permission.scopes,
        )

    def _judgement(self, permission: Permission) -> Judgement:
        if permission.endpoint is None:
            return Judgement(Rule.NO_ENDPOINT, "no_endpoint")
        entry = self.conduct.catalogue.entry(permission.endpoint)
        permitted = self.conduct.inquiry.permitted
        if entry.is_write and not permitted.allows(entry.needs):
            return Judgement(Rule.WRITES_OFF, "writes_off" if permitted is WriteProbes.OFF else "writes_without_id_off")
        return judge(entry, self.conduct.evidence)

    def _outside(self) -> list[tuple[str, Entry, Judgement]]:
        """Everything a full look asked that the tenant's permissions do not name: label, entry, judgement."""
        if self.conduct.question.only is not None:
            return []
        evidence, catalogue = self.conduct.evidence, self.conduct.catalogue
        labels = {p.endpoint: p.label for p in self.conduct.outside if p.endpoint is not None}
        asked = [endpoint for endpoint in self.conduct.answers if endpoint not in evidence.required]
        entries = [catalogue.entry(endpoint) for endpoint in asked]
        return [(labels.get(e.endpoint, e.title), e, judge(e, evidence)) for e in entries]

    def _excess(self) -> tuple[Excess, ...]:
        return tuple(
            Excess(label=label, endpoint=entry.endpoint, certain=entry.request_class is RequestClass.LIST)
            for label, entry, judgement in self._outside()
            if judgement.verdict is Verdict.GRANTED
        )

    def _no_excess(self) -> frozenset[str]:
        return frozenset(e.endpoint for _, e, judgement in self._outside() if judgement.verdict is Verdict.MISSING)

    def _refused(self) -> frozenset[str]:
        required = self.conduct.evidence.required
        answers = self.conduct.answers
        return frozenset(e for e in required if e in answers and answers[e].kind is AnswerKind.PERMISSION)


def _void(state: CredentialState, detail: str) -> str | None:
    """Why no verdict of the check stands, if none does: a key of verdict.REASONS."""
    if detail == PAUSED:
        return PAUSED
    match state:
        case CredentialState.OK:
            return None
        case CredentialState.INVALID:
            return "invalid_key"
    return state.value
