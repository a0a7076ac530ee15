"""The bytes that leave the machine with a token, or about one, as a bare socket receives them."""

import asyncio
import base64
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from checks.answer import AnswerKind
from checks.credential import OAuthClient, Secret, Token
from checks.origin import origin
from checks.v3.gate import TokenGate, lists
from checks.v3.token_answers import AuthAnswer, AuthKind
from checks.wire.connection import ConnectionSettings
from checks.wire.token_client import TokenClient, TokenSession
from tests.integration.checks.wire.test_client import (
    QUICK,
    cut_body,
    drip,
    not_http,
    reset,
    silent,
    silent_within_body,
    silent_within_head,
    surplus,
)
from tests.raw_server import Respond, always, answer, raw_server

USER_AGENT = "harvest-monitor/test (+mailto:ops@vendor.example)"
TOKEN = Token("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln+/=")
CLIENT = OAuthClient(Secret("8xF3kQ-12"), Secret("se:cret"), TOKEN)
ACTING = replace(CLIENT, sub="4080")
LIST = lists()["harvest:users:list"]
ACTIVE = answer("200 OK", b'{"active": true, "client_id": "8xF3kQ-12", "scope": "harvest:users:list"}')
ISSUED = answer("200 OK", b'{"access_token": "new", "token_type": "Bearer"}')

Sending = Callable[[TokenSession], Awaitable[tuple[Any, Any]]]


async def a_list(session: TokenSession) -> tuple[Any, Any]:
    return await session.list(LIST, TOKEN)


async def an_introspection(session: TokenSession) -> tuple[Any, Any]:
    return await session.introspect(CLIENT, TOKEN)


async def a_minting(session: TokenSession) -> tuple[Any, Any]:
    return await session.mint(CLIENT)


EACH = pytest.mark.parametrize("send", [a_list, an_introspection, a_minting])
POSTS = pytest.mark.parametrize(("send", "path"), [(an_introspection, "/introspect"), (a_minting, "/token")])


@asynccontextmanager
async def session_to(port: int, connection: ConnectionSettings | None = None) -> AsyncIterator[TokenSession]:
    here = origin(f"http://localhost:{port}")
    gate = TokenGate(here, here, USER_AGENT)
    async with TokenClient(
        gate, connection or ConnectionSettings(), lambda: datetime(2026, 6, 1, tzinfo=UTC)
    ).session() as session:
        yield session


