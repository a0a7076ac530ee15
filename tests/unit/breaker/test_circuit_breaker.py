"""The breaker of a process: how many checks it lets begin, how fast they ask, and whom it tells."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from checks.answer import Answer, AnswerKind
from checks.wire.rate_limit import RateLimiter
from monitor.breaker.circuit_breaker import SLOW_PLACES_ONE_IN, SLOW_REQUESTS_PER_SECOND, CircuitBreaker
from monitor.breaker.machine import TURNS, BreakerReason, Limits, State, Transition
from monitor.breaker.recent_tenants import MANY, RecentTrouble
from monitor.breaker.signs import Sign
from monitor.metrics import Metrics
from tests.unit.test_metrics import value

LIMITS = Limits.of(60)
GOOD, BAD = Answer(AnswerKind.JSON, 200), Answer(AnswerKind.RATE_LIMITED, 429)


class Stand:
    def __init__(self, *told: Callable[[Transition], None]) -> None:
        self.seconds = 0.0
        self.turns: list[Transition] = []
        self.breaker = CircuitBreaker(
            LIMITS, [self.turns.append, *told], clock=lambda: self.seconds, jitter=lambda: 0.0
        )

    def check(self, tenant: str, answer: Answer) -> bool:
        with self.breaker.watching(tenant) as ticket:
            if self.breaker.stops(ticket):
                return False
            self.breaker.heard(ticket, answer)
            return True

    def slow(self) -> "Stand":
        for n in range(MANY):
            self.check(f"t{n}", BAD)
        assert self.breaker.state is State.SLOW
        return self

    def paused(self) -> "Stand":
        self.slow()
        self.seconds += LIMITS.slow_before_pause
        assert self.breaker.state is State.PAUSED
        return self

    def probing(self) -> "Stand":
        self.paused()
        self.seconds += LIMITS.first_pause
        assert self.breaker.state is State.PROBING
        return self


def test_closed_it_lets_everything_begin() -> None:
    """As many as there is room for."""
    breaker = Stand().breaker
    assert [breaker.room(free, 50 - free) for free in (50, 7, 0)] == [50, 7, 0]


def test_slow_it_lets_a_share_begin() -> None:
    """A quarter of all places, those taken counted; at least one where there are few."""
    breaker = Stand().slow().breaker
    assert [breaker.room(50 - running, running) for running in (0, 10, 12, 50)] == [12, 2, 0, -38]
    assert breaker.room(SLOW_PLACES_ONE_IN - 1, 0) == 1


def test_paused_it_lets_nothing_begin_and_probing_one() -> None:
    """Whatever there is room for."""
    stand = Stand()
    assert stand.paused().breaker.room(50, 0) == 0
    assert not stand.check("t9", GOOD)
    stand.seconds += LIMITS.first_pause
    assert [stand.breaker.room(free, 50 - free) for free in (50, 1, 0)] == [1, 1, 0]


async def _gap(pace: RateLimiter, stand: Stand) -> float:
    """The seconds from one turn to the next."""
    stand.seconds += 1000
    await pace.wait_for_turn()
    return round(await pace.wait_for_turn(), 6)


@pytest.mark.parametrize(
    ("own", "slowed"), [(0.0, SLOW_REQUESTS_PER_SECOND), (20.0, SLOW_REQUESTS_PER_SECOND), (2.0, 2.0)]
)
async def test_it_slows_all_requests_down_and_lets_them_go_again(own: float, slowed: float) -> None:
    """While slow there are five a second at most, or what is set; a paused check does not wait for its turn to end."""
    stand = Stand()

    async def no_sleep(seconds: float) -> None: ...

    pace = RateLimiter(own, lambda: stand.seconds, no_sleep)
    stand.breaker.governs(pace, own)
    assert await _gap(pace, stand) == (1 / own if own else 0)
    stand.slow()
    assert await _gap(pace, stand) == 1 / slowed
    assert stand.breaker.state is State.PAUSED
    assert await _gap(pace, stand) == 0
    assert stand.breaker.state is State.PROBING
    assert await _gap(pace, stand) == 1 / slowed
    stand.check("t9", GOOD)
    for n in range(int(LIMITS.slow_after_pause)):
        stand.check(f"t{n}", GOOD)
        stand.seconds += 1
    assert stand.breaker.state is State.CLOSED
    assert await _gap(pace, stand) == (1 / own if own else 0)


def test_every_turn_is_told_and_logged() -> None:
    """In their order; a pause is an error, the others are warnings."""
    with capture_logs() as logs:
        stand = Stand().probing()
    assert [turn.after for turn in stand.turns] == [State.SLOW, State.PAUSED, State.PROBING]
    assert [line["log_level"] for line in logs] == ["warning", "error", "warning"]
    assert logs[1] == logs[1] | {
        "event": "breaker_turned", "before": "slow", "state": "paused", "reason": "rate_limited", "tenants": 5,
        "in_trouble": {"rate_limited": 5}, "pause_seconds": 60.0,
    }  # fmt: skip


def test_a_pause_for_good_is_logged_without_an_end() -> None:
    """JSON knows no infinity."""
    breaker = CircuitBreaker(LIMITS.for_good(), clock=iter(range(0, 1000, 20)).__next__)
    with capture_logs() as logs:
        for n in range(MANY + 1):
            with breaker.watching(f"t{n}") as ticket:
                breaker.heard(ticket, BAD)
    assert [line["pause_seconds"] for line in logs] == [0.0, None]


def test_metrics_show_the_state_and_count_the_turns() -> None:
    """One state is 1 at any time, and every turn there can be is there from the beginning."""
    metrics = Metrics("test")
    assert value(metrics, "breaker_state", state="closed") == 1
    Stand(metrics.breaker_turned).paused()
    assert [value(metrics, "breaker_state", state=state) for state in State] == [0, 0, 1, 0]
    assert value(metrics, "breaker_turns_total", state="paused", reason="rate_limited") == 1
    assert value(metrics, "breaker_turns_total", state="closed", reason="calm") == 0
    for state, reason in TURNS:
        metrics.breaker_turned(Transition(0, State.CLOSED, state, reason, RecentTrouble()))
    assert {reason for _, reason in TURNS} == set(BreakerReason)
    assert {BreakerReason(sign) for sign in Sign} <= set(BreakerReason)
