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

import aiohttp
import httpx
from aiohttp.tracing import Trace
from httpx_aiohttp import AiohttpTransport

from checks.answer import AnswerKind
from checks.connection_failure import ConnectionFailure
from checks.errors import WireError
from checks.origin import OutgoingRequest
from checks.wire.copies import Copies
from checks.wire.failure_cause import connection_failure
from checks.wire.progress import (
    ConnectionProgress,
    ConnectionStep,
    WatchedHandshake,
    WatchedResolver,
    progress,
    reached,
)

MOST_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How Greenhouse is reached; times in seconds. `request_timeout` bounds one request from first to last byte."""

    connect_timeout: float = 10.0
    read_timeout: float = 20.0
    request_timeout: float = 30.0
    proxy: str | None = None
    ca_bundle: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """What came back, if anything did: `failure` says why there is no status, or no body behind one.

    `cause` says more where that was the connection.
    """

    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)  # perhaps a new token
    complete: bool = True
    failure: AnswerKind | None = None
    cause: ConnectionFailure | None = None


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


class _SilentUntilAsked(aiohttp.TCPConnector):
    """Gives no connection on which something came unasked: it would be taken for the answer to the next request."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (so it is called there)
    ) -> aiohttp.connector.Connection:
        reached(ConnectionStep.CONNECTING)
        for _ in range(2):  # the one that was kept, then a new one
            connection = await super().connect(req, traces, timeout)
            reached(ConnectionStep.WAITING)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ClientConnectionError("the server speaks before it is asked")


class _Reached(Exception):
    """A connection stands, on which nothing is to be sent."""


class _SendsNothing(_SilentUntilAsked):
    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (so it is called there)
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        connection.close()
        raise _Reached


