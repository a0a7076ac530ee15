"""Whether checks run, run slowly, wait, or one goes ahead: (what is heard, time) -> state: pure.

1. *closed*: all is well. When many of the tenants heard from last, and half of them or more, are in trouble: slow.
2. *slow*: fewer checks, fewer requests. When the last many tenants heard from were all in trouble: paused. When others
   were served meanwhile, and trouble is not that of many any more: closed.
3. *paused*: nothing is sent. After a while, twice as long each time: probing.
4. *probing*: one check goes ahead. In trouble: paused. Served: slow.

Whoever is in trouble while others are served is in trouble of their own, and counts again once they were served: it
must neither trip the breaker for ever nor be kept from being found out by it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from monitor.breaker.recent_tenants import RecentTenants, RecentTrouble, TenantTrouble
from monitor.breaker.signs import Sign

LONGER_BY = 0.2  # at most this share is added to a pause, so that several processes do not come back together
_MOST_DOUBLINGS = 20


class State(StrEnum):
    CLOSED = "closed"
    SLOW = "slow"
    PAUSED = "paused"
    PROBING = "probing"


class BreakerReason(StrEnum):
    """Why the state turned: the trouble that most tenants met, or what ended it."""

    RATE_LIMITED = "rate_limited"
    BLOCKED = "blocked"
    UNREACHABLE = "unreachable"
    NOT_SERVED = "not_served"  # the check sent ahead was answered, and not well
    WAITED = "waited"  # the pause is over
    SERVED = "served"  # the check sent ahead was served
    CALM = "calm"  # others were served, and it is not many any more
    SILENCE = "silence"  # nothing was heard for long


_TROUBLE = (BreakerReason.RATE_LIMITED, BreakerReason.BLOCKED, BreakerReason.UNREACHABLE)
TURNS = (
    *((State.SLOW, reason) for reason in (*_TROUBLE, BreakerReason.SERVED)),
    *((State.PAUSED, reason) for reason in (*_TROUBLE, BreakerReason.NOT_SERVED)),
    (State.PROBING, BreakerReason.WAITED),
    *((State.CLOSED, reason) for reason in (BreakerReason.CALM, BreakerReason.SILENCE)),
)
"""Every state with the reasons for which it is turned to."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds. What was heard longer ago than `forgets_after` does not count."""

    forgets_after: float
    slow_before_pause: float
    calm_for: float
    slow_after_pause: float
    first_pause: float
    longest_pause: float

    @classmethod
    def of(cls, unit: float) -> "Limits":
        """`unit` is how soon a second look at something is worth it; it counts from a second to a minute."""
        unit = min(max(unit, 1.0), 60.0)
        return cls(
            forgets_after=15 * unit,
            slow_before_pause=unit / 6,
            calm_for=unit / 2,
            slow_after_pause=2 * unit,
            first_pause=unit,
            longest_pause=15 * unit,
        )

    def for_good(self) -> "Limits":
        """For who can not wait: a pause does not end."""
        return replace(self, first_pause=math.inf, longest_pause=math.inf)


@dataclass(frozen=True, slots=True)
class Transition:
    """`seen` is what led to it; `pause_seconds` is 0 unless it is into a pause."""

    at: float
    before: State
    after: State
    reason: BreakerReason
    seen: RecentTrouble
    pause_seconds: float = 0.0


@dataclass(eq=False, slots=True)
class Ticket:
    """One check under way: it ends at its next request once a pause has begun. It hears `sign` since a moment."""

    tenant: str
    period: int
    answered: bool = False
    served: bool = False
    sign: Sign | None = None
    since: float = 0.0
    times: int = 0

    def hear(self, sign: Sign | None, now: float) -> None:
        self.answered = True
        self.served = self.served or sign is Sign.SERVED
        if sign is not self.sign:
            self.sign, self.since, self.times = sign, now, 0
        self.times += 1

    @property
    def in_trouble(self) -> bool:
        """One failure may be chance, and is tried again; a limit and a barrier are meant."""
        return self.sign in (Sign.RATE_LIMITED, Sign.BLOCKED) or (self.sign is Sign.UNREACHABLE and self.times > 1)


