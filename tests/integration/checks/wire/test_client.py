"""The bytes that really leave the machine, as a bare socket receives them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checks.answer import AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, Role, WriteProbes
from checks.credential import Secret
from checks.errors import WireError
from checks.origin import origin
from checks.v1.gate import Gate
from checks.wire.connection import ConnectionSettings
from checks.wire.copies import MOST_REMEMBERED, Copies
from checks.wire.key_client import KeyClient, KeySession
from tests.raw_server import Respond, always, answer, raw_server

SECRET = Secret("5dc54b4a7cdb4e1a9d7b-1")
USER_AGENT = "harvest-monitor/test (+mailto:ops@vendor.example)"
ENTRIES = catalogue().all_entries()


def now() -> datetime:
    return datetime(2026, 6, 1, tzinfo=UTC)


@asynccontextmanager
async def session_to(port: int, connection: ConnectionSettings | None = None) -> AsyncIterator[KeySession]:
    gate = Gate(catalogue(), origin(f"http://localhost:{port}"), USER_AGENT)
    async with KeyClient(gate, connection or ConnectionSettings(), now).session() as session:
        yield session


def secret_for(entry: Entry) -> Secret | None:
    return None if entry.role is Role.ANONYMOUS else SECRET


def expected_bytes(entry: Entry, port: int) -> bytes:
    lines = [
        f"{entry.method} {entry.target} HTTP/1.1",
        f"host: localhost:{port}",
        f"user-agent: {USER_AGENT}",
        "accept: application/json",
        "accept-encoding: identity",
    ]
    if entry.role is not Role.ANONYMOUS:
        lines.append("authorization: Basic NWRjNTRiNGE3Y2RiNGUxYTlkN2ItMTo=")
    if entry.body:
        lines.append("content-type: application/json")
    if entry.is_write:
        lines.append(f"content-length: {len(entry.body)}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + entry.body


async def test_every_catalogued_request_goes_out_byte_for_byte() -> None:
    """Each of all 84 is sent exactly as in the catalogue, with the fixed headers and nothing more."""
    async with raw_server(always(answer("404 Not Found", b'{"message":"Resource not found"}'))) as server:
        async with session_to(server.port) as session:
            for entry in ENTRIES:
                await session.send(entry, secret_for(entry), WriteProbes.ALL)
    assert len(server.requests) == len(ENTRIES) == 84
    assert server.requests == [expected_bytes(entry, server.port) for entry in ENTRIES]


async def test_cookies_of_one_tenant_are_never_sent_for_another() -> None:
    """A Set-Cookie in an answer is ignored: the next request, for any tenant, has no cookie."""
    cookie = answer("200 OK", b"[]", "Set-Cookie: tenant=one; Path=/", "Set-Cookie: session=abc; Domain=localhost")
    async with raw_server(always(cookie)) as server, session_to(server.port) as session:
        for secret in (SECRET, Secret("another-tenants-key")):
            await session.send(ENTRIES[0], secret, WriteProbes.OFF)
            await session.send(ENTRIES[0], secret, WriteProbes.OFF)
    assert len(server.requests) == 4
    assert not any(b"cookie" in request.lower() for request in server.requests)


def drop_after_first() -> Respond:
    """Answers the first request of a connection, and drops the connection when the second one arrives."""
    answered: set[asyncio.StreamWriter] = set()

    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        if writer in answered:
            writer.transport.abort()
            return
        answered.add(writer)
        writer.write(answer("200 OK"))
        await writer.drain()

    return respond


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.is_write], ids=lambda e: e.endpoint)
async def test_a_write_is_not_sent_again_after_a_dropped_keep_alive(entry: Entry) -> None:
    """A connection lost during a write gives `no_connection`; the request reaches the server exactly once."""
    async with raw_server(drop_after_first()) as server, session_to(server.port) as session:
        await session.send(ENTRIES[0], SECRET, WriteProbes.ALL)
        result, _ = await session.send(entry, SECRET, WriteProbes.ALL)
    assert result.kind is AnswerKind.NO_CONNECTION
    assert [request.split(b" ")[0].decode() for request in server.requests] == ["GET", entry.method]
    assert server.connections == 1


async def test_redirects_are_not_followed() -> None:
    """A redirect to another host is an answer; the key is not sent there."""
    async with raw_server(always(answer("200 OK"))) as elsewhere:
        moved = answer("302 Found", b"", f"Location: http://127.0.0.1:{elsewhere.port}/v1/users")
        async with raw_server(always(moved)) as server, session_to(server.port) as session:
            result, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert (result.kind, result.location_host) == (AnswerKind.REDIRECT, "127.0.0.1")
    assert elsewhere.requests == []


async def test_the_environment_cannot_redirect_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables and netrc of the environment are ignored: only the settings name a proxy."""
    async with raw_server(always(answer("200 OK"))) as proxy, raw_server(always(answer("200 OK"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with session_to(server.port) as session:
            await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert (len(proxy.requests), len(server.requests)) == (0, 1)


QUICK = ConnectionSettings(connect_timeout=2, read_timeout=0.4, request_timeout=0.8)


async def silent(number: int, writer: asyncio.StreamWriter) -> None:
    """Never answers."""


async def silent_within_head(number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await writer.drain()


async def silent_within_body(number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[")
    await writer.drain()


async def drip(number: int, writer: asyncio.StreamWriter) -> None:
    """One byte at a time, faster than the read timeout: only the limit of the whole request ends it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def reset(number: int, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def cut_body(number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[{")
    await writer.drain()
    writer.close()


async def not_http(number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("respond", "kind"),
    [
        (silent, AnswerKind.TIMEOUT),
        (silent_within_head, AnswerKind.TIMEOUT),
        (silent_within_body, AnswerKind.TIMEOUT),
        (drip, AnswerKind.TIMEOUT),
        (reset, AnswerKind.NO_CONNECTION),
        (cut_body, AnswerKind.NO_CONNECTION),
        (not_http, AnswerKind.NO_CONNECTION),
    ],
)
async def test_every_missing_answer_is_recognized_and_ends_in_time(respond: Respond, kind: AnswerKind) -> None:
    """Silence at any point is `timeout`, a connection lost or not HTTP is `no_connection`; each within its limit."""
    async with raw_server(respond) as server, session_to(server.port, QUICK) as session:
        async with asyncio.timeout(20):
            result, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert result.kind is kind


@pytest.mark.parametrize("respond", [silent_within_body, cut_body, drip])
async def test_a_received_status_counts_even_without_a_complete_body(respond: Respond) -> None:
    """A 2xx to a write is noticed even if its body never comes completely."""
    async with raw_server(respond) as server, session_to(server.port, QUICK) as session:
        result, _ = await session.send(next(e for e in ENTRIES if e.is_write), SECRET, WriteProbes.ALL)
    assert result.status == 200
    assert result.accepted


async def odd_reason(number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 201 Cr\xe9\xe9\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"id": 7}')
    await writer.drain()


async def test_a_reason_phrase_outside_utf8_hides_no_status() -> None:
    """Status and record id are read, whatever bytes are in the status line."""
    async with raw_server(odd_reason) as server, session_to(server.port) as session:
        result, _ = await session.send(next(e for e in ENTRIES if e.is_write), SECRET, WriteProbes.ALL)
    assert (result.status, result.record_id) == (201, "7")


async def test_no_header_breaks_the_reader() -> None:
    """An impossible date in Retry-After is ignored."""
    limited = answer("429 Too Many Requests", b"", "Retry-After: Fri, 31 Dec 9999 23:59:59 -9999")
    async with raw_server(always(limited)) as server, session_to(server.port) as session:
        result, limit = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert result.kind is AnswerKind.RATE_LIMITED
    assert 1 <= limit.back_off_seconds <= 120


def surplus() -> Respond:
    """Answers each request, and a moment later sends one answer too many."""

    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", b"[]"))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(answer("401 Unauthorized", b'{"message":"Invalid Basic Auth credentials"}'))
        await writer.drain()

    return respond


async def test_a_late_extra_answer_never_counts_for_another_tenant() -> None:
    """Each credential has its own connections, so a late answer on one is not taken for the next tenant's."""
    async with raw_server(surplus()) as server:
        kinds = []
        for key in ("one-tenants-key", "another-tenants-key"):
            async with session_to(server.port) as session:
                kinds.append((await session.send(ENTRIES[0], Secret(key), WriteProbes.OFF))[0].kind)
            await asyncio.sleep(0.1)
    assert kinds == [AnswerKind.JSON, AnswerKind.JSON]
    assert server.connections == 2


async def test_a_late_extra_answer_never_counts_for_the_next_request() -> None:
    """A connection on which something came unasked is not used again, also within the check of one credential."""
    async with raw_server(surplus()) as server, session_to(server.port) as session:
        kinds = []
        for entry in ENTRIES[:3]:
            kinds.append((await session.send(entry, SECRET, WriteProbes.OFF))[0].kind)
            await asyncio.sleep(0.1)
    assert kinds == [AnswerKind.JSON] * 3
    assert server.connections == 3


async def test_what_is_asked_again_goes_over_a_new_connection() -> None:
    """A balancer that keeps a connection to one server would let that server confirm itself."""
    async with raw_server(always(answer("404 Not Found", b'{"message":"Resource not found"}'))) as server:
        async with session_to(server.port) as session:
            for entry in (ENTRIES[0], ENTRIES[1], ENTRIES[1], ENTRIES[0], ENTRIES[2]):
                await session.send(entry, SECRET, WriteProbes.OFF)
    assert server.connections == 3


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_the_request_after_a_refusal_goes_over_a_new_connection(status: str) -> None:
    """Three refusals of three requests are to count as three, and not as one server's word."""
    async with raw_server(always(answer(status, b'{"message":"Invalid Basic Auth credentials"}'))) as server:
        async with session_to(server.port) as session:
            for entry in ENTRIES[:3]:
                await session.send(entry, SECRET, WriteProbes.OFF)
    assert server.connections == 3


OUT_OF_CACHES = [
    "Age: 3",
    "Age: 0",
    "Age: whatever",
    "X-Cache: Hit from cloudfront",
    "X-Cache: RefreshHit from cloudfront",
    "X-Cache: HIT, MISS",
]


@pytest.mark.parametrize("header", OUT_OF_CACHES)
@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "403 Forbidden", "404 Not Found"])
async def test_an_answer_out_of_a_cache_decides_nothing(status: str, header: str) -> None:
    """It was given to somebody else, whatever it says; its status is kept, as a write may have been accepted."""
    body = b'{"message":"Invalid Basic Auth credentials"}'
    async with raw_server(always(answer(status, body, header))) as server, session_to(server.port) as session:
        result, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert (result.kind, result.status) == (AnswerKind.COPY, int(status[:3]))


@pytest.mark.parametrize(
    "header", ["X-Cache: Miss from cloudfront", "X-Cache: Error from cloudfront", "X-Request-Id:", "Via: 1.1 a (b)"]
)
async def test_what_comes_through_a_cache_but_not_out_of_it_counts(header: str) -> None:
    """CloudFront stands in front of Greenhouse; an answer without an id is heard as often as it comes."""
    async with raw_server(always(answer("200 OK", b"[]", header))) as server, session_to(server.port) as session:
        kinds = [(await session.send(entry, SECRET, WriteProbes.OFF))[0].kind for entry in ENTRIES[:3]]
    assert kinds == [AnswerKind.JSON] * 3


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests"])
async def test_an_outage_is_one_also_out_of_a_cache(status: str) -> None:
    """It speaks about the way to Greenhouse, and is asked again as any other."""
    async with raw_server(always(answer(status, b"", "Age: 3"))) as server, session_to(server.port) as session:
        result, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert result.kind in (AnswerKind.SERVER_ERROR, AnswerKind.RATE_LIMITED)


async def test_an_answer_that_was_heard_before_decides_nothing() -> None:
    """Its id tells: neither in the same check nor in that of another tenant is it given to a second request."""
    heard = answer("404 Not Found", b'{"message":"Resource not found"}', "X-Request-Id: 6f1c1ed04f3a4b6e")
    async with raw_server(always(heard)) as server:
        gate = Gate(catalogue(), origin(f"http://localhost:{server.port}"), USER_AGENT)
        client = KeyClient(gate, ConnectionSettings(), now)
        kinds = []
        for key in ("one-tenants-key", "another-tenants-key"):
            async with client.session() as session:
                for entry in ENTRIES[:2]:
                    kinds.append((await session.send(entry, Secret(key), WriteProbes.OFF))[0].kind)
    assert kinds == [AnswerKind.NOT_FOUND, *[AnswerKind.COPY] * 3]


def test_only_the_last_ids_are_remembered() -> None:
    """The memory is bounded, so that a service that runs for years does not grow."""
    copies = Copies()
    ids = [{"x-request-id": str(number)} for number in range(MOST_REMEMBERED + 1)]
    assert not any(copies.has(200, headers) for headers in ids)
    assert copies.has(200, ids[-1])
    assert copies.has(200, ids[1])
    assert not copies.has(200, ids[0])


async def test_tls_session_keys_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSLKEYLOGFILE in the environment is ignored."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    client = KeyClient(Gate(catalogue(), origin("https://localhost"), USER_AGENT), ConnectionSettings(), now)
    assert client._connector._context.keylog_filename is None


async def test_an_unusable_ca_bundle_is_an_error(tmp_path: Path) -> None:
    """A file without certificates is an error that names it, before anything is sent."""
    (tmp_path / "ca.pem").write_text("hello")
    with pytest.raises(WireError, match=r"ca\.pem"):
        KeyClient(
            Gate(catalogue(), origin("https://localhost"), USER_AGENT),
            ConnectionSettings(ca_bundle=str(tmp_path / "ca.pem")),
            now,
        )


async def test_a_port_nobody_listens_on_is_no_connection() -> None:
    """A refused connection is `no_connection`, not `timeout`."""
    async with raw_server(silent) as server:
        port = server.port
    async with session_to(port, QUICK) as session:
        result, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert result.kind is AnswerKind.NO_CONNECTION


async def fifty_megabytes(number: int, writer: asyncio.StreamWriter) -> None:
    size = 50 * 1024 * 1024
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n[".encode())
    block = b'"' + b"x" * 65533 + b'",'
    for _ in range(size // len(block)):
        writer.write(block)
        await writer.drain()


async def test_a_huge_body_is_not_read() -> None:
    """Of 50 MB only 64 KiB and the buffers on the way are received; an unread body decides nothing."""
    taken = {}

    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        await fifty_megabytes(number, writer)
        taken["all"] = True

    async with raw_server(respond) as server, session_to(server.port) as session:
        result, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
        again, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert (result.kind, again.kind) == (AnswerKind.NOT_JSON, AnswerKind.NOT_JSON)
    assert taken == {}
    assert server.connections == 2


async def test_a_gzip_bomb_stays_small() -> None:
    """At most 64 KiB of a compressed body are inflated; then it decides nothing."""
    import gzip
    import tracemalloc

    bomb = gzip.compress(b"[" + b" " * 40_000_000 + b"]")
    assert len(bomb) < 64 * 1024
    async with raw_server(always(answer("200 OK", bomb, "Content-Encoding: gzip"))) as server:
        async with session_to(server.port) as session:
            tracemalloc.start()
            result, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert result.kind is AnswerKind.NOT_JSON
    assert peak < 4_000_000


async def test_small_compressed_answers_are_read() -> None:
    """A server may compress although it was not asked to."""
    import gzip

    body = gzip.compress(b'{"message":"Invalid Basic Auth credentials"}')
    async with raw_server(always(answer("401 Unauthorized", body, "Content-Encoding: gzip"))) as server:
        async with session_to(server.port) as session:
            result, _ = await session.send(ENTRIES[0], SECRET, WriteProbes.OFF)
    assert result.kind is AnswerKind.INVALID_KEY
