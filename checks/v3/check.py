"""One check of one Harvest v3 credential: its token is introspected, and lists confirm what that says.

One list that the token is said to open, and each required one that it is said not to. Where introspection is not
available or not understood, the lists that the manifest's scopes read are asked instead. Where the auth server refuses
the client of a held token, a list shows whether the integration still works.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry
from checks.catalogue.scopes import known, scope
from checks.check_request import CheckRequest
from checks.check_run import CheckContext, CheckRun, EndOfCheck
from checks.connection_failure import ConnectionFailure
from checks.credential import CredentialState, OAuthClient, Token
from checks.report import CheckReport
from checks.v3.evidence import TokenEvidence
from checks.v3.gate import lists
from checks.v3.roles import acts_for_another
from checks.v3.scope_report import ScopeReport, required_scopes
from checks.v3.token_answers import AuthAnswer
from checks.v3.token_state import AGAINST_CLIENT, held_token_decides, is_to_be_asked_again, settled_by_auth, state_of
from checks.v3.verdicts import MOST_LOST_LISTS, doubt, lost_lists, scopes_of

STOP_AFTER_REFUSED_TOKENS = 2
STOP_AFTER_FAILURES = 3
LISTS_TO_CONFIRM = 2
LISTS_TO_TRY = 4
PREFERRED = ("harvest:departments:list", "harvest:offices:list", "harvest:close_reasons:list", "harvest:sources:list")
"""Lists to confirm a token with: their records are about no person."""

_FAILURES = frozenset({AnswerKind.TIMEOUT, AnswerKind.NO_CONNECTION, AnswerKind.SERVER_ERROR})
_HOPELESS = frozenset({AnswerKind.UNAUTHORIZED, AnswerKind.UNKNOWN_REFUSAL})


class TokenRequestSender(Protocol):
    """Sends requests with a token, and about it. `may_send` is called before each request, and raises to stop."""

    @property
    def requests(self) -> int: ...

    async def mint(self, may_send: Callable[[], None]) -> AuthAnswer: ...

    async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer: ...

    async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer: ...


class TokenCheckRun(CheckRun):
    """Sends the requests and holds the answers."""

    def __init__(
        self, sender: TokenRequestSender, client: OAuthClient, request: CheckRequest, context: CheckContext
    ) -> None:
        super().__init__(context)
        self.sender = sender
        self.client = client
        self.request = request
        self._minted: AuthAnswer | None = None
        self._introspected: AuthAnswer | None = None
        self._introspected_at: datetime | None = None
        self._answers: dict[str, Answer] = {}

    @property
    def requests(self) -> int:
        return self.sender.requests

    @property
    def seen(self) -> TokenEvidence:
        return TokenEvidence(
            self._minted, self._introspected, self._answers, self.cut_short, introspected_at=self._introspected_at
        )

    def judge_state(self, now: datetime) -> tuple[CredentialState, str]:
        return state_of(self.seen, self.client, self.request, now)

    def failures(self) -> Iterable[ConnectionFailure]:
        heard = (self._minted, self._introspected, *self._answers.values())
        return (answer.failure for answer in heard if answer is not None and answer.failure is not None)

    def build_report(self, state: CredentialState, detail: str) -> CheckReport:
        return ScopeReport(self.seen, self.client, self.request).build(state, detail)

    async def send_all(self) -> None:
        # A held token that fails never leads to a new one: minting may revoke what the integration works with.
        token = self.client.token or await self._new_token()
        if token is None:
            return
        # Before any list (docs/decisions/0006): for Gem, lists would be 25 requests, and could not decide writes.
        await self._introspect(token)
        if held_token_decides(self.seen):
            await self._try(token)
            return
        if settled_by_auth(self.seen, self.client, self.context.now()) is not None:
            return
        if self.seen.scopes is not None:
            await self._confirm(token, self.seen.scopes)
            await self._verify_returned(token, self.seen.scopes)
            await self._refute(token, self.seen.scopes)
        else:
            await self._read_lists(token)
        if not self._answers:
            # Whatever it may read: the API must have answered before the token is said to work.
            await self._read(PREFERRED[0], token)

    async def _new_token(self) -> Token | None:
        """Asked for again only where the client was refused: no token can have come of that."""
        self._minted = await self.sender.mint(self.end_if_over)
        if self._minted.kind in AGAINST_CLIENT:
            self._minted = await self.sender.mint(self.end_if_over)
        return self._minted.token

    async def _introspect(self, token: Token) -> None:
        """The second answer decides, where the first one must not."""
        self._introspected = await self.sender.introspect(token, self.end_if_over)
        if is_to_be_asked_again(self._introspected, self.client):
            self._introspected = await self.sender.introspect(token, self.end_if_over)
        self._introspected_at = self.context.now()

    async def _try(self, token: Token) -> None:
        """Does the API still serve this token? First by lists that it opened before: any other may lack its scope."""
        before = scopes_of(self.request.granted_before, self.request)
        names = [name for name in dict.fromkeys((*PREFERRED, *required_scopes(self.request))) if scope(name).proves]
        for name in sorted(names, key=lambda name: name not in before)[:LISTS_TO_TRY]:
            await self._read(name, token)
            if self.seen.some(AnswerKind.JSON, AnswerKind.UNAUTHORIZED):
                return

    async def _confirm(self, token: Token, carried: frozenset[str]) -> None:
        """Read one list that the token may read, to find out a token that is no longer what introspection says.

        Where it is refused as to no token, or in other ways than the API does, a second one tells one path from all.
        An empty one is no sign yet that the token's user is not a Site Admin.
        """
        names = dict.fromkeys((*PREFERRED, *required_scopes(self.request), *known()))
        for name in [name for name in names if name in carried and scope(name).proves][:LISTS_TO_TRY]:
            await self._read(name, token)
            if self._is_clear(self._answers[name]):
                return

    async def _verify_returned(self, token: Token, carried: frozenset[str]) -> None:
        """Read what was missing and is said to be back: introspection may not have heard that it was taken away."""
        for name in scopes_of(self.request.missing_before, self.request):
            if doubt(self.seen, self.client) is not None:
                return
            if name in carried and scope(name).proves and name not in self._answers:
                await self._read(name, token)

    def _is_clear(self, answer: Answer) -> bool:
        if answer.kind in _HOPELESS:
            return len(self._answers) >= LISTS_TO_CONFIRM
        return not (answer.empty and acts_for_another(self.seen.introspection))

    async def _refute(self, token: Token, carried: frozenset[str]) -> None:
        """Ask for each required list that the token is said not to open, until one opens all the same."""
        for name in required_scopes(self.request):
            if doubt(self.seen, self.client) is not None or self.seen.absence_refuted:
                return
            if name in lists() and name not in carried:
                await self._read(name, token)

    async def _read_lists(self, token: Token) -> None:
        for name in required_scopes(self.request):
            if name in lists():
                await self._read(name, token)
                self._stop_if_hopeless(answer.kind for answer in self._answers.values())
        lost = lost_lists(self.seen, self.request)
        if len(lost) <= MOST_LOST_LISTS:
            for name in sorted(lost):
                await self._read(name, token)

    async def _read(self, name: str, token: Token) -> None:
        self._answers[name] = await self.sender.list(lists()[name], token, self.end_if_over)

    @staticmethod
    def _stop_if_hopeless(answered: Iterable[AnswerKind]) -> None:
        """While no list was answered as the API does, a few that fail alike are enough."""
        kinds = list(answered)
        if any(kind in (AnswerKind.JSON, AnswerKind.FORBIDDEN) for kind in kinds):
            return
        refused = sum(kind in _HOPELESS for kind in kinds) >= STOP_AFTER_REFUSED_TOKENS
        if refused or sum(kind in _FAILURES for kind in kinds) >= STOP_AFTER_FAILURES:
            raise EndOfCheck("unreachable")
