"""The only module that opens connections to Greenhouse.

httpx is the interface and aiohttp the engine under it. Left alone, that engine sends a PUT, GET or DELETE again after a
dropped keep-alive and shares cookies between tenants: here nothing is sent twice unasked and no cookie is kept.
"""

import asyncio
import ssl
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from checks.answer import Answer, AnswerKind, reduce
from checks.budget import Pace, RateLimit, rate_limit
from checks.catalogue import Entry, WriteProbes
from checks.credential import Secret, basic_authorization
from checks.errors import GateRefusal
from checks.gate import Gate, Outgoing

MOST_BODY_BYTES = 64 * 1024
TRIES_WHEN_LIMITED = 3
_REPEATED_ONCE = frozenset({AnswerKind.SERVER_ERROR, AnswerKind.TIMEOUT, AnswerKind.NO_CONNECTION, AnswerKind.NOT_JSON})
_NO_LIMIT = RateLimit(None, None, None, None)


class Observer(Protocol):
    """Who counts what goes over the wire; it is told of every request, repeats included, and of every wait."""

    def request(self, entry: Entry, answer: Answer) -> None: ...

    def waited(self, reason: str, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Connection:
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
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent, and aiohttp does not try again
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped(type(error).__name__) from error


class Wire:
    """The connections of this process to Greenhouse, shared by all credentials. Use as an async context manager."""

    def __init__(self, gate: Gate, connection: Connection, now: Callable[[], datetime]) -> None:
        self._gate = gate
        self._connection = connection
        self._now = now
        self._transport: AiohttpTransport | None = None
        if connection.proxy and gate.in_clear:
            raise GateRefusal("a proxy can not be used with an http address: the key would travel in clear")

    async def __aenter__(self) -> Self:
        context = ssl.create_default_context(cafile=self._connection.ca_bundle)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0, keepalive_timeout=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            middlewares=(_send_once,),
            trust_env=False,
        )
        proxy = httpx.Proxy(self._connection.proxy) if self._connection.proxy else None
        self._transport = AiohttpTransport(verify=context, client=session, proxy=proxy, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def send(self, entry: Entry, secret: Secret | None, permitted: WriteProbes) -> tuple[Answer, RateLimit]:
        """One request, sent at most once; GateRefusal if it may not be sent."""
        authorization = None if secret is None else basic_authorization(secret)
        request = httpx.Request(
            entry.method,
            self._gate.url_of(entry),
            headers=self._gate.headers_for(entry, authorization),
            content=entry.body,
            extensions={
                "timeout": {"connect": self._connection.connect_timeout, "read": self._connection.read_timeout}
            },
        )
        self._gate.check(_outgoing(request), permitted)
        try:
            async with asyncio.timeout(self._connection.request_timeout):
                return await self._exchange(entry, request)
        except (TimeoutError, httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            return Answer(_failure(error)), _NO_LIMIT

    async def _exchange(self, entry: Entry, request: httpx.Request) -> tuple[Answer, RateLimit]:
        if self._transport is None:
            raise RuntimeError("the wire is used before it is opened or after it is closed")
        response = await self._transport.handle_async_request(request)
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            body, complete = await _read(response, headers.get("content-encoding", "identity"))
        finally:
            await response.aclose()
        answer = reduce(entry.method, response.status_code, headers, body, complete=complete)
        return answer, rate_limit(headers, self._now())


def _outgoing(request: httpx.Request) -> Outgoing:
    headers = [(name.decode("ascii").lower(), value.decode("ascii")) for name, value in request.headers.raw]
    return Outgoing(request.method, str(request.url), headers, request.content)


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


class Inquiry:
    """One credential's requests: one at a time, paced, repeated within the rules, counted."""

    def __init__(
        self,
        wire: Wire,
        secret: Secret,
        *,
        pace: Pace,
        total: Pace,
        permitted: WriteProbes,
        observer: Observer,
    ) -> None:
        self._wire = wire
        self._secret = secret
        self._pace = pace
        self._total = total
        self.permitted = permitted
        self._observer = observer
        self._alone = asyncio.Lock()
        self.requests = 0

    async def ask(self, entry: Entry) -> Answer:
        """The answer, after up to three tries while rate-limited and, for a GET, one repeat of what was no answer."""
        async with self._alone:
            answer = await self._within_limits(entry)
            if entry.method == "GET" and answer.kind in _REPEATED_ONCE:
                answer = await self._within_limits(entry)
            return answer

    async def _within_limits(self, entry: Entry) -> Answer:
        for _ in range(TRIES_WHEN_LIMITED):
            await self._pace.turn()
            await self._total.turn()
            answer, limit = await self._wire.send(entry, self._secret, self.permitted)
            self.requests += 1
            self._observer.request(entry, answer)
            self._heed(answer, limit)
            if answer.kind is not AnswerKind.RATE_LIMITED:
                break
        return answer

    def _heed(self, answer: Answer, limit: RateLimit) -> None:
        limited = answer.kind is AnswerKind.RATE_LIMITED
        seconds = limit.back_off_seconds if limited else limit.pause_seconds
        if seconds > 0:
            self._pace.hold(seconds)
            self._observer.waited("rate_limited" if limited else "reserve", seconds)
