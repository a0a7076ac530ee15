"""The breaker's state machine, (signs of tenants, time) -> state: pure.

1. *closed*: all is well. When many of the recent tenants, and at least half of them, are in trouble: slow.
2. *slow*: fewer checks, fewer requests. When the last MANY tenants were all in trouble: paused. When others were served
   meanwhile, and no longer many are in trouble: closed.
3. *paused*: nothing is sent. After a while, which doubles each time: probing.
4. *probing*: one check goes ahead. In trouble: paused. Served: slow.

A tenant that stays in trouble while others are served has a problem of its own, and does not count until it is served
again: it must not trip the breaker for ever, nor may the breaker keep its state from being found out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from monitor.breaker.recent_tenants import RecentTenants, RecentTrouble, TenantTrouble
from monitor.breaker.signs import Sign

JITTER = 0.2  # at most this share is added to a pause, so that several processes do not resume together
_MOST_DOUBLINGS = 20  # 2 ** 1024 is too large for a float: OverflowError after a thousand pauses


class State(StrEnum):
    CLOSED = "closed"
    SLOW = "slow"
    PAUSED = "paused"
    PROBING = "probing"


class BreakerReason(StrEnum):
    """Why the state changed: the trouble that most tenants met, or what ended it."""

    RATE_LIMITED = "rate_limited"
    BLOCKED = "blocked"
    UNREACHABLE = "unreachable"
    NOT_SERVED = "not_served"  # the check sent ahead got answers, but was not served
    WAITED = "waited"  # the pause is over
    SERVED = "served"  # the check sent ahead was served
    CALM = "calm"  # others were served, and no longer many are in trouble
    SILENCE = "silence"  # nothing was checked for long


_TROUBLE = (BreakerReason.RATE_LIMITED, BreakerReason.BLOCKED, BreakerReason.UNREACHABLE)
TRANSITIONS = (
    *((State.SLOW, reason) for reason in (*_TROUBLE, BreakerReason.SERVED)),
    *((State.PAUSED, reason) for reason in (*_TROUBLE, BreakerReason.NOT_SERVED)),
    (State.PROBING, BreakerReason.WAITED),
    *((State.CLOSED, reason) for reason in (BreakerReason.CALM, BreakerReason.SILENCE)),
)
"""Every state, with each reason that can lead to it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds. A sign older than `forget_after` does not count."""

    forget_after: float
    slow_before_pause: float
    calm_for: float
    slow_after_pause: float
    first_pause: float
    longest_pause: float

    @classmethod
    def of(cls, unit: float) -> "Limits":
        """`unit` is the time to a confirming check; it counts as one second at least and one minute at most."""
        unit = min(max(unit, 1.0), 60.0)
        return cls(
            forget_after=15 * unit,
            slow_before_pause=unit / 6,
            calm_for=unit / 2,
            slow_after_pause=2 * unit,
            first_pause=unit,
            longest_pause=15 * unit,
        )

    def for_good(self) -> "Limits":
        """For a command, which cannot wait: a pause never ends."""
        return replace(self, first_pause=math.inf, longest_pause=math.inf)


@dataclass(frozen=True, slots=True)
class Transition:
    """`trouble` is what led to it; `pause_seconds` is 0 unless it is into a pause."""

    at: float
    before: State
    after: State
    reason: BreakerReason
    trouble: RecentTrouble
    pause_seconds: float = 0.0


@dataclass(eq=False, slots=True)
class TrackedCheck:
    """A check under way. It has met `sign`, and only that, since `since`: `times` in a row.

    `period` counts the pauses before it: once another pause has begun, it must send nothing more.
    """

    tenant: str
    period: int
    answered: bool = False
    served: bool = False
    sign: Sign | None = None
    since: float = 0.0
    times: int = 0

    def record(self, sign: Sign | None, now: float) -> None:
        self.answered = True
        self.served = self.served or sign is Sign.SERVED
        if sign is not self.sign:
            self.sign, self.since, self.times = sign, now, 0
        self.times += 1

    @property
    def in_trouble(self) -> bool:
        """A single failure may be chance, and is retried; a rate limit or a block is deliberate."""
        return self.sign in (Sign.RATE_LIMITED, Sign.BLOCKED) or (self.sign is Sign.UNREACHABLE and self.times > 1)


class Machine:
    """`jitter` returns numbers from 0 to 1. New transitions are queued in `transitions` until the caller takes them."""

    def __init__(self, limits: Limits, jitter: Callable[[], float]) -> None:
        self.state = State.CLOSED
        self.transitions: list[Transition] = []
        self._limits = limits
        self._jitter = jitter
        self._recent = RecentTenants()
        self._trouble = RecentTrouble()
        self._period = 0
        self._pauses = 0
        self._since = -math.inf
        self._last_sign_at = -math.inf
        self._paused_until = -math.inf
        self._ahead: TrackedCheck | None = None

    def begin(self, tenant: str, now: float) -> TrackedCheck:
        """Call at the start of every check. While probing, the first one is the one that goes ahead."""
        self.advance(now)
        check = TrackedCheck(tenant, self._period)
        if self.state is State.PROBING and self._ahead is None:
            self._ahead = check
        return check

    def may_send(self, check: TrackedCheck, now: float) -> bool:
        self.advance(now)
        if self.state is State.PAUSED or check.period != self._period:
            return False
        return self.state is not State.PROBING or check is self._ahead

    def record(self, check: TrackedCheck, sign: Sign | None, now: float) -> None:
        """An answer; None if it says nothing about Greenhouse. One that comes late, during a pause, does not count."""
        check.record(sign, now)
        counts = check.period == self._period and (self.state is not State.PROBING or check is self._ahead)
        if sign is not None and counts:
            self._last_sign_at = now
            self._recent.record(check.tenant, TenantTrouble(sign, check.in_trouble, now, check.since))
            self._react(sign, now)

    def end(self, check: TrackedCheck, now: float) -> None:
        """Call at the end of every check. If the one sent ahead got no answer, the next check takes its place."""
        if check is self._ahead and self.state is State.PROBING:
            self._ahead = None
            if check.answered:
                self._pause(BreakerReason.NOT_SERVED, now)

    def advance(self, now: float) -> None:
        """What the passing of time alone changes; call it now and then."""
        if self.state is State.SLOW:
            self._react_slow(now)
        elif self.state is State.PAUSED and now >= self._paused_until:
            self._change(State.PROBING, BreakerReason.WAITED, now)

    def _react(self, sign: Sign, now: float) -> None:
        match self.state:
            case State.CLOSED if sign is not Sign.SERVED:
                self._react_closed(now)
            case State.SLOW:
                self._react_slow(now)
            case State.PROBING:
                self._react_probing(sign, now)

    def _react_closed(self, now: float) -> None:
        self._recent.forget(now - self._limits.forget_after)
        trouble = self._recent.trouble()
        if trouble.many:
            self._trouble = trouble
            self._change(State.SLOW, _reason(trouble), now)

    def _react_slow(self, now: float) -> None:
        slow_for = now - self._since
        if slow_for >= self._limits.slow_before_pause and self._recent.last_all_in_trouble:
            self._trouble = self._recent.trouble()
            self._pause(_reason(self._trouble), now)
        elif self._is_calm(now):
            self._recent.exclude_troubled()
            self._close(BreakerReason.CALM, now)
        elif now - max(self._since, self._last_sign_at) >= self._limits.forget_after:
            self._recent.forget(now)
            self._close(BreakerReason.SILENCE, now)

    def _react_probing(self, sign: Sign, now: float) -> None:
        self._ahead = None
        if sign is Sign.SERVED:
            self._recent.exclude_troubled()
            self._change(State.SLOW, BreakerReason.SERVED, now)
        else:
            self._pause(BreakerReason(sign), now)

    def _is_calm(self, now: float) -> bool:
        slow_for = self._limits.slow_after_pause if self._pauses else self._limits.calm_for
        if now - self._since < slow_for or not self._recent.served_after(self._since):
            return False
        return not self._recent.trouble(now - self._limits.calm_for).many

    def _close(self, reason: BreakerReason, now: float) -> None:
        # Not yet when the check sent ahead was served: a relapse while slow pauses for twice as long.
        self._pauses = 0
        self._change(State.CLOSED, reason, now)

    def _pause(self, reason: BreakerReason, now: float) -> None:
        limits = self._limits
        seconds = min(limits.first_pause * 2 ** min(self._pauses, _MOST_DOUBLINGS), limits.longest_pause)
        seconds *= 1 + JITTER * self._jitter()
        self._pauses += 1
        # Checks under way belong to an earlier period now, and send nothing more even when this pause is over.
        self._period += 1
        self._paused_until = now + seconds
        self._change(State.PAUSED, reason, now, seconds)

    def _change(self, after: State, reason: BreakerReason, now: float, pause_seconds: float = 0.0) -> None:
        self.transitions.append(Transition(now, self.state, after, reason, self._trouble, pause_seconds))
        self.state = after
        self._since = now


def _reason(trouble: RecentTrouble) -> BreakerReason:
    assert trouble.main_trouble is not None
    return BreakerReason(trouble.main_trouble)
