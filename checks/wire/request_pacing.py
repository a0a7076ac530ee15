"""What the requests of one credential keep to: its own rate, the rate of all, and the pauses that answers ask for."""

from typing import Protocol

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry
from checks.wire.rate_limit import RateLimit, RateLimiter

TRIES_WHEN_LIMITED = 3
REPEATED_ONCE = frozenset(
    {AnswerKind.SERVER_ERROR, AnswerKind.TIMEOUT, AnswerKind.NO_CONNECTION, AnswerKind.NOT_JSON, AnswerKind.COPY}
)
"""A read with such an answer is sent once more: a single failure does not count yet."""


class RequestObserver(Protocol):
    """Counts what goes over the wire: every request, repeats included, and every pause."""

    def request(self, entry: Entry, answer: Answer) -> None: ...

    def waited(self, reason: str, seconds: float) -> None: ...


class RequestPacing:
    """`own` limits the credential's rate, `total` that of all credentials together."""

    def __init__(self, own: RateLimiter, total: RateLimiter, observer: RequestObserver) -> None:
        self._own = own
        self._total = total
        self._observer = observer
        self.requests = 0

    async def wait_for_turn(self) -> None:
        # Its own turn first: a turn of the total, taken earlier, would pass unused during the credential's own pause.
        await self._own.wait_for_turn()
        await self._total.wait_for_turn()

    def count(self, entry: Entry, answer: Answer, limit: RateLimit) -> None:
        """Counts one request that was sent, and pauses where its answer asks for that."""
        self.requests += 1
        self._observer.request(entry, answer)
        limited = answer.kind is AnswerKind.RATE_LIMITED
        seconds = limit.back_off_seconds if limited else limit.pause_seconds
        if seconds > 0:
            # Never the total: one tenant's limit slows nobody else, and the breaker handles trouble of many.
            self._own.pause(seconds)
            self._observer.waited("rate_limited" if limited else "reserve", seconds)
