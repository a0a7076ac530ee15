"""The only module that opens connections to Greenhouse.

httpx is the interface and aiohttp the engine under it. Left alone, that engine sends a PUT, GET or DELETE again after a
dropped keep-alive and shares cookies between tenants: here nothing is sent twice unasked and no cookie is kept.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from checks.answer import Answer, AnswerKind, reduce, reduce_listed
from checks.catalogue.endpoints import Entry, WriteProbes
from checks.credential import OAuthClient, Secret, Token, basic_authorization
from checks.errors import WireError
from checks.v1.gate import Gate, OutgoingRequest
from checks.v3.gate import TokenGate
from checks.v3.token_answers import AuthAnswer, AuthKind, introspected, minted
from checks.wire.rate_limit import TOKEN_WINDOW_SECONDS, V3_WINDOW_SECONDS, RateLimit, rate_limit

MOST_BODY_BYTES = 64 * 1024
_NO_LIMIT = RateLimit(None, None, None, None)


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How Greenhouse is reached; times in seconds. `request_timeout` bounds one request from first to last byte."""

    connect_timeout: float = 10.0
    read_timeout: float = 20.0
    request_timeout: float = 30.0
    proxy: str | None = None
    ca_bundle: str | None = None


class _Dropped(aiohttp.ClientError):
    """The connection was lost under a request. Not among the errors after which aiohttp sends a request again."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        response = await handler(request)
        response.reason = None  # not UTF-8 at times, which the layer above does not survive
        return response
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent, and aiohttp does not try again
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped(type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class _Received:
    """What came back, if anything did: `failure` says why there is no status, or no body behind one."""

    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)  # a new token, perhaps
    complete: bool = True
    failure: AnswerKind | None = None


class _Way:
    """How this process reaches one service of Greenhouse; WireError if the connection can not be set up as told."""

    def __init__(self, in_clear: bool, connection: ConnectionSettings) -> None:
        if connection.proxy and in_clear:
            raise WireError("a proxy can not be used with an http address: the key would travel in clear")
        self._connection = connection
        self._context = _tls(connection.ca_bundle)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["_Exchange"]:
        """For one credential: a late answer on a connection that stays open is never taken for another's."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context, limit=0, keepalive_timeout=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            middlewares=(_send_once,),
            trust_env=False,
        )
        proxy = httpx.Proxy(self._connection.proxy) if self._connection.proxy else None
        transport = AiohttpTransport(verify=self._context, client=session, proxy=proxy, trust_env=False)
        try:
            yield _Exchange(self._connection, transport)
        finally:
            await transport.aclose()


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Sends one request after the other, each at most once; whatever happens to it is told and never raised."""

    connection: ConnectionSettings
    transport: AiohttpTransport

    def request(self, made: OutgoingRequest) -> httpx.Request:
        timeout = {"connect": self.connection.connect_timeout, "read": self.connection.read_timeout}
        return httpx.Request(
            made.method, made.url, headers=list(made.headers), content=made.body, extensions={"timeout": timeout}
        )

    async def send(self, request: httpx.Request) -> _Received:
        ends_at = asyncio.get_running_loop().time() + self.connection.request_timeout
        try:
            async with asyncio.timeout_at(ends_at):
                response = await self.transport.handle_async_request(request)
        except Exception as error:  # the libraries below raise more than they say
            return _Received(None, {}, failure=_failure(error))
        return await self._heard(response, ends_at)

    async def _heard(self, response: httpx.Response, ends_at: float) -> _Received:
        """The head has come: its status stands, whatever becomes of the body."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            async with asyncio.timeout_at(ends_at):
                body, complete = await _read(response, headers.get("content-encoding", "identity"))
        except Exception as error:
            return _Received(response.status_code, headers, failure=_failure(error))
        finally:
            await response.aclose()
        return _Received(response.status_code, headers, body, complete)


class HarvestClient:
    """How Harvest v1/v2 is reached with a key. Each look at a credential has a line of its own."""

    def __init__(self, gate: Gate, connection: ConnectionSettings, now: Callable[[], datetime]) -> None:
        self._way = _Way(gate.in_clear, connection)
        self._gate = gate
        self._now = now

    @asynccontextmanager
    async def line(self) -> AsyncIterator["HarvestSession"]:
        async with self._way.open() as exchange:
            yield HarvestSession(self._gate, exchange, self._now)


