"""The only module that opens connections to Greenhouse.

httpx is the interface and aiohttp the engine under it. Left alone, that engine sends a PUT, GET or DELETE again after a
dropped keep-alive and shares cookies between tenants: here nothing is sent twice unasked and no cookie is kept.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from checks.answer import Answer, AnswerKind, reduce
from checks.asking import Watch
from checks.budget import Pace, RateLimit, rate_limit
from checks.catalogue import Entry, WriteProbes
from checks.credential import Secret, basic_authorization
from checks.errors import WireError
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
        response = await handler(request)
        response.reason = None  # not UTF-8 at times, which the layer above does not survive
        return response
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent, and aiohttp does not try again
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped(type(error).__name__) from error


class Wire:
    """How this process reaches Greenhouse. Each look at a credential has a line of its own.

    WireError if the connection can not be set up as told.
    """

    def __init__(self, gate: Gate, connection: Connection, now: Callable[[], datetime]) -> None:
        if connection.proxy and gate.in_clear:
            raise WireError("a proxy can not be used with an http address: the key would travel in clear")
        self._gate = gate
        self._connection = connection
        self._now = now
        self._context = _tls(connection.ca_bundle)

    @asynccontextmanager
    async def line(self) -> AsyncIterator["Line"]:
        """A line for one credential: a late answer on a connection that stays open is never taken for another's."""
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
            yield Line(self._gate, self._connection, self._now, transport)
        finally:
            await transport.aclose()


@dataclass(frozen=True, slots=True)
class Line:
    """Sends one request after the other; what goes out has passed the gate as it stands."""

    gate: Gate
    connection: Connection
    now: Callable[[], datetime]
    transport: AiohttpTransport

    async def send(self, entry: Entry, secret: Secret | None, permitted: WriteProbes) -> tuple[Answer, RateLimit]:
        """One request, sent at most once. GateRefusal if it may not be sent; whatever else happens is an answer."""
        authorization = None if secret is None else basic_authorization(secret)
        request = httpx.Request(
            entry.method,
            self.gate.url_of(entry),
            headers=self.gate.headers_for(entry, authorization),
            content=entry.body,
            extensions={"timeout": {"connect": self.connection.connect_timeout, "read": self.connection.read_timeout}},
        )
        self.gate.check(_outgoing(request), permitted)
        ends_at = asyncio.get_running_loop().time() + self.connection.request_timeout
        try:
            async with asyncio.timeout_at(ends_at):
                response = await self.transport.handle_async_request(request)
        except Exception as error:  # the libraries below raise more than they say
            return Answer(_failure(error)), _NO_LIMIT
        return await self._heard(entry, response, ends_at)

    async def _heard(self, entry: Entry, response: httpx.Response, ends_at: float) -> tuple[Answer, RateLimit]:
        """The head has come: its status stands, whatever becomes of the body."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        limit = rate_limit(headers, self.now())
        try:
            async with asyncio.timeout_at(ends_at):
                body, complete = await _read(response, headers.get("content-encoding", "identity"))
        except Exception as error:
            return Answer(_failure(error), response.status_code), limit
        finally:
            await response.aclose()
        return reduce(entry, response.status_code, headers, body, complete=complete), limit


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (ssl.SSLError, OSError) as problem:
        raise WireError(f"{ca_bundle} holds no certificates in PEM ({problem}): correct the CA bundle's path") from None
    # SSLKEYLOGFILE in the environment would have the session keys written out; None turns that off.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


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
        line: Line,
        secret: Secret,
        *,
        pace: Pace,
        total: Pace,
        permitted: WriteProbes,
        observer: Observer,
    ) -> None:
        self._line = line
        self._secret = secret
        self._pace = pace
        self._total = total
        self.permitted = permitted
        self._observer = observer
        self._alone = asyncio.Lock()
        self.requests = 0

    async def ask(self, entry: Entry, watch: Watch) -> Answer | None:
        """The answer, after up to three tries while rate-limited and, for a GET, one repeat of what was no answer.

        None if the watch did not let it go.
        """
        async with self._alone:
            answer = await self._within_limits(entry, watch)
            if answer is not None and entry.method == "GET" and answer.kind in _REPEATED_ONCE:
                answer = await self._within_limits(entry, watch)
            return answer

    async def _within_limits(self, entry: Entry, watch: Watch) -> Answer | None:
        answer = None
        for _ in range(TRIES_WHEN_LIMITED):
            await self._pace.turn()
            await self._total.turn()
            if not await watch.may_send(entry):
                return None
            sending = self._send(entry, watch)
            answer = await (_to_the_end(sending) if entry.is_write else sending)
            if answer.kind is not AnswerKind.RATE_LIMITED:
                break
        return answer

    async def _send(self, entry: Entry, watch: Watch) -> Answer:
        answer, limit = await self._line.send(entry, self._secret, self.permitted)
        self.requests += 1
        self._observer.request(entry, answer)
        self._heed(answer, limit)
        await watch.heard(entry, answer)
        return answer

    def _heed(self, answer: Answer, limit: RateLimit) -> None:
        limited = answer.kind is AnswerKind.RATE_LIMITED
        seconds = limit.back_off_seconds if limited else limit.pause_seconds
        if seconds > 0:
            self._pace.hold(seconds)
            self._observer.waited("rate_limited" if limited else "reserve", seconds)


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
