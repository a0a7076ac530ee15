"""One check of one Harvest v3 credential: its token is introspected, and a list confirms what that says.

Where introspection is not available, the lists that the manifest's scopes read are asked instead.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry
from checks.catalogue.scopes import known, scope
from checks.check_request import CheckRequest
from checks.check_run import CheckContext, CheckRun, EndOfCheck
from checks.credential import CredentialState, OAuthClient, Token
from checks.report import CheckReport
from checks.v3.evidence import TokenEvidence
from checks.v3.gate import lists
from checks.v3.scope_report import ScopeReport, required_scopes
from checks.v3.token_answers import AuthAnswer
from checks.v3.token_state import settled_by_auth, state_of

STOP_AFTER_REFUSED_TOKENS = 2
STOP_AFTER_FAILURES = 3
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
        self._answers: dict[str, Answer] = {}

    @property
    def requests(self) -> int:
        return self.sender.requests

    @property
    def seen(self) -> TokenEvidence:
        return TokenEvidence(self._minted, self._introspected, self._answers, self.cut_short)

    def judge_state(self, now: datetime) -> tuple[CredentialState, str]:
        return state_of(self.seen, self.client, now)

    def build_report(self, state: CredentialState, detail: str) -> CheckReport:
        return ScopeReport(self.seen, self.client, self.request).build(state, detail)

    async def send_all(self) -> None:
        # A held token that fails never leads to a new one: minting may revoke what the integration works with.
        token = self.client.token or await self._new_token()
        if token is None:
            return
        # Before any list (docs/decisions/0006): for Gem, lists would be 25 requests, and could not decide writes.
        self._introspected = await self.sender.introspect(token, self.end_if_over)
        if settled_by_auth(self.seen, self.client, self.context.now()) is not None:
            return
        if self.seen.scopes is not None:
            await self._confirm(token, self.seen.scopes)
        else:
            await self._read_lists(token)

    async def _new_token(self) -> Token | None:
        self._minted = await self.sender.mint(self.end_if_over)
        return self._minted.token

    async def _confirm(self, token: Token, carried: frozenset[str]) -> None:
        """Read one list that the token may read, to find out a token that is no longer what introspection says."""
        for name in (*PREFERRED, *required_scopes(self.request), *known()):
            # A list that needs more than its scope would make a good token look stale.
            if name in carried and scope(name).proves:
                await self._read(name, token)
                return

    async def _read_lists(self, token: Token) -> None:
        for name in required_scopes(self.request):
            if name in lists():
                await self._read(name, token)
                self._stop_if_hopeless(answer.kind for answer in self._answers.values())

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
