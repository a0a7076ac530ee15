"""One client's requests, one after the other, as they reach a bare socket: waited for, repeated, counted."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from checks.answer import AnswerKind
from checks.credential import OAuthClient, Secret, Token
from checks.origin import origin
from checks.v3.gate import TokenGate, lists
from checks.v3.token_answers import AuthKind
from checks.wire.connection import ConnectionSettings
from checks.wire.rate_limit import TOKEN_WINDOW_SECONDS, V3_WINDOW_SECONDS, RateLimiter
from checks.wire.request_pacing import TRIES_WHEN_LIMITED, RequestPacing
from checks.wire.token_client import TokenClient
from checks.wire.token_sender import PacedTokenSender
from tests.integration.checks.wire.test_client import cut_body, reset
from tests.integration.checks.wire.test_sender import Time, Watched, in_turn
from tests.raw_server import RawServer, Respond, always, answer, raw_server

TOKEN = Token("token-1")
CLIENT = OAuthClient(Secret("8xF3kQ-12"), Secret("secret"), TOKEN)
LIST = lists()["harvest:users:list"]
# One answer that is right for each of the three: an array would do for the list alone.
RIGHT = answer("200 OK", b'{"active": true, "access_token": "new"}')
LISTED = answer("200 OK", b"[]")
BROKEN = answer("503 Service Unavailable", b"<html>", kind="text/html")
REFUSED = answer("401 Unauthorized", b'{"error": "invalid_client"}')
LIMITED = answer("429 Too Many Requests", b"", "Retry-After: 7")
LIMITED_UNTOLD = answer("429 Too Many Requests", b"")


class Stopped(Exception):
    """What `may_send` raises once nothing more may go."""


@dataclass
class Bench:
    server: RawServer
    sender: PacedTokenSender
    observer: Watched
    time: Time
    sends: int | None = None  # how many are let go before the stop; None for all
    asked: int = 0

    def may_send(self) -> None:
        self.asked += 1
        if self.sends is not None and self.asked > self.sends:
            raise Stopped

    async def list(self) -> Any:
        return await self.sender.list(LIST, TOKEN, self.may_send)

    async def introspect(self) -> Any:
        return await self.sender.introspect(TOKEN, self.may_send)

    async def mint(self) -> Any:
        return await self.sender.mint(self.may_send)


@asynccontextmanager
async def bench(respond: Respond) -> AsyncIterator[Bench]:
    time, observer = Time(), Watched()
    async with raw_server(respond) as server:
        here = origin(f"http://localhost:{server.port}")
        client = TokenClient(
            TokenGate(here, here, "test"), ConnectionSettings(), lambda: datetime(2026, 6, 1, tzinfo=UTC)
        )
        async with client.session() as session:
            own, total = RateLimiter(0, time.read, time.sleep), RateLimiter(0, time.read, time.sleep)
            sender = PacedTokenSender(session, CLIENT, RequestPacing(own, total, observer))
            yield Bench(server, sender, observer, time)


Ask = Callable[[Bench], Awaitable[Any]]
ALL = pytest.mark.parametrize("ask", [Bench.list, Bench.introspect, Bench.mint])


@ALL
async def test_a_429_is_waited_out_as_long_as_it_says(ask: Ask) -> None:
    """Two refusals by the limit, then the answer: three requests on the wire and counted, two waits of Retry-After."""
    right = LISTED if ask is Bench.list else RIGHT
    async with bench(in_turn(LIMITED, LIMITED, right)) as it:
        found = await ask(it)
    assert found.kind.value == "json"
    assert len(it.server.requests) == it.sender.requests == it.observer.counted == it.asked == 3
    assert it.time.slept == [7.0, 7.0]
    assert it.observer.waits == [("rate_limited", 7.0)] * 2


@pytest.mark.parametrize(
    ("ask", "seconds"),
    [
        (Bench.list, V3_WINDOW_SECONDS),  # Harvest v3 counts in windows of 30 s
        (Bench.introspect, TOKEN_WINDOW_SECONDS),  # the auth server by the minute
        (Bench.mint, TOKEN_WINDOW_SECONDS),
    ],
)
async def test_a_429_that_says_nothing_is_waited_out_for_a_window(ask: Ask, seconds: float) -> None:
    """That of whoever answered: the API's is half a minute, the auth server's a whole one."""
    async with bench(in_turn(LIMITED_UNTOLD, LISTED if ask is Bench.list else RIGHT)) as it:
        await ask(it)
    assert it.time.slept == [seconds]
    assert seconds == (30.0 if ask is Bench.list else 60.0)


@ALL
async def test_a_limit_that_never_ends_is_the_answer_in_the_end(ask: Ask) -> None:
    """After so many tries, and no repeat on top of them."""
    async with bench(always(LIMITED)) as it:
        found = await ask(it)
    assert found.kind.value == "rate_limited"
    assert len(it.server.requests) == TRIES_WHEN_LIMITED == 3


@ALL
async def test_a_low_remainder_is_left_to_the_customer(ask: Ask) -> None:
    """Below half of the limit the next request waits for the window to end."""
    body = b"[]" if ask is Bench.list else b'{"active": true, "access_token": "new"}'
    low = answer("200 OK", body, "X-RateLimit-Limit: 75", "X-RateLimit-Remaining: 10")
    async with bench(always(low)) as it:
        await ask(it)
        await ask(it)
    assert it.time.slept == [30.0 if ask is Bench.list else 60.0]
    assert it.observer.waits[0][0] == "reserve"


# What came first, and how many times each is then sent: list, introspection, minting.
REPEATED: list[tuple[Respond, tuple[int, int, int]]] = [
    (in_turn(BROKEN, LISTED), (2, 2, 1)),
    (in_turn(answer("500 Internal Server Error", b"{}"), LISTED), (2, 2, 1)),
    (in_turn(answer("200 OK", b"<html>", kind="text/html"), LISTED), (2, 1, 1)),  # no JSON
    (in_turn(REFUSED, LISTED), (1, 1, 1)),  # a refusal is an answer
    (in_turn(answer("403 Forbidden", b'{"message": "Forbidden"}'), LISTED), (1, 1, 1)),
    (in_turn(answer("302 Found", b"", "Location: https://elsewhere.example/"), LISTED), (1, 1, 1)),
    (in_turn(RIGHT, LISTED), (1, 1, 1)),
    (reset, (2, 2, 1)),  # no connection, twice
    (cut_body, (2, 2, 1)),
]


@pytest.mark.parametrize("which", [0, 1, 2], ids=["list", "introspection", "minting"])
@pytest.mark.parametrize(("respond", "times"), REPEATED)
async def test_only_what_reads_is_repeated_and_only_once(
    respond: Respond, times: tuple[int, int, int], which: int
) -> None:
    """Lists and introspection once where no answer came; a token is never asked for twice, whatever became of it."""
    async with bench(respond) as it:
        await (it.list, it.introspect, it.mint)[which]()
    assert len(it.server.requests) == it.sender.requests == it.asked == times[which]


async def test_the_repeats_answer_is_the_one_that_counts() -> None:
    """A 503 and then the answer is that answer; a 503 twice is a server error."""
    async with bench(in_turn(BROKEN, RIGHT)) as it:
        assert (await it.introspect()).introspection.active is True
    async with bench(always(BROKEN)) as it:
        assert (await it.introspect()).kind is AuthKind.SERVER_ERROR
        assert (await it.list()).kind is AnswerKind.SERVER_ERROR


@ALL
@pytest.mark.parametrize("first", [LIMITED, BROKEN], ids=["after a 429", "after a 503"])
async def test_a_stop_between_two_sends_is_heeded(ask: Ask, first: bytes) -> None:
    """`may_send` is asked before every single send, repeats included: what raises there keeps the rest back."""
    async with bench(always(first)) as it:
        it.sends = 1
        if ask is Bench.mint and first is BROKEN:
            assert (await ask(it)).kind is AuthKind.SERVER_ERROR
        else:
            with pytest.raises(Stopped):
                await ask(it)
    assert len(it.server.requests) == it.sender.requests == 1


@ALL
async def test_what_may_not_go_is_not_sent_at_all(ask: Ask) -> None:
    """With a stop that stood before, nothing leaves and nothing is counted."""
    async with bench(always(RIGHT)) as it:
        it.sends = 0
        with pytest.raises(Stopped):
            await ask(it)
    assert (it.server.requests, it.sender.requests, it.observer.counted) == ([], 0, 0)
