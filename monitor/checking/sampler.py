"""The sample: when a tenant changes, some others are checked ahead of time. Do they change alike?"""

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import State
from monitor.checking import sampler_queries
from monitor.checking.check_limits import CheckLimits
from monitor.checking.sampler_queries import Candidate, NewChange
from monitor.config.settings import NoticesMode, Settings
from monitor.metrics import Metrics
from monitor.store.database import Database

log = structlog.get_logger()

_HOUR = timedelta(hours=1)
_SHORTEST_SPACING = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SampleLimits:
    """`size` tenants at a time, `per_hour` in an hour; for one brake key once in `spacing`.

    What is due within `lease` is left alone: it may be under way. Samples are remembered for `keep`.
    """

    size: int
    per_hour: int
    spacing: timedelta
    lease: timedelta
    keep: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "SampleLimits":
        """Without notices there is no email that a sample could hold back."""
        wanted = settings.notices_in_force is not NoticesMode.OFF
        return cls(
            settings.sample if wanted else 0,
            settings.sample_per_hour,
            spacing=max(settings.settle, _SHORTEST_SPACING),
            lease=CheckLimits.of(settings).lease,
            keep=max(settings.interval, _HOUR),
        )


class Sampler:
    """Only plans: the dispatcher checks what is due, at its own pace. Nothing while the breaker is not closed."""

    def __init__(self, db: Database, breaker: CircuitBreaker, metrics: Metrics, limits: SampleLimits) -> None:
        self._db = db
        self._breaker = breaker
        self._metrics = metrics
        self._limits = limits

    async def run_once(self, now: datetime) -> int:
        """Bring checks forward for the changes confirmed lately, if any are new; returns how many."""
        if self._limits.size == 0 or self._breaker.state is not State.CLOSED:
            return 0
        since = now - self._limits.spacing
        async with self._db.reading() as conn:
            if not await sampler_queries.new_changes(conn, since, now):
                return 0
        async with self._db.writing() as conn:
            await sampler_queries.lock(conn)
            planned = 0
            for changes in _by_kind(await sampler_queries.new_changes(conn, since, now)):
                planned += await self._plan(conn, changes, now)
            if planned:
                await sampler_queries.forget(conn, now - self._limits.keep)
        if planned:
            self._metrics.sampled(planned)
            log.info("checks_brought_forward", checks=planned)
        return planned

    async def _plan(self, conn: AsyncConnection, changes: list[NewChange], now: datetime) -> int:
        room = self._limits.per_hour - await sampler_queries.sampled_since(conn, now - _HOUR)
        if room <= 0:
            return 0
        found = await sampler_queries.candidates(conn, changes, now + self._limits.lease)
        chosen = spread(found, min(self._limits.size, room), str(changes[0].at))
        if chosen:
            await sampler_queries.plan(conn, chosen, {change.brake_key for change in changes}, now)
        return len(chosen)


def spread(candidates: Iterable[Candidate], size: int, seed: str) -> list[Candidate]:
    """One credential of each tenant, chosen by a hash: another choice for another seed."""

    def place(candidate: Candidate) -> bytes:
        return hashlib.sha256(f"{seed} {candidate.tenant_id}".encode()).digest()

    of_tenant = {candidate.tenant_id: candidate for candidate in candidates}
    return heapq.nsmallest(size, of_tenant.values(), key=place)


def _by_kind(changes: Iterable[NewChange]) -> list[list[NewChange]]:
    """Changes of keys and of clients separately: one kind says nothing about the other."""
    kinds: dict[str, list[NewChange]] = {}
    for change in changes:
        kinds.setdefault(change.credential_kind, []).append(change)
    return list(kinds.values())