@dataclass(frozen=True, slots=True)
class HarvestSession:
    """What goes out has passed the gate as it stands."""

    gate: Gate
    exchange: _Exchange
    now: Callable[[], datetime]

    async def send(self, entry: Entry, secret: Secret | None, permitted: WriteProbes) -> tuple[Answer, RateLimit]:
        """One request, sent at most once. GateRefusal if it may not be sent; whatever else happens is an answer."""
        authorization = None if secret is None else basic_authorization(secret)
        headers = list(self.gate.headers_for(entry, authorization).items())
        request = self.exchange.request(OutgoingRequest(entry.method, self.gate.url_of(entry), headers, entry.body))
        self.gate.check(_outgoing(request), permitted)
        got = await self.exchange.send(request)
        limit = _NO_LIMIT if got.status is None else rate_limit(got.headers, self.now())
        if got.failure is not None or got.status is None:
            return Answer(got.failure or AnswerKind.NO_CONNECTION, got.status), limit
        return reduce(entry, got.status, got.headers, got.body, complete=got.complete), limit


class TokenClient:
    """How Harvest v3 and its auth server are reached with a token or a client."""

    def __init__(self, gate: TokenGate, connection: ConnectionSettings, now: Callable[[], datetime]) -> None:
        self._way = _Way(gate.in_clear, connection)
        self._gate = gate
        self._now = now

    @asynccontextmanager
    async def line(self) -> AsyncIterator["TokenSession"]:
        async with self._way.open() as exchange:
            yield TokenSession(self._gate, exchange, self._now)


@dataclass(frozen=True, slots=True)
class TokenSession:
    """As `HarvestSession`: one request each, sent at most once, past the gate; GateRefusal if it may not be sent."""

    gate: TokenGate
    exchange: _Exchange
    now: Callable[[], datetime]

    async def list(self, entry: Entry, token: Token) -> tuple[Answer, RateLimit]:
        got, limit = await self._send(self.gate.listing(entry, token), V3_WINDOW_SECONDS)
        if got.failure is not None or got.status is None:
            return Answer(got.failure or AnswerKind.NO_CONNECTION, got.status), limit
        return reduce_listed(got.status, got.headers, got.body, complete=got.complete), limit

    async def introspect(self, client: OAuthClient, token: Token) -> tuple[AuthAnswer, RateLimit]:
        got, limit = await self._send(self.gate.introspection(client, token), TOKEN_WINDOW_SECONDS)
        return _auth_failure(got) or introspected(got.status or 0, got.headers, got.body, complete=got.complete), limit

    async def mint(self, client: OAuthClient) -> tuple[AuthAnswer, RateLimit]:
        got, limit = await self._send(self.gate.minting(client), TOKEN_WINDOW_SECONDS)
        return _auth_failure(got) or minted(got.status or 0, got.headers, got.body, complete=got.complete), limit

    async def _send(self, made: OutgoingRequest, window_seconds: float) -> tuple[_Received, RateLimit]:
        request = self.exchange.request(made)
        self.gate.check(_outgoing(request))
        got = await self.exchange.send(request)
        return got, _NO_LIMIT if got.status is None else rate_limit(got.headers, self.now(), window_seconds)


def _auth_failure(got: _Received) -> AuthAnswer | None:
    if got.failure is None:
        return None
    kind = AuthKind.TIMEOUT if got.failure is AnswerKind.TIMEOUT else AuthKind.NO_CONNECTION
    return AuthAnswer(kind, got.status)


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (ssl.SSLError, OSError) as problem:
        raise WireError(f"{ca_bundle} holds no certificates in PEM ({problem}): correct the CA bundle's path") from None
    # SSLKEYLOGFILE in the environment would have the session keys written out; None turns that off.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


def _outgoing(request: httpx.Request) -> OutgoingRequest:
    headers = [(name.decode("ascii").lower(), value.decode("ascii")) for name, value in request.headers.raw]
    return OutgoingRequest(request.method, str(request.url), headers, request.content)


def _failure(error: BaseException) -> AnswerKind:
    # httpx-aiohttp reports a dropped connection as ConnectTimeout; its cause tells what it was.
    timed_out = isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError)
    return AnswerKind.TIMEOUT if timed_out else AnswerKind.NO_CONNECTION


async def _read(response: httpx.Response, encoding: str) -> tuple[bytes, bool]:
    """At most 64 KiB of the body, decompressed, and whether that is all of it. No more is taken off the wire."""
    raw = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for chunk in response.stream:
        raw += chunk
        if len(raw) > MOST_BODY_BYTES:
            return bytes(raw[:MOST_BODY_BYTES]), False
    return _decompress(bytes(raw), encoding.strip().lower())


def _decompress(raw: bytes, encoding: str) -> tuple[bytes, bool]:
    """Compression is not asked for; a server that compresses all the same is read within the same bound."""
    if encoding in ("", "identity"):
        return raw, True
    if encoding not in ("gzip", "deflate"):
        return b"", False
    inflater = zlib.decompressobj(wbits=47)  # zlib or gzip, by its header
    try:
        body = inflater.decompress(raw, MOST_BODY_BYTES)
    except zlib.error:
        return b"", False
    return body, inflater.eof
