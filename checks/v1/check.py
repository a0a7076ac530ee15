"""One check of one Harvest v1/v2 key: which requests are sent in which order, and when to stop."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Protocol

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import Catalogue
from checks.catalogue.entry import Cell, Entry, Hurdle, RequestClass, Service, WriteProbes
from checks.check_request import CheckRequest
from checks.check_run import CheckContext, CheckRun, EndOfCheck
from checks.connection_failure import ConnectionFailure
from checks.credential import CredentialState
from checks.manifest import Permission
from checks.report import CheckReport, WriteAlarm
from checks.v1.key_report import KeyReport, writes_off_reason
from checks.v1.key_state import REFUSALS_TO_DOUBT, looks_retired, refuses_all, state_of
from checks.v1.verdicts import (
    Evidence,
    borrowed_from,
    controls_for,
    controls_refused_before,
    gave,
    positive_control,
    refused,
    rests_on_one_answer,
    speaking_for,
    view,
)

STOP_AFTER_REFUSALS_OF_A_SERVED_KEY = 6  # in a row; each is asked twice, so they are several requests
STOP_AFTER_FAILURES = 3  # in a row, each of them repeated once by the sender
FEWEST_LISTS = 3  # before concluding that the API does not serve this credential
MOST_POSITIVE_CONTROLS = 3
# Of a refusal, which may vouch for others and is remembered: a false one would make a false grant. And of what is
# granted against what is known, or inferred for the first time.
ASKS = 3
_FAILURES = frozenset({AnswerKind.TIMEOUT, AnswerKind.NO_CONNECTION, AnswerKind.SERVER_ERROR})


class SendGuard(Protocol):
    """Asked before every request leaves, repeats included, and given every answer before anything else happens."""

    async def may_send(self, entry: Entry) -> bool: ...

    async def answered(self, entry: Entry, answer: Answer) -> None: ...


class RequestSender(Protocol):
    """Sends one request at a time; `send` gives None if the guard did not let it go.

    `requests` counts what was sent, repeats included.
    """

    permitted: WriteProbes

    @property
    def requests(self) -> int: ...

    async def send(self, entry: Entry, guard: SendGuard) -> Answer | None: ...


class WriteGuard(Protocol):
    """Asked before every write probe, and given every answer that no write probe should get."""

    async def may_write(self, entry: Entry) -> bool: ...

    async def halt(self, alarm: WriteAlarm) -> None: ...


class KeyCheckRun(CheckRun):
    """Sends the requests and holds the answers. It is the sender's guard: every request asks it first.

    `anonymous` sends the request without a key.
    """

    def __init__(
        self,
        sender: RequestSender,
        request: CheckRequest,
        catalogue: Catalogue,
        guard: WriteGuard,
        anonymous: Callable[[], Awaitable[Answer]],
        context: CheckContext,
    ) -> None:
        super().__init__(context)
        self.sender = sender
        self.request = request
        self.catalogue = catalogue
        self.answers: dict[str, Answer] = {}
        self.contradicted: set[str] = set()
        self.repeated: set[str] = set()
        self.not_sent: dict[str, str] = {}
        self._heard: list[Answer] = []
        self._refused_early: list[Entry] = []
        self.alarms: list[WriteAlarm] = []
        self._guard = guard
        self._send_anonymous = anonymous
        self._anonymous: Answer | None = None
        self._counts_served = False
        self._invalid = 0
        self._failures = 0

    @property
    def requests(self) -> int:
        return self.sender.requests

    @cached_property
    def wanted(self) -> list[Permission]:
        """The permissions this check is about, those of features the tenant does not have left out."""
        only = self.request.only
        return [permission for permission in self._applying if only is None or permission.id in only]

    @cached_property
    def outside(self) -> list[Permission]:
        """Rows of features the tenant does not have: asked in a full check, for excess."""
        if self.request.only is not None:
            return []
        return list(self.request.manifest.outside(self.request.features))

    @cached_property
    def _applying(self) -> tuple[Permission, ...]:
        return self.request.manifest.applying_to(self.request.features)

    @cached_property
    def _required(self) -> frozenset[str]:
        return frozenset(p.endpoint for p in self._applying if p.endpoint is not None)

    @cached_property
    def _granted_before(self) -> frozenset[str]:
        return self._endpoints_of(self.request.granted_before)

    @cached_property
    def _missing_before(self) -> frozenset[str]:
        return self._endpoints_of(self.request.missing_before)

    def _endpoints_of(self, permissions: Set[str]) -> frozenset[str]:
        named = (p for p in self.request.manifest.permissions if p.id in permissions)
        return frozenset(p.endpoint for p in named if p.endpoint is not None)

    @property
    def evidence(self) -> Evidence:
        return Evidence(
            catalogue=self.catalogue,
            answers=self._genuine(),
            required=self._required,
            remembered=self.request.remembered,
            granted=self._granted_before,
            missing=self._missing_before,
            contradicted=self.contradicted,
            repeated=self.repeated,
            not_sent=self.not_sent,
            cut_short=self.cut_short,
        )

    def _genuine(self) -> Mapping[str, Answer]:
        """Where Greenhouse counts the requests it serves, an answer that is not counted is somebody else's.

        Not so for the permission text, which nobody recorded with its headers and nobody else would write.
        """
        return {
            endpoint: replace(answer, kind=AnswerKind.UNEXPECTED) if self._is_foreign(answer) else answer
            for endpoint, answer in self.answers.items()
        }

    def _is_foreign(self, answer: Answer) -> bool:
        decisive = answer.kind.past_permission or answer.kind is AnswerKind.INVALID_KEY
        return decisive and not answer.counted and self._counts_served

    def judge_state(self, now: datetime) -> tuple[CredentialState, str]:
        if self.cut_short == "contradicted":
            return CredentialState.UNREACHABLE, "contradicted"
        return state_of(self._heard, self._anonymous, now)

    def failures(self) -> Iterable[ConnectionFailure]:
        return (answer.failure for answer in self._heard if answer.failure is not None)

    def build_report(self, state: CredentialState, detail: str) -> CheckReport:
        return KeyReport(
            request=self.request,
            permitted=self.sender.permitted,
            evidence=self.evidence,
            wanted=self.wanted,
            outside=self.outside,
            alarms=tuple(self.alarms),
        ).build(state, detail)

    async def send_all(self) -> None:
        wanted, outside = self._entries(self.wanted), self._entries(self.outside)
        reads = [entry for entry in (*wanted, *outside) if not entry.is_write]
        lists = [entry for entry in reads if entry.request_class is RequestClass.LIST]
        # Lists first: they need no control, and unless one is served no other answer proves anything (V8).
        await self._send_lists(lists or self._substitute_lists())
        await self._stop_if_not_served()
        await self._send_each(entry for entry in reads if entry not in lists)
        await self._send_controls_for(reads)
        await self._ask_for_grants_again()
        # Writes last: whatever ends a check early then keeps them from being sent.
        writes = [entry for entry in wanted if entry.is_write]
        await self._send_each(writes)
        await self._send_controls_for(writes)
        await self._ask_for_grants_again()
        await self._send_lists_beyond()
        await self._ask_for_grants_again()

    async def _send_lists_beyond(self) -> None:
        """Those that the manifest does not name, for excess: once each, as a refusal there is no verdict."""
        if self.request.only is not None:
            return
        lists = (listed for service in Service for listed in self.catalogue.lists_of(service))
        for listed in lists:
            if listed.endpoint not in self.answers and (answer := await self._ask(listed)) is not None:
                self.answers[listed.endpoint] = answer

    def _entries(self, permissions: Iterable[Permission]) -> list[Entry]:
        endpoints = dict.fromkeys(p.endpoint for p in permissions if p.endpoint is not None)
        return [self.catalogue.entry(endpoint) for endpoint in endpoints]

    def _substitute_lists(self) -> list[Entry]:
        """For a check without a list of its own: one, to see that the API serves this credential."""
        services = {entry.service for entry in self._entries(self.wanted)} or {Service.REST}
        return [self.catalogue.lists_of(service)[0] for service in sorted(services)]

    async def _send_lists(self, lists: Iterable[Entry]) -> None:
        for listed in lists:
            await self._send(listed)
            await self._stop_if_refused()

    async def _send_each(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            await self._send(entry)

    async def _send(self, entry: Entry) -> Answer | None:
        if entry.endpoint in self.answers:
            return self.answers[entry.endpoint]
        # The gate refuses it, too, but by raising; asked here, it becomes a verdict.
        if not self.sender.permitted.allows(entry.needs):
            self.not_sent[entry.endpoint] = writes_off_reason(self.sender.permitted)
            return None
        answer = await self._ask(entry)
        if answer is not None:
            answer = await self._ask_again(entry, answer)
        if answer is None:
            self.not_sent[entry.endpoint] = "write_halt"
        else:
            self.answers[entry.endpoint] = answer
        return answer

    async def _ask(self, entry: Entry) -> Answer | None:
        answer = await self.sender.send(entry, self)
        if answer is not None:
            self._heard.append(answer)
            self._counts_served |= answer.usable and answer.counted
            self._stop_if_hopeless(answer)
        return answer

    async def _ask_again(self, entry: Entry, answer: Answer) -> Answer | None:
        """What is said against the credential is asked again, at once; the last answer stands.

        None if writes were halted before it was asked often enough.
        """
        latest: Answer | None = answer
        if answer.kind is AnswerKind.INVALID_KEY and not self._served:
            self._refused_early.append(entry)
        elif answer.kind is AnswerKind.INVALID_KEY and not entry.is_write:
            latest = await self._ask(entry)
        if latest is not None and latest.kind is AnswerKind.PERMISSION:
            return await self._confirm_refusal(entry, latest)
        return latest

    async def _confirm_refusal(self, entry: Entry, refusal: Answer) -> Answer | None:
        answer: Answer | None = refusal
        for _ in range(1, ASKS):
            answer = await self._ask(entry)
            if answer is None or answer.kind is not AnswerKind.PERMISSION:
                break
        if answer is not None and answer.kind.past_permission:
            self.contradicted.add(entry.endpoint)
        return answer

    async def _ask_for_grants_again(self) -> None:
        """As refusals are. In rounds, so that no moment's fault gives all answers about one permission."""
        evidence = self.evidence
        asked = [self.catalogue.entry(endpoint) for endpoint in self.answers]
        waiting = [entry for entry in asked if rests_on_one_answer(entry, evidence)]
        for _ in range(1, ASKS):
            waiting = [entry for entry in waiting if await self._is_granted_again(entry)]
        self.repeated.update(entry.endpoint for entry in waiting)

    async def _is_granted_again(self, entry: Entry) -> bool:
        """Every answer has to lie past the permission check; the first that does not stands."""
        answer = await self._ask(entry)
        if answer is None:
            del self.answers[entry.endpoint]
            self.not_sent[entry.endpoint] = "write_halt"
            return False
        self.answers[entry.endpoint] = answer
        if answer.kind is AnswerKind.PERMISSION:
            self.contradicted.add(entry.endpoint)
        return answer.kind.past_permission and not self._is_foreign(answer)

    async def may_send(self, entry: Entry) -> bool:
        """Raises EndOfCheck where nothing more may be sent."""
        self.end_if_over()
        return not entry.is_write or await self._guard.may_write(entry)

    async def answered(self, entry: Entry, answer: Answer) -> None:
        """Every answer is seen here the moment it comes, even one that comes after the deadline."""
        if entry.is_write:
            await self._raise_alarm(entry, answer)

    async def _raise_alarm(self, entry: Entry, answer: Answer) -> None:
        # A 422 there means that the missing On-Behalf-Of header stopped nothing: only the empty body did.
        without_id = answer.status == 422 and entry.needs is WriteProbes.ALL
        if answer.status is None or not (answer.accepted or without_id):
            return
        alarm = WriteAlarm(
            endpoint=entry.endpoint,
            status=answer.status,
            at=self.context.now(),
            request_id=answer.request_id,
            record_id=answer.record_id,
            stops="all" if answer.accepted else "without_id",
        )
        self.alarms.append(alarm)
        await self._guard.halt(alarm)

    def _stop_if_hopeless(self, answer: Answer) -> None:
        if answer.kind is AnswerKind.IMPOSSIBLE:
            raise EndOfCheck("unreachable")
        self._invalid = self._invalid + 1 if answer.kind is AnswerKind.INVALID_KEY else 0
        # The key was perhaps revoked on the way.
        if self._invalid >= STOP_AFTER_REFUSALS_OF_A_SERVED_KEY and self._served:
            raise EndOfCheck("contradicted")
        self._failures = self._failures + 1 if answer.kind in _FAILURES else 0
        if self._failures >= STOP_AFTER_FAILURES and not self._served:
            raise EndOfCheck("unreachable")

    @property
    def _served(self) -> bool:
        return any(answer.usable for answer in self._heard)

    async def _stop_if_refused(self) -> None:
        """What refuses a few lists is about the key only if it refuses requests of other kinds as well."""
        if not refuses_all(self._heard, at_least=REFUSALS_TO_DOUBT):
            return
        await self._send_each(self._of_other_kinds())
        if not refuses_all(self._heard, at_least=REFUSALS_TO_DOUBT):
            return
        if any(answer.kind is AnswerKind.UNKNOWN_REFUSAL for answer in self._heard):
            await self._ask_without_key()
            raise EndOfCheck("blocked")
        raise EndOfCheck("invalid_key")

    async def _stop_if_not_served(self) -> None:
        """No verdict can follow when no list works; with few lists of our own, others are tried before giving up."""
        for listed in self.catalogue.lists_of(Service.REST):
            if self._served or len(self.answers) >= FEWEST_LISTS:
                break
            await self._send(listed)
        await self._stop_if_refused()
        if not self._served and looks_retired(self._heard, self.context.now()):
            # All lists can be gone while the rest of the API answers.
            await self._send_each(self._first_by_id())
        if self._served:
            await self._ask_refused_lists_again()
            return
        if looks_retired(self._heard, self.context.now()):
            await self._ask_without_key()
        raise EndOfCheck("unreachable")

    async def _ask_without_key(self) -> None:
        # It does not pass `may_send`: deadline and pause hold for it, too.
        self.end_if_over()
        self._anonymous = await self._send_anonymous()

    def _of_other_kinds(self) -> list[Entry]:
        """A list that nobody has asked for and that has no filter, and a record of each service."""
        lists = self.catalogue.lists_of(Service.REST)
        unfiltered = [e for e in lists if e.endpoint not in self.answers and "_after=" not in e.target]
        return [*unfiltered[:1], *self._first_by_id()]

    def _first_by_id(self) -> list[Entry]:
        by_id = [entry for entry in self.catalogue.probes.values() if entry.request_class is RequestClass.BY_ID]
        return [next(entry for entry in by_id if entry.service is service) for service in Service]

    async def _ask_refused_lists_again(self) -> None:
        """Those refused as if the key were dead, before anything showed that it is served."""
        for entry in self._refused_early:
            answer = await self._ask_again(entry, self.answers[entry.endpoint])
            if answer is not None:
                self.answers[entry.endpoint] = answer

    async def _send_controls_for(self, entries: Iterable[Entry]) -> None:
        """Controls for the cells in which an answer waits for one, and a sign of life of each service."""
        entries = list(entries)
        waiting = [entry for entry in entries if self._waits_for_controls(entry)]
        for entry in waiting:
            if positive_control(entry.service, self.evidence) is None:
                await self._send_positive_controls(entry)
        # An endpoint that was refused to this key before is its own control (V20), as long as the order did not change.
        back = [entry for entry in waiting if entry.endpoint in self.request.remembered]
        for cell, needed in self._told_by(back):
            await self._send_each(controls_refused_before(cell, needed, self.evidence))
        await self._send_controls_to_infer(entry for entry in waiting if entry not in back)
        if self.request.only is None:
            await self._send_controls_to_remember(entry for entry in entries if refused(entry, self.evidence))

    def _told_by(self, entries: Iterable[Entry]) -> Iterable[tuple[Cell, frozenset[Hurdle]]]:
        return dict.fromkeys((entry.cell, gave(self.answers[entry.endpoint], entry)) for entry in entries)

    async def _send_controls_to_infer(self, entries: Iterable[Entry]) -> None:
        for cell, needed in self._told_by(entries):
            await self._send_controls_of(cell, needed)
            seen = view(cell, needed, self.evidence)
            if not seen.designated and not seen.shows(needed):
                for other, others_needed in borrowed_from(cell, needed):
                    await self._send_controls_of(other, others_needed)

    async def _send_controls_to_remember(self, refusals: Iterable[Entry]) -> None:
        """One that is refused beside each cell's refusals: without it a new order would later look like a repair."""
        for cell, hurdles in dict.fromkeys((entry.cell, entry.hurdles) for entry in refusals):
            for speaking in speaking_for(cell, hurdles, self.evidence):
                await self._send_until_refused(controls_for(*speaking, self.evidence))

    async def _send_until_refused(self, controls: Sequence[Entry]) -> None:
        for control in controls:
            if any(refused(each, self.evidence) for each in controls):
                return
            await self._send(control)

    def _waits_for_controls(self, entry: Entry) -> bool:
        answer = self.answers.get(entry.endpoint)
        return answer is not None and entry.request_class is not RequestClass.LIST and answer.kind.past_permission

    async def _send_positive_controls(self, entry: Entry) -> None:
        for listed in self.catalogue.lists_of(entry.service)[:MOST_POSITIVE_CONTROLS]:
            await self._send(listed)
            if positive_control(entry.service, self.evidence) is not None:
                return

    async def _send_controls_of(self, cell: Cell, needed: Set[Hurdle]) -> None:
        """Until refusals show all that is needed; where one passes, all of them, to see whether they disagree."""
        for control in controls_for(cell, needed, self.evidence):
            if view(cell, needed, self.evidence).shows(needed):
                return
            await self._send(control)
