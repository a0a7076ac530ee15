"""One credential's requests: one at a time, paced, repeated within the rules, counted."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Protocol, TypeVar

from checks.answer import Answer, AnswerKind
from checks.asking import SendGuard
from checks.catalogue.endpoints import Entry, WriteProbes
from checks.credential import OAuthClient, Secret, Token
from checks.v3.gate import INTROSPECT, MINT
from checks.v3.token_answers import AuthAnswer, AuthKind
from checks.wire.client import HarvestSession, TokenSession
from checks.wire.rate_limit import RateLimit, RateLimiter

Heard = TypeVar("Heard", Answer, AuthAnswer)

TRIES_WHEN_LIMITED = 3
_REPEATED_ONCE = frozenset({AnswerKind.SERVER_ERROR, AnswerKind.TIMEOUT, AnswerKind.NO_CONNECTION, AnswerKind.NOT_JSON})
_INTROSPECTED_ONCE_MORE = frozenset({AuthKind.SERVER_ERROR, AuthKind.TIMEOUT, AuthKind.NO_CONNECTION})


class RequestObserver(Protocol):
    """Who counts what goes over the wire; it is told of every request, repeats included, and of every wait."""

    def request(self, entry: Entry, answer: Answer) -> None: ...

    def waited(self, reason: str, seconds: float) -> None: ...


class _Manners:
    """What every inquiry keeps to: the pace of the credential and of all, and the waits that answers ask for."""

    def __init__(self, pace: RateLimiter, total: RateLimiter, observer: RequestObserver) -> None:
        self._pace = pace
        self._total = total
        self._observer = observer
        self.requests = 0

    async def turn(self) -> None:
        await self._pace.turn()
        await self._total.turn()

    def account(self, entry: Entry, answer: Answer, limit: RateLimit) -> None:
        self.requests += 1
        self._observer.request(entry, answer)
        limited = answer.kind is AnswerKind.RATE_LIMITED
        seconds = limit.back_off_seconds if limited else limit.pause_seconds
        if seconds > 0:
            self._pace.hold(seconds)
            self._observer.waited("rate_limited" if limited else "reserve", seconds)


class PacedSender:
    """Questions put with one Harvest key."""

    def __init__(
        self,
        line: HarvestSession,
        secret: Secret,
        *,
        pace: RateLimiter,
        total: RateLimiter,
        permitted: WriteProbes,
        observer: RequestObserver,
    ) -> None:
        self._line = line
        self._secret = secret
        self._manners = _Manners(pace, total, observer)
        self.permitted = permitted
        self._alone = asyncio.Lock()

    @property
    def requests(self) -> int:
        return self._manners.requests

    async def ask(self, entry: Entry, watch: SendGuard) -> Answer | None:
        """The answer, after up to three tries while rate-limited and, for a GET, one repeat of what was no answer.

        None if the watch did not let it go.
        """
        async with self._alone:
            answer = await self._within_limits(entry, watch)
            if answer is not None and entry.method == "GET" and answer.kind in _REPEATED_ONCE:
                answer = await self._within_limits(entry, watch)
            return answer

    async def _within_limits(self, entry: Entry, watch: SendGuard) -> Answer | None:
        answer = None
        for _ in range(TRIES_WHEN_LIMITED):
            await self._manners.turn()
            if not await watch.may_send(entry):
                return None
            sending = self._send(entry, watch)
            answer = await (_to_the_end(sending) if entry.is_write else sending)
            if answer.kind is not AnswerKind.RATE_LIMITED:
                break
        return answer

    async def _send(self, entry: Entry, watch: SendGuard) -> Answer:
        answer, limit = await self._line.send(entry, self._secret, self.permitted)
        self._manners.account(entry, answer, limit)
        await watch.heard(entry, answer)
        return answer


class PacedTokenSender:
    """Questions put with one token, and about it; each goes out only after `may_send`, which raises to stop.

    Introspection and lists are repeated once where no answer came. A token is asked for once, but for a 429.
    """

    def __init__(
        self,
        line: TokenSession,
        client: OAuthClient,
        *,
        pace: RateLimiter,
        total: RateLimiter,
        observer: RequestObserver,
    ) -> None:
        self._line = line
        self._client = client
        self._manners = _Manners(pace, total, observer)

    @property
    def requests(self) -> int:
        return self._manners.requests

    async def mint(self, may_send: Callable[[], None]) -> AuthAnswer:
        return await self._asked(MINT, lambda: self._line.mint(self._client), AuthAnswer.as_answer, may_send)

    async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer:
        def ask() -> Awaitable[tuple[AuthAnswer, RateLimit]]:
            return self._line.introspect(self._client, token)

        answer = await self._asked(INTROSPECT, ask, AuthAnswer.as_answer, may_send)
        if answer.kind in _INTROSPECTED_ONCE_MORE:
            answer = await self._asked(INTROSPECT, ask, AuthAnswer.as_answer, may_send)
        return answer

    async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
        def ask() -> Awaitable[tuple[Answer, RateLimit]]:
            return self._line.list(entry, token)

        answer = await self._asked(entry, ask, _itself, may_send)
        return await self._asked(entry, ask, _itself, may_send) if answer.kind in _REPEATED_ONCE else answer

    async def _asked(
        self,
        entry: Entry,
        ask: Callable[[], Awaitable[tuple[Heard, RateLimit]]],
        answer_of: Callable[[Heard], Answer],
        may_send: Callable[[], None],
    ) -> Heard:
        """One answer, after up to three tries while rate-limited."""
        tries = 0
        while True:
            await self._manners.turn()
            may_send()
            heard, limit = await ask()
            answer = answer_of(heard)
            self._manners.account(entry, answer, limit)
            tries += 1
            if answer.kind is not AnswerKind.RATE_LIMITED or tries == TRIES_WHEN_LIMITED:
                return heard


def _itself(answer: Answer) -> Answer:
    return answer


async def _to_the_end(exchange: Coroutine[None, None, Answer]) -> Answer:
    """A write that has left is listened to although its check is cut short, even twice: a 2xx must not be missed.

    It ends by itself within the time one request may take.
    """
    task = asyncio.create_task(exchange)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise
