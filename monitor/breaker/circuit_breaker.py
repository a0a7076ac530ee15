"""The breaker of this process: it learns from every answer, and decides whether checks may begin and send."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import SystemRandom

import structlog

from checks.answer import Answer
from monitor.breaker.machine import Limits, Machine, State, TrackedCheck, Transition
from monitor.breaker.signs import sign_of
from monitor.clock import elapsed

log = structlog.get_logger()

SLOW_REQUESTS_PER_SECOND = 5.0  # in total; less where the setting is lower
SLOW_CONCURRENCY_DIVISOR = 4  # while slow, a quarter of the usual checks at once

Listener = Callable[[Transition], None]
SetRate = Callable[[float], None]
_random_share = SystemRandom().random


class CircuitBreaker:
    """Every transition is passed to the `listeners`. `clock` counts seconds, also while the machine sleeps."""

    def __init__(
        self,
        limits: Limits,
        listeners: Sequence[Listener] = (),
        clock: Callable[[], float] = elapsed,
        jitter: Callable[[], float] = _random_share,
    ) -> None:
        self._machine = Machine(limits, jitter)
        self._listeners = listeners
        self._clock = clock
        self._rates: list[tuple[SetRate, float]] = []

    def control_rate(self, set_rate: SetRate, per_second: float) -> None:
        """Lower this rate of requests while slow; `per_second` is the normal one (0: no limit)."""
        self._rates.append((set_rate, per_second))

    @property
    def state(self) -> State:
        self._machine.advance(self._clock())
        self._publish()
        return self._machine.state

    def capacity(self, free: int, running: int) -> int:
        """How many more checks may begin, given free slots and running checks; below 0 if too many are running."""
        match self.state:
            case State.SLOW:
                return min(free, max((free + running) // SLOW_CONCURRENCY_DIVISOR, 1) - running)
            case State.PAUSED:
                return 0
            case State.PROBING:
                return min(free, 1)
        return free

    @contextmanager
    def track(self, tenant_id: str) -> Iterator[TrackedCheck]:
        """Wrap one check of one tenant, from its first request to its last."""
        check = self._machine.begin(tenant_id, self._clock())
        self._publish()
        try:
            yield check
        finally:
            self._machine.end(check, self._clock())
            self._publish()

    def must_stop(self, check: TrackedCheck) -> bool:
        """Whether the check must send nothing more."""
        may_send = self._machine.may_send(check, self._clock())
        self._publish()
        return not may_send

    def record(self, check: TrackedCheck, answer: Answer) -> None:
        self._machine.record(check, sign_of(answer, check.served), self._clock())
        self._publish()

    def _publish(self) -> None:
        while self._machine.transitions:
            transition = self._machine.transitions.pop(0)
            self._set_rates(transition.after)
            _log(transition)
            for listener in self._listeners:
                listener(transition)

    def _set_rates(self, state: State) -> None:
        for set_rate, normal in self._rates:
            match state:
                case State.CLOSED:
                    set_rate(normal)
                case State.PAUSED:
                    set_rate(0)  # nothing is sent: checks waiting in line must see that, and end, soon
                case _:
                    set_rate(min(normal or SLOW_REQUESTS_PER_SECOND, SLOW_REQUESTS_PER_SECOND))


def _log(transition: Transition) -> None:
    write = log.error if transition.after is State.PAUSED else log.warning
    write(
        "breaker_turned",
        before=transition.before.value,
        state=transition.after.value,
        reason=transition.reason.value,
        tenants=transition.trouble.tenants,
        in_trouble={sign.value: number for sign, number in transition.trouble.by_sign.items()},
        pause_seconds=round(transition.pause_seconds, 1) if math.isfinite(transition.pause_seconds) else None,
    )