class Connector:
    """Opens connections to one service of Greenhouse; WireError if the settings do not allow one."""

    def __init__(self, in_clear: bool, settings: ConnectionSettings) -> None:
        if settings.proxy and in_clear:
            raise WireError("a proxy cannot be used with an http address: the key would travel unencrypted")
        self._settings = settings
        # One for all connections: making a TLS context takes 20 to 40 ms.
        self._context = _tls(settings.ca_bundle)
        # Of all connections together: what a cache gives to one tenant was given to another before.
        self._copies = Copies()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Connection"]:
        """For one credential: a late answer on a connection that stays open is never taken for another's."""
        connection = Connection(self._settings, self._new_transport, self._copies)
        try:
            yield connection
        finally:
            await connection.close()

    async def reach(self, url: str) -> ConnectionFailure | None:
        """Why a request to `url` would find no connection, if so: connects, through the proxy, and ends there.

        The server sees a TLS handshake and no request.
        """
        request = httpx.Request("GET", url, extensions={"timeout": _timeouts(self._settings)})
        progress.set(ConnectionProgress(request.url.host, proxied=self._settings.proxy is not None))
        transport = self._new_transport(_SendsNothing)
        try:
            async with asyncio.timeout(self._settings.request_timeout):
                await transport.handle_async_request(request)
        except _Reached:
            return None
        except Exception as error:
            return _cause(error, request, self._settings)
        finally:
            await transport.aclose()
        return None

    def _new_transport(self, connector: type[_SilentUntilAsked] = _SilentUntilAsked) -> AiohttpTransport:
        session = aiohttp.ClientSession(
            connector=connector(ssl=self._context, limit=0, keepalive_timeout=10, resolver=WatchedResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            # The gate compares all headers, so none may be added behind it.
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            middlewares=(_send_once,),
            # The environment's netrc would add an Authorization header, its proxies another way out.
            trust_env=False,
        )
        proxy = _proxy(self._settings.proxy) if self._settings.proxy else None
        return AiohttpTransport(verify=self._context, client=session, proxy=proxy, trust_env=False)


class Connection:
    """Sends one request after the other, each at most once; a failure is in the result, never raised.

    What is asked again, and what follows a refusal, goes over a new connection: a balancer that keeps a connection to
    one server would let that server confirm itself.
    """

    def __init__(
        self, settings: ConnectionSettings, new_transport: Callable[[], AiohttpTransport], copies: Copies
    ) -> None:
        self._settings = settings
        self._new_transport = new_transport
        self._transport = new_transport()
        self._copies = copies
        self._asked: set[tuple[str, str]] = set()
        self._refused = False

    async def close(self) -> None:
        await self._transport.aclose()

    async def send(self, made: OutgoingRequest, check: Callable[[OutgoingRequest], object]) -> Received:
        """`check` sees the request as it leaves, not as it was made, and raises GateRefusal to keep it here."""
        extensions = {"timeout": _timeouts(self._settings)}
        request = httpx.Request(
            made.method, made.url, headers=list(made.headers), content=made.body, extensions=extensions
        )
        check(_as_it_leaves(request))
        if self._refused or (made.method, made.url) in self._asked:
            await self._transport.aclose()
            self._transport = self._new_transport()
        self._asked.add((made.method, made.url))
        received = await self._exchange(request)
        self._refused = received.status in (401, 403)
        return received

    async def _exchange(self, request: httpx.Request) -> Received:
        # The read timeout starts again with every byte; this one bounds the request as a whole.
        ends_at = asyncio.get_running_loop().time() + self._settings.request_timeout
        progress.set(ConnectionProgress(request.url.host, proxied=self._settings.proxy is not None))
        try:
            async with asyncio.timeout_at(ends_at):
                # Not an httpx.AsyncClient, which adds headers of its own and logs whole URLs at INFO (httpx 0.28).
                response = await self._transport.handle_async_request(request)
        except Exception as error:  # the libraries below raise more than they document
            return Received(None, {}, failure=_failure(error), cause=_cause(error, request, self._settings))
        return await self._receive(request, response, ends_at)

    async def _receive(self, request: httpx.Request, response: httpx.Response, ends_at: float) -> Received:
        """The head was received: its status counts, whatever happens to the body."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            if self._copies.has(response.status_code, headers):
                return Received(response.status_code, headers, failure=AnswerKind.COPY)
            async with asyncio.timeout_at(ends_at):
                body, complete = await _read(response, headers.get("content-encoding", "identity"))
        except Exception as error:
            cause = _cause(error, request, self._settings)
            return Received(response.status_code, headers, failure=_failure(error), cause=cause)
        finally:
            await response.aclose()
        return Received(response.status_code, headers, body, complete)


def _proxy(address: str) -> httpx.Proxy:
    """User and password as a header: aiohttp warns when it is given them as such (3.14)."""
    given = httpx.Proxy(address)
    login = {"Proxy-Authorization": aiohttp.encode_basic_auth(*given.auth)} if given.auth else None
    return httpx.Proxy(given.url, headers=login)


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (ssl.SSLError, OSError) as problem:
        raise WireError(f"{ca_bundle} holds no certificates in PEM ({problem}): correct the CA bundle's path") from None
    # SSLKEYLOGFILE in the environment would have the session keys written out; None turns that off.
    context.keylog_filename = None  # type: ignore[assignment]
    context.sslobject_class = WatchedHandshake
    return context


def _as_it_leaves(request: httpx.Request) -> OutgoingRequest:
    headers = [(name.decode("ascii").lower(), value.decode("ascii")) for name, value in request.headers.raw]
    return OutgoingRequest(request.method, str(request.url), headers, request.content)


def _timeouts(settings: ConnectionSettings) -> dict[str, float]:
    return {"connect": settings.connect_timeout, "read": settings.read_timeout}


def _cause(error: Exception, request: httpx.Request, settings: ConnectionSettings) -> ConnectionFailure:
    return connection_failure(error, progress.get(), str(request.url.netloc, "ascii"), settings.proxy)


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
    """We do not ask for compression; for a server that still compresses the limit is the same."""
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
