"""Greenhouse as the service reaches it: one pace and one breaker, one request without a key per interval."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import Entry, WriteProbes, catalogue
from checks.check_request import CheckRequest
from checks.credential import OAuthClient, Secret
from checks.report import CheckReport
from checks.v1 import check as harvest_key
from checks.v1.check import Means, WriteGuard
from checks.v1.gate import Gate, origin
from checks.v1.key_state import SETTLES_NOTHING
from checks.v3 import check as harvest_oauth
from checks.v3.check import Time
from checks.v3.gate import INTROSPECT, TokenGate
from checks.wire.client import ConnectionSettings, HarvestClient, TokenClient
from checks.wire.rate_limit import RateLimiter
from checks.wire.sender import PacedSender, PacedTokenSender, RequestObserver
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits, TrackedCheck
from monitor.clock import elapsed, utc_now
from monitor.config.settings import Settings
from monitor.version import user_agent

MOST_REQUESTS = 90  # of one check of 65 permissions with every control
TO_WRITE_DOWN = timedelta(minutes=1)  # a locked database keeps nobody waiting for longer than half of it


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How Greenhouse is treated: requests per second for each credential and in all (0: no limit), times in seconds."""

    requests_per_second: float
    total_requests_per_second: float
    deadline_seconds: float
    interval_seconds: float


