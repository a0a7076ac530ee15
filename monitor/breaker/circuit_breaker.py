"""The breaker of this process: every check asks it, every answer is told to it, and its turns are told to others."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import SystemRandom

import structlog

from checks.answer import Answer
from checks.wire.rate_limit import RateLimiter
from monitor.breaker.machine import Limits, Machine, State, Ticket, Transition
from monitor.breaker.signs import sign_of
from monitor.clock import elapsed

log = structlog.get_logger()

SLOW_REQUESTS_PER_SECOND = 5.0  # in all; less where the setting is lower
SLOW_PLACES_ONE_IN = 4

Told = Callable[[Transition], None]
_any_share = SystemRandom().random


class CircuitBreaker:
    """`told` hears of every turn; `clock` counts seconds, also while the machine sleeps."""

    def __init__(
        self,
        limits: Limits,
        told: Sequence[Told] = (),
        clock: Callable[[], float] = elapsed,
        jitter: Callable[[], float] = _any_share,
    ) -> None:
        self._machine = Machine(limits, jitter)
        self._told = told
        self._clock = clock
        self._paces: list[tuple[RateLimiter, float]] = []

    def governs(self, pace: RateLimiter, per_second: float) -> None:
        """Slow this pace of all requests down with the checks; `per_second` is its own (0: no limit)."""
        self._paces.append((pace, per_second))

    @property
    def state(self) -> State:
        self._machine.look(self._clock())
        self._pass_on()
        return self._machine.state

    def room(self, free: int, running: int) -> int:
        """How many more checks may begin, of so many that there are places for while so many run."""
        match self.state:
            case State.SLOW:
                return min(free, max((free + running) // SLOW_PLACES_ONE_IN, 1) - running)
            case State.PAUSED:
                return 0
            case State.PROBING:
                return min(free, 1)
        return free

    @contextmanager
    def watching(self, tenant_id: str) -> Iterator[Ticket]:
        """One check of one tenant, from its first request to its last."""
        ticket = self._machine.begin(tenant_id, self._clock())
        self._pass_on()
        try:
            yield ticket
        finally:
            self._machine.end(ticket, self._clock())
            self._pass_on()

    def stops(self, ticket: Ticket) -> bool:
        """Whether the check is to send nothing more."""
        goes_on = self._machine.may_send(ticket, self._clock())
        self._pass_on()
        return not goes_on

    def heard(self, ticket: Ticket, answer: Answer) -> None:
        self._machine.hear(ticket, sign_of(answer, ticket.served), self._clock())
        self._pass_on()

    def _pass_on(self) -> None:
        while self._machine.transitions:
            turn = self._machine.transitions.pop(0)
            self._set_paces(turn.after)
            _log(turn)
            for told in self._told:
                told(turn)

    def _set_paces(self, state: State) -> None:
        for pace, own in self._paces:
            match state:
                case State.CLOSED:
                    pace.set_rate(own)
                case State.PAUSED:
                    pace.set_rate(0)  # nothing is sent: checks that wait for their turn are to end soon
                case _:
                    pace.set_rate(min(own or SLOW_REQUESTS_PER_SECOND, SLOW_REQUESTS_PER_SECOND))


def _log(turn: Transition) -> None:
    write = log.error if turn.after is State.PAUSED else log.warning
    write(
        "breaker_turned",
        before=turn.before.value,
        state=turn.after.value,
        reason=turn.reason.value,
        tenants=turn.seen.heard,
        in_trouble={sign.value: number for sign, number in turn.seen.troubled.items()},
        pause_seconds=round(turn.pause_seconds, 1) if math.isfinite(turn.pause_seconds) else None,
    )
