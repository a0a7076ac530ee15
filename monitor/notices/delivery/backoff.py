"""How long to wait after a failure: for one notice, for one reader, and for the mail server as a whole. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# The first wait is short because of greylisting (RFC 6647), which refuses only the first try.
BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
GIVE_UP_AFTER = timedelta(days=3)
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
MAX_WITHOUT_RESULT = 5
NO_RESULTS = "given up: what came of several attempts was never recorded, so it may have arrived more than once"
MAX_DOUBTS = 3  # one email may make a healthy server disconnect, whenever it is tried; three are the server's doing
CONCURRENCY = 4  # emails under way at once: a few slow ones leave room, and mail servers accept so many connections
_MAX_WAITS = len(BACK_OFF) + (GIVE_UP_AFTER - sum(BACK_OFF, timedelta())) // BACK_OFF[-1]
_MAX_DOUBLINGS = 20  # without this bound, three hours of failures would overflow a timedelta


def back_off(attempts: int) -> timedelta | None:
    """The wait after this many failed attempts; the last one of the list repeats; None when it is time to give up.

    The three days are counted in waits, not by the clock: a clock change must not end a notice, and neither must an
    outage of the mail server, which costs it no attempt.
    """
    return BACK_OFF[min(attempts, len(BACK_OFF)) - 1] if attempts <= _MAX_WAITS else None


def attempts_without_result(attempts: int, last_error: str | None) -> bool:
    """Whether so many attempts left no trace that another one may not be the last either.

    `attempts` includes the one that begins now. A process that dies while it sends leaves one; a database that takes
    claims but no results leaves many.
    """
    return (last_error is None and attempts > MAX_WITHOUT_RESULT) or attempts > _MAX_WAITS + 1 + MAX_WITHOUT_RESULT


def pause(failures: int, jitter: float) -> timedelta:
    """How long to leave the server alone after this many failures in a row: doubled each time, up to five minutes.

    `jitter`, 0 to 1, takes off up to a quarter, so that many processes do not return at the same moment.
    """
    doubled = FIRST_PAUSE * (1 << min(failures - 1, _MAX_DOUBLINGS))
    return min(doubled, LONGEST_PAUSE) * (1 - jitter / 4)


@dataclass(frozen=True, slots=True)
class MailServerState:
    """What we know of the mail server. `doubts` are emails that failed in a row, because of it or of themselves.

    The methods return the state after one more attempt. An attempt that fails during a pause began before it, and does
    not count.
    """

    failures: int = 0
    doubts: frozenset[str] = frozenset()
    until: datetime | None = None

    @property
    def paused(self) -> bool:
        """It failed, and has not worked since."""
        return self.failures > 0

    def capacity(self, now: datetime) -> int:
        """How many emails may be under way: none during a pause, one to test whether it is over, several otherwise."""
        if self.until is None:
            return CONCURRENCY
        left = self.until - now
        return 0 if timedelta() < left <= LONGEST_PAUSE else 1  # a longer pause was set under another clock

    def answered(self) -> "MailServerState":
        """It accepted an email, or said what is wrong with it."""
        return MailServerState()

    def failed(self, now: datetime, jitter: float) -> "MailServerState":
        """It was unreachable, or refused to talk."""
        if self.capacity(now) == 0:
            return self
        return MailServerState(self.failures + 1, self.doubts, now + pause(self.failures + 1, jitter))

    def doubted(self, now: datetime, jitter: float, email: str) -> "MailServerState":
        """It refused one email, or stopped answering during it: a few of these, or one after a pause, are a failure."""
        if self.capacity(now) == 0:
            return self
        doubts = self.doubts | {email}
        doubtful = MailServerState(self.failures, doubts, self.until)
        return doubtful.failed(now, jitter) if self.paused or len(doubts) >= MAX_DOUBTS else doubtful