def expected(port: int, first_line: str, authorization: str, body: bytes = b"") -> bytes:
    lines = [
        f"{first_line} HTTP/1.1",
        f"host: localhost:{port}",
        f"user-agent: {USER_AGENT}",
        "accept: application/json",
        "accept-encoding: identity",
        f"authorization: {authorization}",
    ]
    if body:
        lines += ["content-type: application/x-www-form-urlencoded", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


async def test_every_list_goes_out_byte_for_byte() -> None:
    """Each of all 73 is a GET with the token, the fixed headers and nothing more."""
    async with raw_server(always(answer("200 OK"))) as server, session_to(server.port) as session:
        for entry in lists().values():
            found, _ = await session.list(entry, TOKEN)
            assert found.kind is AnswerKind.JSON
    assert len(server.requests) == 73
    bearer = f"Bearer {TOKEN.reveal()}"
    assert server.requests == [expected(server.port, f"GET {e.target}", bearer) for e in lists().values()]


async def test_requests_to_the_auth_server_go_out_byte_for_byte() -> None:
    """The token is only in the body, the client only in the header, and neither in the address."""
    async with raw_server(always(ISSUED)) as server, session_to(server.port) as session:
        await session.introspect(CLIENT, TOKEN)
        await session.mint(CLIENT)
        await session.mint(ACTING)
    basic = "Basic " + base64.b64encode(b"8xF3kQ-12:se:cret").decode()
    about = b"token=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln%2B%2F%3D&token_type_hint=access_token"
    assert server.requests == [
        expected(server.port, "POST /introspect", basic, about),
        expected(server.port, "POST /token", basic, b"grant_type=client_credentials"),
        expected(server.port, "POST /token", basic, b"grant_type=client_credentials&sub=4080"),
    ]


@EACH
async def test_no_cookie_is_kept(send: Sending) -> None:
    """A Set-Cookie in an answer is ignored: the next request has no cookie."""
    cookie = answer("200 OK", b"{}", "Set-Cookie: session=abc; Path=/", "Set-Cookie: s=2; Domain=localhost")
    async with raw_server(always(cookie)) as server, session_to(server.port) as session:
        for _ in range(2):
            await send(session)
    assert len(server.requests) == 2
    assert not any(b"cookie" in request.lower() for request in server.requests)


@EACH
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_no_redirect_is_followed(send: Sending, status: str) -> None:
    """Neither token nor secret is sent to the new address; the redirect is the answer, and decides nothing."""
    async with raw_server(always(ACTIVE)) as elsewhere:
        moved = answer(status, b"", f"Location: http://localhost:{elsewhere.port}/introspect")
        async with raw_server(always(moved)) as server, session_to(server.port) as session:
            found, _ = await send(session)
    assert found.kind in (AnswerKind.REDIRECT, AuthKind.UNUSABLE)
    assert (len(server.requests), elsewhere.requests) == (1, [])


def drop_after_first(first: bytes) -> Respond:
    """Answers the first request of a connection, and drops the connection when the second one arrives."""
    answered: set[asyncio.StreamWriter] = set()

    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        if writer in answered:
            writer.transport.abort()
            return
        answered.add(writer)
        writer.write(first)
        await writer.drain()

    return respond


@POSTS
async def test_a_post_is_sent_once_after_a_dropped_keep_alive(send: Sending, path: str) -> None:
    """A connection lost during it gives `no_connection`: a second POST /token might revoke the first one's token."""
    async with raw_server(drop_after_first(answer("200 OK"))) as server, session_to(server.port) as session:
        await session.list(LIST, TOKEN)
        found, _ = await send(session)
    assert found.kind is AuthKind.NO_CONNECTION
    assert [request.split(b" ")[1].decode() for request in server.requests] == [LIST.target, path]
    assert server.connections == 1


async def test_a_list_is_sent_once_after_a_dropped_keep_alive() -> None:
    """aiohttp would repeat a GET by itself; only the sender decides about repeats."""
    async with raw_server(drop_after_first(ACTIVE)) as server, session_to(server.port) as session:
        await session.introspect(CLIENT, TOKEN)
        found, _ = await session.list(LIST, TOKEN)
    assert found.kind is AnswerKind.NO_CONNECTION
    assert len(server.requests) == 2


SILENCE = [silent, silent_within_head, silent_within_body, drip]
LOSS = [reset, cut_body, not_http]


@EACH
@pytest.mark.parametrize("respond", [*SILENCE, *LOSS])
async def test_every_missing_answer_ends_in_time(send: Sending, respond: Respond) -> None:
    """Silence at any point, or one byte at a time, is `timeout`; a connection lost or not HTTP is `no_connection`."""
    async with raw_server(respond) as server, session_to(server.port, QUICK) as session:
        async with asyncio.timeout(20):
            found, _ = await send(session)
    assert found.kind.value == ("timeout" if respond in SILENCE else "no_connection")
    assert len(server.requests) == 1


@EACH
async def test_a_huge_body_is_cut_and_decides_nothing(send: Sending) -> None:
    """Of 50 MB that begin like a correct answer, only 64 KiB and the buffers on the way are received."""
    size, finished = 50 * 1024 * 1024, []

    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode())
        writer.write(b'{"active": true, "access_token": "new", "x": "' if send is not a_list else b'["')
        for _ in range(size // 65536):
            writer.write(b"x" * 65536)
            await writer.drain()
        finished.append(number)

    async with raw_server(respond) as server, session_to(server.port) as session:
        tracemalloc.start()
        found, _ = await send(session)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert found.kind in (AnswerKind.NOT_JSON, AuthKind.UNUSABLE)
    assert isinstance(found, AuthAnswer) is (send is not a_list)
    assert finished == []
    assert peak < 8_000_000


async def test_a_late_extra_answer_never_counts_for_another_client() -> None:
    """Each credential has its own connections, so a late answer on one is not taken for the next client's."""
    async with raw_server(surplus()) as server:
        kinds = []
        for token in ("one-tenants", "another-tenants"):
            async with session_to(server.port) as session:
                kinds.append((await session.list(LIST, Token(token)))[0].kind)
            await asyncio.sleep(0.1)
    assert kinds == [AnswerKind.JSON, AnswerKind.JSON]
    assert server.connections == 2


async def test_the_environment_cannot_redirect_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables are ignored: only the settings name a proxy."""
    async with raw_server(always(ACTIVE)) as proxy, raw_server(always(ACTIVE)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with session_to(server.port) as session:
            await session.introspect(CLIENT, TOKEN)
    assert (len(proxy.requests), len(server.requests)) == (0, 1)
