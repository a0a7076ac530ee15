"""One check of one Harvest v3 credential: its token is introspected, and a list confirms what that says.

Where introspection can not be had, the lists that the manifest's scopes read are asked instead.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from checks.answer import Answer, AnswerKind
from checks.asking import TokenRequestSender
from checks.catalogue.scopes import known, scope
from checks.check_request import CheckRequest
from checks.credential import CredentialState, OAuthClient, Token
from checks.manifest import Permission
from checks.report import PAUSED, CheckReport, Excess, Finding, Verdict
from checks.v3.gate import lists
from checks.v3.token_answers import AuthAnswer
from checks.v3.verdicts import (
    ROLE_ID,
    ScopeJudgement,
    ScopeRule,
    TokenEvidence,
    doubt,
    judge,
    judge_role,
    settled_by_auth,
    state_of,
)

STOP_AFTER_REFUSED_TOKENS = 2
STOP_AFTER_FAILURES = 3
PREFERRED = ("harvest:departments:list", "harvest:offices:list", "harvest:close_reasons:list", "harvest:sources:list")
"""Lists to confirm a token with: their records are about nobody."""

_FAILURES = frozenset({AnswerKind.TIMEOUT, AnswerKind.NO_CONNECTION, AnswerKind.SERVER_ERROR})
_HOPELESS = frozenset({AnswerKind.UNAUTHORIZED, AnswerKind.UNKNOWN_REFUSAL})
_MAY_BE_SHARED = frozenset({CredentialState.BLOCKED, CredentialState.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Time:
    """The clocks, and the time a check may take. `clock` counts seconds, also while the machine sleeps.

    `stop` is asked before every request: where it says so, the check ends there and is `paused`.
    """

    now: Callable[[], datetime]
    clock: Callable[[], float]
    deadline_seconds: float
    stop: Callable[[], bool]


class _EndOfCheck(Exception):
    """Nothing more may be sent; the text is a key of verdict.REASONS."""


async def check(asking: TokenRequestSender, client: OAuthClient, question: CheckRequest, time: Time) -> CheckReport:
    """One look at one credential. Never raises for what Greenhouse answers or fails to answer."""
    started_at, started = time.now(), time.clock()
    course = _Course(asking, client, question, time, ends_at=started + time.deadline_seconds)
    await course.run()
    return replace(
        _Judge(course.seen, client, question).report(*course.state(started_at)),
        started_at=started_at,
        requests=asking.requests,
        duration_seconds=time.clock() - started,
    )


@dataclass
class _Course:
    """Puts the questions; holds what was answered."""

    asking: TokenRequestSender
    client: OAuthClient
    question: CheckRequest
    time: Time
    ends_at: float
    minted: AuthAnswer | None = None
    told: AuthAnswer | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    cut_short: str | None = None

    @property
    def seen(self) -> TokenEvidence:
        return TokenEvidence(self.minted, self.told, self.answers, self.cut_short)

    async def run(self) -> None:
        try:
            async with asyncio.timeout(self.time.deadline_seconds):
                await self._ask_everything()
        except TimeoutError:
            self.cut_short = "deadline"
        except _EndOfCheck as end:
            self.cut_short = str(end)

    def state(self, now: datetime) -> tuple[CredentialState, str]:
        """State and detail code. What fails while many are in trouble says nothing of this credential."""
        state, detail = state_of(self.seen, self.client, now)
        shared = state in _MAY_BE_SHARED and self.time.stop()
        return (CredentialState.OK, PAUSED) if shared or self.cut_short == PAUSED else (state, detail)

    async def _ask_everything(self) -> None:
        token = self.client.token or await self._new_token()
        if token is None:
            return
        self.told = await self.asking.introspect(token, self._may_send)
        if settled_by_auth(self.seen, self.client, self.time.now()) is not None:
            return
        if self.seen.scopes is not None:
            await self._confirm(token, self.seen.scopes)
        else:
            await self._ask_lists(token)

    async def _new_token(self) -> Token | None:
        self.minted = await self.asking.mint(self._may_send)
        return self.minted.token

    async def _confirm(self, token: Token, carried: frozenset[str]) -> None:
        """One list that the token may read, so that a token that is no longer what it says is found out."""
        for name in (*PREFERRED, *_required(self.question), *known()):
            if name in carried and scope(name).proves:
                await self._ask(name, token)
                return

    async def _ask_lists(self, token: Token) -> None:
        for name in _required(self.question):
            if name in lists():
                await self._ask(name, token)
                self._stop_if_hopeless()

    async def _ask(self, name: str, token: Token) -> None:
        self.answers[name] = await self.asking.list(lists()[name], token, self._may_send)

    def _may_send(self) -> None:
        if self.time.clock() >= self.ends_at:
            raise _EndOfCheck("deadline")
        if self.time.stop():
            raise _EndOfCheck(PAUSED)

    def _stop_if_hopeless(self) -> None:
        """While no list was answered as the API does, a few that fail alike are enough."""
        kinds = [answer.kind for answer in self.answers.values()]
        if any(kind in (AnswerKind.JSON, AnswerKind.FORBIDDEN) for kind in kinds):
            return
        refused = sum(kind in _HOPELESS for kind in kinds) >= STOP_AFTER_REFUSED_TOKENS
        if refused or sum(kind in _FAILURES for kind in kinds) >= STOP_AFTER_FAILURES:
            raise _EndOfCheck("unreachable")


def _required(question: CheckRequest) -> list[str]:
    """The scopes of what the tenant needs, each once, in the order of the manifest."""
    applying = question.manifest.applying_to(question.features)
    return list(dict.fromkeys(name for permission in applying for name in permission.scopes))


@dataclass(frozen=True)
class _Judge:
    """Turns what was learned into a report."""

    seen: TokenEvidence
    client: OAuthClient
    question: CheckRequest

    def report(self, state: CredentialState, detail: str) -> CheckReport:
        manifest = self.question.manifest
        void = PAUSED if detail == PAUSED else _VOID.get(state)
        decided = void is None and self.seen.scopes is not None and self._doubt is None
        return CheckReport(
            manifest_name=manifest.name,
            manifest_version=manifest.version,
            manifest_digest=manifest.digest,
            state=state,
            detail=detail,
            findings=tuple(self._findings(void)),
            excess=tuple(self._excess()) if decided else (),
            excess_is_whole=decided,
            provisional=manifest.v3_source == "derived",
        )

    @cached_property
    def _doubt(self) -> str | None:
        return doubt(self.seen, self.client)

    def _findings(self, void: str | None) -> Iterator[Finding]:
        for permission in self.question.manifest.applying_to(self.question.features):
            judged = _voided(judge(permission, self.seen, self._doubt), void)
            yield _finding(permission, judged, declined=permission.id in self.question.declined)
        judged = _voided(judge_role(self.seen, self._doubt), void)
        yield _finding(_ROLE, judged, declined=ROLE_ID in self.question.declined)

    def _excess(self) -> Iterable[Excess]:
        beyond = (self.seen.scopes or frozenset()) - set(_required(self.question))
        for each in sorted(map(scope, beyond), key=lambda one: (one.group, one.title, one.name)):
            yield Excess(label=f"{each.group} › {each.title}", endpoint=each.name, certain=True)


_ROLE = Permission(id=ROLE_ID, group="Role of the token's user", label="Site Admin", endpoint=None)
_VOID = {
    CredentialState.INVALID: "invalid_key",
    CredentialState.BLOCKED: "blocked",
    CredentialState.UNREACHABLE: "unreachable",
    CredentialState.MISCONFIGURED: "misconfigured",
}


def _voided(judged: ScopeJudgement, void: str | None) -> ScopeJudgement:
    """No verdict stands where the credential as a whole failed."""
    if void is None or judged.verdict is Verdict.NOT_CHECKABLE:
        return judged
    return ScopeJudgement(ScopeRule.NOT_ASKED, void)


def _finding(permission: Permission, judged: ScopeJudgement, *, declined: bool) -> Finding:
    return Finding(
        permission_id=permission.id,
        group=permission.group,
        label=permission.label,
        verdict=judged.verdict,
        rule=judged.rule.number,
        reason=judged.reason,
        endpoint=None,
        declined=declined,
        scopes=permission.scopes,
    )
