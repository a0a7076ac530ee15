"""Sends the requests of one v3 credential, with its token and about it: within the limits, repeated by rule."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry
from checks.credential import OAuthClient, Token
from checks.v3.gate import INTROSPECT, MINT
from checks.v3.token_answers import AuthAnswer, AuthKind
from checks.wire.rate_limit import RateLimit
from checks.wire.request_pacing import REPEATED_ONCE, TRIES_WHEN_LIMITED, RequestPacing
from checks.wire.token_client import TokenSession

AnyAnswer = TypeVar("AnyAnswer", Answer, AuthAnswer)

_INTROSPECTION_REPEATED_ONCE = frozenset({AuthKind.SERVER_ERROR, AuthKind.TIMEOUT, AuthKind.NO_CONNECTION})


class PacedTokenSender:
    """Each request leaves only after `may_send`, which raises to stop.

    Introspection and lists are repeated once where no answer came. A token is asked for once, except after a 429.
    """

    def __init__(self, session: TokenSession, client: OAuthClient, pacing: RequestPacing) -> None:
        self._session = session
        self._client = client
        self._pacing = pacing

    @property
    def requests(self) -> int:
        return self._pacing.requests

    async def mint(self, may_send: Callable[[], None]) -> AuthAnswer:
        # Not repeated for want of an answer: a second POST /token might revoke the token of the first.
        return await self._within_limits(MINT, lambda: self._session.mint(self._client), AuthAnswer.as_answer, may_send)

    async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer:
        def send() -> Awaitable[tuple[AuthAnswer, RateLimit]]:
            return self._session.introspect(self._client, token)

        answer = await self._within_limits(INTROSPECT, send, AuthAnswer.as_answer, may_send)
        if answer.kind in _INTROSPECTION_REPEATED_ONCE:
            answer = await self._within_limits(INTROSPECT, send, AuthAnswer.as_answer, may_send)
        return answer

    async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
        def send() -> Awaitable[tuple[Answer, RateLimit]]:
            return self._session.list(entry, token)

        answer = await self._within_limits(entry, send, _as_it_is, may_send)
        return await self._within_limits(entry, send, _as_it_is, may_send) if answer.kind in REPEATED_ONCE else answer

    async def _within_limits(
        self,
        entry: Entry,
        send: Callable[[], Awaitable[tuple[AnyAnswer, RateLimit]]],
        as_answer: Callable[[AnyAnswer], Answer],
        may_send: Callable[[], None],
    ) -> AnyAnswer:
        """One answer, after up to three tries while rate-limited."""
        tries = 0
        while True:
            await self._pacing.wait_for_turn()
            may_send()
            got, limit = await send()
            answer = as_answer(got)
            self._pacing.count(entry, answer, limit)
            tries += 1
            if answer.kind is not AnswerKind.RATE_LIMITED or tries == TRIES_WHEN_LIMITED:
                return got


def _as_it_is(answer: Answer) -> Answer:
    return answer
