"""The breaker of a process: how many checks may begin, how fast they send, and who is notified."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from checks.answer import Answer, AnswerKind
from checks.wire.rate_limit import RateLimiter
from monitor.breaker.circuit_breaker import SLOW_CONCURRENCY_DIVISOR, SLOW_REQUESTS_PER_SECOND, CircuitBreaker
from monitor.breaker.machine import TRANSITIONS, BreakerReason, Limits, State, Transition
from monitor.breaker.recent_tenants import MANY, RecentTrouble
from monitor.breaker.signs import Sign
from monitor.metrics import Metrics
from tests.unit.test_metrics import value

LIMITS = Limits.of(60)
GOOD, BAD = Answer(AnswerKind.JSON, 200), Answer(AnswerKind.RATE_LIMITED, 429)


class BreakerRig:
    """A breaker with a clock of its own, and the transitions it made."""

    def __init__(self, *listeners: Callable[[Transition], None]) -> None:
        self.seconds = 0.0
        self.transitions: list[Transition] = []
        self.breaker = CircuitBreaker(
            LIMITS, [self.transitions.append, *listeners], clock=lambda: self.seconds, jitter=lambda: 0.0
        )

    def check(self, tenant: str, answer: Answer) -> bool:
        with self.breaker.track(tenant) as check:
            if self.breaker.must_stop(check):
                return False
            self.breaker.record(check, answer)
            return True

    def slow(self) -> "BreakerRig":
        for n in range(MANY):
            self.check(f"t{n}", BAD)
        assert self.breaker.state is State.SLOW
        return self

    def paused(self) -> "BreakerRig":
        self.slow()
        self.seconds += LIMITS.slow_before_pause
        assert self.breaker.state is State.PAUSED
        return self

    def probing(self) -> "BreakerRig":
        self.paused()
        self.seconds += LIMITS.first_pause
        assert self.breaker.state is State.PROBING
        return self


def test_while_closed_all_checks_may_begin() -> None:
    """As many as there are free slots."""
    breaker = BreakerRig().breaker
    assert [breaker.capacity(free, 50 - free) for free in (50, 7, 0)] == [50, 7, 0]


def test_while_slow_a_share_may_begin() -> None:
    """A quarter of all slots, counting those in use; at least one if there are few."""
    breaker = BreakerRig().slow().breaker
    assert [breaker.capacity(50 - running, running) for running in (0, 10, 12, 50)] == [12, 2, 0, -38]
    assert breaker.capacity(SLOW_CONCURRENCY_DIVISOR - 1, 0) == 1


def test_while_paused_none_may_begin_and_while_probing_one() -> None:
    """However many slots are free."""
    rig = BreakerRig()
    assert rig.paused().breaker.capacity(50, 0) == 0
    assert not rig.check("t9", GOOD)
    rig.seconds += LIMITS.first_pause
    assert [rig.breaker.capacity(free, 50 - free) for free in (50, 1, 0)] == [1, 1, 0]


async def _gap(limiter: RateLimiter, rig: BreakerRig) -> float:
    """The seconds from one request to the next."""
    rig.seconds += 1000
    await limiter.wait_for_turn()
    return round(await limiter.wait_for_turn(), 6)


@pytest.mark.parametrize(
    ("normal", "slowed"), [(0.0, SLOW_REQUESTS_PER_SECOND), (20.0, SLOW_REQUESTS_PER_SECOND), (2.0, 2.0)]
)
async def test_it_slows_all_requests_down_and_restores_their_rate(normal: float, slowed: float) -> None:
    """While slow, at most five a second, or fewer if so set; a paused check must not wait in line before it ends."""
    rig = BreakerRig()

    async def no_sleep(seconds: float) -> None: ...

    limiter = RateLimiter(normal, lambda: rig.seconds, no_sleep)
    rig.breaker.control_rate(limiter.set_rate, normal)
    assert await _gap(limiter, rig) == (1 / normal if normal else 0)
    rig.slow()
    assert await _gap(limiter, rig) == 1 / slowed
    assert rig.breaker.state is State.PAUSED
    assert await _gap(limiter, rig) == 0
    assert rig.breaker.state is State.PROBING
    assert await _gap(limiter, rig) == 1 / slowed
    rig.check("t9", GOOD)
    for n in range(int(LIMITS.slow_after_pause)):
        rig.check(f"t{n}", GOOD)
        rig.seconds += 1
    assert rig.breaker.state is State.CLOSED
    assert await _gap(limiter, rig) == (1 / normal if normal else 0)


def test_every_transition_is_published_and_logged() -> None:
    """In order; a pause is logged as an error, the others as warnings."""
    with capture_logs() as logs:
        rig = BreakerRig().probing()
    assert [transition.after for transition in rig.transitions] == [State.SLOW, State.PAUSED, State.PROBING]
    assert [line["log_level"] for line in logs] == ["warning", "error", "warning"]
    assert logs[1] == logs[1] | {
        "event": "breaker_turned", "before": "slow", "state": "paused", "reason": "rate_limited", "tenants": 5,
        "in_trouble": {"rate_limited": 5}, "pause_seconds": 60.0,
    }  # fmt: skip


def test_a_pause_for_good_is_logged_without_an_end() -> None:
    """JSON has no infinity."""
    breaker = CircuitBreaker(LIMITS.for_good(), clock=iter(range(0, 1000, 20)).__next__)
    with capture_logs() as logs:
        for n in range(MANY + 1):
            with breaker.track(f"t{n}") as check:
                breaker.record(check, BAD)
    assert [line["pause_seconds"] for line in logs] == [0.0, None]


def test_metrics_show_the_state_and_count_the_transitions() -> None:
    """One state is 1 at any time; every possible transition is exported from the start."""
    metrics = Metrics("test")
    assert value(metrics, "breaker_state", state="closed") == 1
    BreakerRig(metrics.breaker_changed).paused()
    assert [value(metrics, "breaker_state", state=state) for state in State] == [0, 0, 1, 0]
    assert value(metrics, "breaker_turns_total", state="paused", reason="rate_limited") == 1
    assert value(metrics, "breaker_turns_total", state="closed", reason="calm") == 0
    for state, reason in TRANSITIONS:
        metrics.breaker_changed(Transition(0, State.CLOSED, state, reason, RecentTrouble()))
    assert {reason for _, reason in TRANSITIONS} == set(BreakerReason)
    assert {BreakerReason(sign) for sign in Sign} <= set(BreakerReason)