class Machine:
    """`jitter` gives numbers from 0 to 1. What turned is in `transitions`, for whoever takes it from there."""

    def __init__(self, limits: Limits, jitter: Callable[[], float]) -> None:
        self.state = State.CLOSED
        self.transitions: list[Transition] = []
        self._limits = limits
        self._jitter = jitter
        self._news = RecentTenants()
        self._seen = RecentTrouble()
        self._period = 0
        self._pauses = 0
        self._since = -math.inf
        self._heard_at = -math.inf
        self._paused_until = -math.inf
        self._probe: Ticket | None = None

    def begin(self, tenant: str, now: float) -> Ticket:
        """For every check, when it begins. While probing, the first one is that which goes ahead."""
        self.look(now)
        ticket = Ticket(tenant, self._period)
        if self.state is State.PROBING and self._probe is None:
            self._probe = ticket
        return ticket

    def may_send(self, ticket: Ticket, now: float) -> bool:
        self.look(now)
        if self.state is State.PAUSED or ticket.period != self._period:
            return False
        return self.state is not State.PROBING or ticket is self._probe

    def hear(self, ticket: Ticket, sign: Sign | None, now: float) -> None:
        """An answer came; None if it says nothing of Greenhouse. What comes late, during a pause, is not counted."""
        ticket.hear(sign, now)
        counts = ticket.period == self._period and (self.state is not State.PROBING or ticket is self._probe)
        if sign is not None and counts:
            self._heard_at = now
            self._news.hear(ticket.tenant, TenantTrouble(sign, ticket.in_trouble, now, ticket.since))
            self._heed(sign, now)

    def end(self, ticket: Ticket, now: float) -> None:
        """The check is over. One that was sent ahead and learned nothing leaves its place to another."""
        if ticket is self._probe and self.state is State.PROBING:
            self._probe = None
            if ticket.answered:
                self._pause(BreakerReason.NOT_SERVED, now)

    def look(self, now: float) -> None:
        """What time alone brings about; to be called now and then."""
        if self.state is State.SLOW:
            self._look_slow(now)
        elif self.state is State.PAUSED and now >= self._paused_until:
            self._turn(State.PROBING, BreakerReason.WAITED, now)

    def _heed(self, sign: Sign, now: float) -> None:
        match self.state:
            case State.CLOSED if sign is not Sign.SERVED:
                self._look_closed(now)
            case State.SLOW:
                self._look_slow(now)
            case State.PROBING:
                self._probed(sign, now)

    def _look_closed(self, now: float) -> None:
        self._news.forget(now - self._limits.forgets_after)
        seen = self._news.seen()
        if seen.many:
            self._seen = seen
            self._turn(State.SLOW, _reason(seen), now)

    def _look_slow(self, now: float) -> None:
        slow_for = now - self._since
        if slow_for >= self._limits.slow_before_pause and self._news.all_in_trouble:
            self._seen = self._news.seen()
            self._pause(_reason(self._seen), now)
        elif self._is_calm(now):
            self._news.set_apart()
            self._close(BreakerReason.CALM, now)
        elif now - max(self._since, self._heard_at) >= self._limits.forgets_after:
            self._news.forget(now)
            self._close(BreakerReason.SILENCE, now)

    def _is_calm(self, now: float) -> bool:
        slow_for = self._limits.slow_after_pause if self._pauses else self._limits.calm_for
        if now - self._since < slow_for or not self._news.served_after(self._since):
            return False
        return not self._news.seen(now - self._limits.calm_for).many

    def _close(self, reason: BreakerReason, now: float) -> None:
        self._pauses = 0
        self._turn(State.CLOSED, reason, now)

    def _probed(self, sign: Sign, now: float) -> None:
        self._probe = None
        if sign is Sign.SERVED:
            self._news.set_apart()
            self._turn(State.SLOW, BreakerReason.SERVED, now)
        else:
            self._pause(BreakerReason(sign), now)

    def _pause(self, reason: BreakerReason, now: float) -> None:
        limits = self._limits
        seconds = min(limits.first_pause * 2 ** min(self._pauses, _MOST_DOUBLINGS), limits.longest_pause)
        seconds *= 1 + LONGER_BY * self._jitter()
        self._pauses += 1
        self._period += 1
        self._paused_until = now + seconds
        self._turn(State.PAUSED, reason, now, seconds)

    def _turn(self, after: State, reason: BreakerReason, now: float, pause_seconds: float = 0.0) -> None:
        self.transitions.append(Transition(now, self.state, after, reason, self._seen, pause_seconds))
        self.state = after
        self._since = now


def _reason(seen: RecentTrouble) -> BreakerReason:
    assert seen.main_trouble is not None
    return BreakerReason(seen.main_trouble)
