"""Greenhouse as this process reaches it: one total rate, one breaker, and the request without a key."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from checks.answer import Answer
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, WriteProbes
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.credential import OAuthClient, Secret, fingerprint
from checks.origin import origin
from checks.report import CheckReport
from checks.v1.check import KeyCheckRun, WriteGuard
from checks.v1.gate import Gate
from checks.v3.check import TokenCheckRun
from checks.v3.gate import INTROSPECT, TokenGate
from checks.wire.connection import ConnectionSettings
from checks.wire.key_client import KeyClient
from checks.wire.key_sender import PacedKeySender
from checks.wire.rate_limit import RateLimiter
from checks.wire.request_pacing import RequestObserver, RequestPacing
from checks.wire.token_client import TokenClient
from checks.wire.token_sender import PacedTokenSender
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits, TrackedCheck
from monitor.clock import elapsed, utc_now


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Requests per second for each credential and in total (0: no limit), times in seconds."""

    requests_per_second: float
    total_requests_per_second: float
    deadline_seconds: float


class Greenhouse:
    """Checks one credential, or many in parallel.

    `address` is Harvest's, `auth` that of the server that knows its tokens. WireError if they cannot be reached as the
    settings say.
    """

    def __init__(
        self,
        address: str,
        user_agent: str,
        connection: ConnectionSettings,
        limits: RequestLimits,
        observer: RequestObserver,
        breaker: CircuitBreaker | None = None,
        auth: str | None = None,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        api = origin(address)
        self._key_client = KeyClient(Gate(catalogue(), api, user_agent), connection, now)
        self._token_client = TokenClient(TokenGate(api, origin(auth or address), user_agent), connection, now)
        self._limits = limits
        self._observer = observer
        self._now = now
        self._clock = clock
        self._rates: WeakValueDictionary[str, RateLimiter] = WeakValueDictionary()  # by secret, while it is checked
        self._rates_key = secrets.token_bytes(32)
        self._total = RateLimiter(limits.total_requests_per_second, clock)
        self._breaker = breaker or CircuitBreaker(Limits.of(60), clock=clock)
        self._breaker.control_rate(self._total.set_rate, limits.total_requests_per_second)

    async def check(
        self,
        tenant_id: str,
        credential: Secret | OAuthClient,
        request: CheckRequest,
        permitted: WriteProbes,
        guard: WriteGuard,
    ) -> CheckReport:
        """One check of one credential; what Greenhouse answers, or fails to, is in the report and never raised."""
        with self._breaker.track(tenant_id) as tracked:
            match credential:
                case OAuthClient():
                    return await self._check_client(credential, request, tracked)
                case Secret():
                    return await self._check_key(credential, request, permitted, guard, tracked)

    async def _check_key(
        self, secret: Secret, request: CheckRequest, permitted: WriteProbes, guard: WriteGuard, tracked: TrackedCheck
    ) -> CheckReport:
        pacing = self._pacing(secret, _BreakerObserver(self._observer, self._breaker, tracked))
        async with self._key_client.session() as session:
            sender = PacedKeySender(session, secret, pacing, permitted)
            context = self._context(tracked)
            return await KeyCheckRun(sender, request, catalogue(), guard, self._send_without_key, context).report()

    async def _check_client(self, client: OAuthClient, request: CheckRequest, tracked: TrackedCheck) -> CheckReport:
        observer = _BreakerObserver(self._observer, self._breaker, tracked)
        # Only where no list can stand in is a failed introspection trouble for the breaker (docs/v3.md).
        pacing = self._pacing(client, observer if client.needs_introspection else _ListsObserver(observer))
        async with self._token_client.session() as session:
            sender = PacedTokenSender(session, client, pacing)
            return await TokenCheckRun(sender, client, request, self._context(tracked)).report()

    def _pacing(self, credential: Secret | OAuthClient, observer: RequestObserver) -> RequestPacing:
        """Checks of the same secret that run at the same time share its rate."""
        name = fingerprint(credential, self._rates_key)
        own = self._rates.get(name) or RateLimiter(self._limits.requests_per_second, self._clock)
        self._rates[name] = own
        return RequestPacing(own, self._total, observer)

    def _context(self, tracked: TrackedCheck) -> CheckContext:
        return CheckContext(
            self._now, self._clock, self._limits.deadline_seconds, stop=partial(self._breaker.must_stop, tracked)
        )

    async def _send_without_key(self) -> Answer:
        """Anew for each check that asks: what another was answered, hours or minutes ago, may be over."""
        entry = catalogue().anonymous
        # No credential's own rate: the request belongs to no tenant.
        await self._total.wait_for_turn()
        async with self._key_client.session() as session:
            answer, _ = await session.send(entry, None, WriteProbes.OFF)
        self._observer.request(entry, answer)
        return answer


@dataclass(frozen=True, slots=True)
class _BreakerObserver:
    """Counts one check's requests, and reports them to the breaker."""

    observer: RequestObserver
    breaker: CircuitBreaker
    tracked: TrackedCheck

    def request(self, entry: Entry, answer: Answer) -> None:
        self.observer.request(entry, answer)
        self.breaker.record(self.tracked, answer)

    def waited(self, reason: str, seconds: float) -> None:
        self.observer.waited(reason, seconds)


@dataclass(frozen=True, slots=True)
class _ListsObserver:
    """If lists can replace the introspection, a failed one does not count: it is not reported to the breaker."""

    observer: _BreakerObserver

    def request(self, entry: Entry, answer: Answer) -> None:
        counting = self.observer.observer if entry is INTROSPECT else self.observer
        counting.request(entry, answer)

    def waited(self, reason: str, seconds: float) -> None:
        self.observer.waited(reason, seconds)