class Greenhouse:
    """Looks at one credential at a time, or at many side by side.

    `address` is Harvest's, `auth` that of the server that knows its tokens. WireError if they can not be reached as the
    settings say.
    """

    def __init__(
        self,
        address: str,
        user_agent: str,
        connection: ConnectionSettings,
        manners: RequestLimits,
        observer: RequestObserver,
        breaker: CircuitBreaker | None = None,
        auth: str | None = None,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        api = origin(address)
        self._wire = HarvestClient(Gate(catalogue(), api, user_agent), connection, now)
        self._token_wire = TokenClient(TokenGate(api, origin(auth or address), user_agent), connection, now)
        self._manners = manners
        self._observer = observer
        self._now = now
        self._clock = clock
        self._total = RateLimiter(manners.total_requests_per_second, clock)
        self._breaker = breaker or CircuitBreaker(Limits.of(60), clock=clock)
        self._breaker.control_rate(self._total.change, manners.total_requests_per_second)
        self._anonymous = _OncePerInterval(self._ask_without_key, manners.interval_seconds, clock)

    async def check(
        self,
        tenant_id: str,
        credential: Secret | OAuthClient,
        question: CheckRequest,
        permitted: WriteProbes,
        guard: WriteGuard,
    ) -> CheckReport:
        """One look at one credential; what Greenhouse answers, or fails to, is in the report and never raised."""
        with self._breaker.track(tenant_id) as ticket:
            match credential:
                case OAuthClient():
                    return await self._check_client(credential, question, ticket)
                case Secret():
                    return await self._check_key(credential, question, permitted, guard, ticket)

    async def _check_key(
        self, secret: Secret, question: CheckRequest, permitted: WriteProbes, guard: WriteGuard, ticket: TrackedCheck
    ) -> CheckReport:
        means = Means(
            guard=guard,
            anonymous=self._anonymous.answer,
            now=self._now,
            clock=self._clock,
            deadline_seconds=self._manners.deadline_seconds,
            stop=partial(self._breaker.must_stop, ticket),
        )
        async with self._wire.line() as line:
            inquiry = PacedSender(
                line,
                secret,
                pace=self._own_pace,
                total=self._total,
                permitted=permitted,
                observer=self._hearing(ticket),
            )
            return await harvest_key.check(inquiry, question, catalogue(), means)

    async def _check_client(self, client: OAuthClient, question: CheckRequest, ticket: TrackedCheck) -> CheckReport:
        time = Time(self._now, self._clock, self._manners.deadline_seconds, partial(self._breaker.must_stop, ticket))
        hearing = self._hearing(ticket)
        observer = hearing if client.needs_introspection else _HearingLists(hearing)
        async with self._token_wire.line() as line:
            inquiry = PacedTokenSender(line, client, pace=self._own_pace, total=self._total, observer=observer)
            return await harvest_oauth.check(inquiry, client, question, time)

    @property
    def _own_pace(self) -> RateLimiter:
        """A new one for each look at a credential."""
        return RateLimiter(self._manners.requests_per_second, self._clock)

    def _hearing(self, ticket: TrackedCheck) -> "_Hearing":
        return _Hearing(self._observer, self._breaker, ticket)

    async def _ask_without_key(self) -> Answer:
        entry = catalogue().anonymous
        await self._total.turn()
        async with self._wire.line() as line:
            answer, _ = await line.send(entry, None, WriteProbes.OFF)
        self._observer.request(entry, answer)
        return answer


def open_greenhouse(settings: Settings, observer: RequestObserver, breaker: CircuitBreaker) -> Greenhouse:
    """Greenhouse as the settings say it is reached and treated."""
    return Greenhouse(
        address=settings.harvest_url,
        auth=settings.auth_url,
        user_agent=user_agent(settings.contact),
        connection=ConnectionSettings(
            connect_timeout=settings.connect_timeout.total_seconds(),
            read_timeout=settings.read_timeout.total_seconds(),
            request_timeout=settings.request_timeout.total_seconds(),
            proxy=settings.http_proxy.get_secret_value() if settings.http_proxy else None,
            ca_bundle=str(settings.ca_bundle) if settings.ca_bundle else None,
        ),
        manners=RequestLimits(
            requests_per_second=settings.requests_per_second,
            total_requests_per_second=settings.total_requests_per_second,
            deadline_seconds=settings.deadline.total_seconds(),
            interval_seconds=settings.interval.total_seconds(),
        ),
        observer=observer,
        breaker=breaker,
    )


def longest_look(settings: Settings) -> timedelta:
    """How long a look can last at the utmost: its deadline, and the last request on the wire."""
    return settings.deadline + settings.request_timeout


def hold(settings: Settings) -> timedelta:
    """How long a credential is left to whoever has taken it up: the longest look, and time to write it down."""
    return longest_look(settings) + min(TO_WRITE_DOWN, settings.deadline)


def places(settings: Settings) -> int:
    """Checks at once: no more than the total rate carries to their end within the deadline."""
    if settings.total_requests_per_second == 0:
        return settings.concurrency
    carried = settings.total_requests_per_second * settings.deadline.total_seconds() / MOST_REQUESTS
    return max(1, min(settings.concurrency, int(carried)))


@dataclass(frozen=True, slots=True)
class _Hearing:
    """The observer of one check's requests, with the breaker listening."""

    observer: RequestObserver
    breaker: CircuitBreaker
    ticket: TrackedCheck

    def request(self, entry: Entry, answer: Answer) -> None:
        self.observer.request(entry, answer)
        self.breaker.record(self.ticket, answer)

    def waited(self, reason: str, seconds: float) -> None:
        self.observer.waited(reason, seconds)


@dataclass(frozen=True, slots=True)
class _HearingLists:
    """As `_Hearing`, where lists can stand in for the introspection: that it fails is no trouble yet."""

    hearing: _Hearing

    def request(self, entry: Entry, answer: Answer) -> None:
        if entry is INTROSPECT:
            self.hearing.observer.request(entry, answer)
        else:
            self.hearing.request(entry, answer)

    def waited(self, reason: str, seconds: float) -> None:
        self.hearing.waited(reason, seconds)


class _OncePerInterval:
    """Remembers one answer for an interval, however many tenants ask at once; one that settles nothing is forgotten."""

    def __init__(self, ask: Callable[[], Awaitable[Answer]], seconds: float, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._kept: Answer | None = None
        self._until = 0.0
        self._alone = asyncio.Lock()

    async def answer(self) -> Answer:
        async with self._alone:
            if self._kept is None or self._clock() >= self._until:
                self._kept = await self._ask()
                settles = self._kept.kind not in SETTLES_NOTHING or self._kept.kind is AnswerKind.INVALID_KEY
                self._until = self._clock() + (self._seconds if settles else 0)
            return self._kept
