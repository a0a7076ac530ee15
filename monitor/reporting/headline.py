"""The sentence on top of the overview and of `status`: the first rule that fits. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.breaker.machine import State as BreakerState
from monitor.incidents.changes import ListedBurst
from monitor.incidents.status import TenantStatus
from monitor.notices.wording import counted
from monitor.reporting.sentence import Link, Name, PermissionLabel, Piece, Sentence, say

STANDS_STILL_AFTER = timedelta(hours=1)  # beside the interval: so long no check was recorded
MAIL_IS_STUCK_AFTER = timedelta(minutes=30)
_ONE_MINUTE = timedelta(minutes=1)


class Tone(StrEnum):
    BAD = "bad"
    WARN = "warn"
    CALM = "calm"


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt of write probes in force. `tenant` is the name of the one whose probe set it off."""

    at: datetime
    status: int
    tenant: str | None


@dataclass(frozen=True, slots=True)
class OutboxFacts:
    """`stuck_since` is since when the oldest email waits that should have been sent."""

    pending: int = 0
    held: int = 0
    failed: int = 0
    stuck_since: datetime | None = None
    last_sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """The sweep that runs: `checked` of `planned` credentials since `began`; and when the last complete one ended."""

    began: datetime | None = None
    checked: int = 0
    planned: int = 0
    last_ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class LossesToday:
    """Tenants that lost something in the last 24 hours and have not got it back, and how many of their readers know."""

    tenants: int = 0
    told: int = 0


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What the service knows about itself at `now`. `ours` are tenants that fail through something of ours.

    `breaker` is that of the serving process; None where it is not known.
    """

    now: datetime
    interval: timedelta
    tenants: Mapping[TenantStatus, int]
    sweep: SweepProgress = SweepProgress()
    outbox: OutboxFacts = OutboxFacts()
    losses: LossesToday = LossesToday()
    halt: Halt | None = None
    held: ListedBurst | None = None
    held_bursts: int = 0
    breaker: BreakerState | None = BreakerState.CLOSED
    breaker_since: datetime | None = None
    overdue: int = 0
    last_checked_at: datetime | None = None
    ours: int = 0
    suspects: int = 0
    notices_off: bool = False

    @property
    def total(self) -> int:
        return sum(self.tenants.values())

    @property
    def stands_still(self) -> bool:
        last = self.last_checked_at
        return self.overdue > 0 and (last is None or self.now - last > self.interval + STANDS_STILL_AFTER)

    @property
    def mail_is_stuck(self) -> bool:
        since = self.outbox.stuck_since
        return since is not None and self.now - since > MAIL_IS_STUCK_AFTER


@dataclass(frozen=True, slots=True)
class Headline:
    """`next_step` is what to do, in one sentence; `path` the page on which to do it."""

    rule: str
    tone: Tone
    said: Sentence
    next_step: str = ""
    path: str = ""


def headline(facts: ServiceFacts) -> Headline:
    return next(said for rule in _RULES if (said := rule(facts)) is not None)


def _write_halt(facts: ServiceFacts) -> Headline | None:
    if facts.halt is None:
        return None
    halt = facts.halt
    whose: list[Piece] = [" for ", Name(halt.tenant)] if halt.tenant else []
    said = say("Stopped: a write probe was answered ", str(halt.status), *whose, " at ", halt.at, ". ", _NO_WRITES)
    step = "See what was answered, and ask Greenhouse whether anything changed."
    return Headline("H1", Tone.BAD, said, step, "/writes")


_NO_WRITES = "No write probe is sent until an operator resumes them."


def _held(facts: ServiceFacts) -> Headline | None:
    if not facts.outbox.held:
        return None
    step = "Check one of them now, then release or drop the held emails."
    if facts.held is None:
        said = say("Held: ", counted(facts.outbox.held, "email"), ". No CSM is told until an operator decides.")
        return Headline("H2", Tone.BAD, said, step, "/notices?status=held")
    burst = facts.held
    what: list[Piece] = [f" have a credential that is {burst.state}"]
    if burst.permission_label:
        what = [" lost ", PermissionLabel(burst.permission_label)]
    more: list[Piece] = [f", and {counted(facts.held_bursts - 1, 'more change')}"] if facts.held_bursts > 1 else []
    first, last = burst.first_seen or burst.first_at, burst.seen_to or burst.last_at
    seen: list[Piece] = [", seen ", first]
    if last - first >= _ONE_MINUTE:
        seen = [", seen between ", first, " and ", last]
    said = say("Held: ", counted(burst.tenants, "tenant"), *what, *seen, *more, ". No CSM was emailed.")
    return Headline("H2", Tone.BAD, said, step, f"/bursts/{burst.id}")


def _paused(facts: ServiceFacts) -> Headline | None:
    if facts.breaker not in (BreakerState.PAUSED, BreakerState.PROBING):
        return None
    since: list[Piece] = [" since ", facts.breaker_since] if facts.breaker_since else []
    waiting = f". {counted(facts.overdue, 'check')} wait; nobody is told anything until they are done."
    said = say("Greenhouse does not answer as it should", *since, waiting)
    return Headline("H3", Tone.BAD, said, "Checks go on by themselves when Greenhouse answers again.", "/sweeps")


def _stands_still(facts: ServiceFacts) -> Headline | None:
    if not facts.stands_still:
        return None
    last = facts.last_checked_at
    said = say("No tenant was checked since ", last, ". What you see is that old.") if last else say(_NEVER_CHECKED)
    return Headline("H4", Tone.BAD, said, "Look at the service's log, and run `harvest-monitor doctor`.", "/sweeps")


_NEVER_CHECKED = "No tenant was ever checked, though their first checks are due. Nothing is known of any."


def _mail_stuck(facts: ServiceFacts) -> Headline | None:
    if not facts.mail_is_stuck or facts.outbox.stuck_since is None:
        return None
    said = say(
        counted(facts.outbox.pending, "email"), " cannot be delivered since ", facts.outbox.stuck_since, ". ", _NOT_TOLD
    )
    return Headline("H5", Tone.BAD, said, "Look at the last error of these emails.", "/notices?status=pending")


_NOT_TOLD = "Those they are for do not know."


def _failed(facts: ServiceFacts) -> Headline | None:
    if not facts.outbox.failed:
        return None
    said = say(counted(facts.outbox.failed, "email"), " failed for good. Those they were for do not know.")
    return Headline("H6", Tone.WARN, said, "Correct the address, then retry them.", "/notices?status=failed")


_OURS_NEXT = "Correct the tenants file, the secrets that it names, or the proxy: the page of each tenant says which."


def _ours(facts: ServiceFacts) -> Headline | None:
    if not facts.ours:
        return None
    said = say(Link(counted(facts.ours, "tenant"), "/?fault=ours"), " cannot be checked, and that is ours to mend.")
    return Headline("H7", Tone.WARN, said, _OURS_NEXT, "/?fault=ours")


def _nobody_yet(facts: ServiceFacts) -> Headline | None:
    if facts.total:
        return None
    said = say("No tenant yet. Add one to the tenants file; it is checked within a minute.")
    return Headline("H8", Tone.CALM, said)


def _losses(facts: ServiceFacts) -> Headline | None:
    losses = facts.losses
    if not losses.tenants:
        return None
    if losses.told == losses.tenants:
        told = "their CSMs were emailed"
    elif facts.notices_off:
        told = "nobody is emailed, since notices are off"
    else:
        told = f"the CSMs of {losses.told:,} were emailed so far"
    said = say(counted(losses.tenants, "tenant"), " lost access in the last 24 hours; ", told, ". The service is well.")
    return Headline("H9", Tone.CALM, said, path="/history")


def _well(facts: ServiceFacts) -> Headline | None:
    healthy = facts.tenants.get(TenantStatus.HEALTHY, 0)
    ended: list[Piece] = [" Last sweep ended ", facts.sweep.last_ended, "."] if facts.sweep.last_ended else []
    said = say("All well. ", healthy, " of ", counted(facts.total, "tenant"), " are healthy.", *ended)
    return Headline("H10", Tone.CALM, said)


_RULES: tuple[Callable[[ServiceFacts], Headline | None], ...] = (
    _write_halt,
    _held,
    _paused,
    _stands_still,
    _mail_stuck,
    _failed,
    _ours,
    _nobody_yet,
    _losses,
    _well,
)
