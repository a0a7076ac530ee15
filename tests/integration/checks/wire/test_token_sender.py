"""One client's requests as a bare socket receives them: delayed, repeated and counted."""

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
from tests.integration.checks.wire.test_sender import FakeClock, RecordingGuard, in_turn
from tests.raw_server import RawServer, Respond, always, answer, raw_server

TOKEN = Token("token-1")
CLIENT = OAuthClient(Secret("8xF3kQ-12"), Secret("secret"), TOKEN)
LIST = lists()["harvest:users:list"]
# An answer that is right for introspection and minting.
RIGHT = answer("200 OK", b'{"active": true, "access_token": "new"}')
LISTED = answer("200 OK", b"[]")
BROKEN = answer("503 Service Unavailable", b"<html>", kind="text/html")
REFUSED = answer("401 Unauthorized", b'{"error": "invalid_client"}')
LIMITED = answer("429 Too Many Requests", b"", "Retry-After: 7")
LIMITED_WITHOUT_TIME = answer("429 Too Many Requests", b"")


class Stopped(Exception):
    """Raised by `may_send` once nothing more may be sent."""


@dataclass
class TokenSenderHarness:
    server: RawServer
    sender: PacedTokenSender
    observer: RecordingGuard
    time: FakeClock
    sends: int | None = None  # how many are allowed before the stop; None for all
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
async def token_sender_harness(respond: Respond) -> AsyncIterator[TokenSenderHarness]:
    time, observer = FakeClock(), RecordingGuard()
    async with raw_server(respond) as server:
        here = origin(f"http://localhost:{server.port}")
        client = TokenClient(
            TokenGate(here, here, "test"), ConnectionSettings(), lambda: datetime(2026, 6, 1, tzinfo=UTC)
        )
        async with client.session() as session:
            own, total = RateLimiter(0, time.read, time.sleep), RateLimiter(0, time.read, time.sleep)
            sender = PacedTokenSender(session, CLIENT, RequestPacing(own, total, observer))
            yield TokenSenderHarness(server, sender, observer, time)


Ask = Callable[[TokenSenderHarness], Awaitable[Any]]
ALL = pytest.mark.parametrize("ask", [TokenSenderHarness.list, TokenSenderHarness.introspect, TokenSenderHarness.mint])


@ALL
async def test_after_a_429_the_sender_waits_as_long_as_it_says(ask: Ask) -> None:
    """Two 429, then the answer: three requests sent and counted, and two waits of Retry-After."""
    right = LISTED if ask is TokenSenderHarness.list else RIGHT
    async with token_sender_harness(in_turn(LIMITED, LIMITED, right)) as harness:
        found = await ask(harness)
    assert found.kind.value == "json"
    assert len(harness.server.requests) == harness.sender.requests == harness.observer.counted == harness.asked == 3
    assert harness.time.slept == [7.0, 7.0]
    assert harness.observer.waits == [("rate_limited", 7.0)] * 2


@pytest.mark.parametrize(
    ("ask", "seconds"),
    [
        (TokenSenderHarness.list, V3_WINDOW_SECONDS),  # Harvest v3 counts in windows of 30 s
        (TokenSenderHarness.introspect, TOKEN_WINDOW_SECONDS),  # the auth server by the minute
        (TokenSenderHarness.mint, TOKEN_WINDOW_SECONDS),
    ],
)
async def test_after_a_429_without_a_time_the_sender_waits_for_one_window(ask: Ask, seconds: float) -> None:
    """The window of the server that answered: half a minute for the API, a whole one for the auth server."""
    async with token_sender_harness(
        in_turn(LIMITED_WITHOUT_TIME, LISTED if ask is TokenSenderHarness.list else RIGHT)
    ) as harness:
        await ask(harness)
    assert harness.time.slept == [seconds]
    assert seconds == (30.0 if ask is TokenSenderHarness.list else 60.0)


@ALL
async def test_if_the_limit_never_ends_it_is_the_answer(ask: Ask) -> None:
    """After three tries, without another repeat."""
    async with token_sender_harness(always(LIMITED)) as harness:
        found = await ask(harness)
    assert found.kind.value == "rate_limited"
    assert len(harness.server.requests) == TRIES_WHEN_LIMITED == 3


@ALL
async def test_a_low_remainder_is_left_to_the_customer(ask: Ask) -> None:
    """Below half of the limit the next request waits until the window ends."""
    body = b"[]" if ask is TokenSenderHarness.list else b'{"active": true, "access_token": "new"}'
    low = answer("200 OK", body, "X-RateLimit-Limit: 75", "X-RateLimit-Remaining: 10")
    async with token_sender_harness(always(low)) as harness:
        await ask(harness)
        await ask(harness)
    assert harness.time.slept == [30.0 if ask is TokenSenderHarness.list else 60.0]
    assert harness.observer.waits[0][0] == "reserve"


# The answers, and how many times each request is then sent: list, introspection, minting.
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
async def test_only_reads_are_repeated_and_only_once(respond: Respond, times: tuple[int, int, int], which: int) -> None:
    """Lists and introspection once, without a usable answer; a token is never requested twice, whatever happens."""
    async with token_sender_harness(respond) as harness:
        await (harness.list, harness.introspect, harness.mint)[which]()
    assert len(harness.server.requests) == harness.sender.requests == harness.asked == times[which]


async def test_the_repeats_answer_is_the_one_that_counts() -> None:
    """A 503 and then the answer is that answer; a 503 twice is a server error."""
    async with token_sender_harness(in_turn(BROKEN, RIGHT)) as harness:
        assert (await harness.introspect()).introspection.active is True
    async with token_sender_harness(always(BROKEN)) as harness:
        assert (await harness.introspect()).kind is AuthKind.SERVER_ERROR
        assert (await harness.list()).kind is AnswerKind.SERVER_ERROR


@ALL
@pytest.mark.parametrize("first", [LIMITED, BROKEN], ids=["after a 429", "after a 503"])
async def test_a_stop_between_two_requests_is_obeyed(ask: Ask, first: bytes) -> None:
    """`may_send` is called before every request, repeats included; if it raises, nothing more is sent."""
    async with token_sender_harness(always(first)) as harness:
        harness.sends = 1
        if ask is TokenSenderHarness.mint and first is BROKEN:
            assert (await ask(harness)).kind is AuthKind.SERVER_ERROR
        else:
            with pytest.raises(Stopped):
                await ask(harness)
    assert len(harness.server.requests) == harness.sender.requests == 1


@ALL
async def test_a_forbidden_request_is_not_sent(ask: Ask) -> None:
    """After a stop nothing is sent and nothing is counted."""
    async with token_sender_harness(always(RIGHT)) as harness:
        harness.sends = 0
        with pytest.raises(Stopped):
            await ask(harness)
    assert (harness.server.requests, harness.sender.requests, harness.observer.counted) == ([], 0, 0)
