"""How long to wait after a failure: for one notice, for one reader, and for the mail server as a whole. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
GIVE_UP_AFTER = timedelta(days=3)
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
DOUBTS = 3
AT_ONCE = 4  # mails under way: a few slow ones leave room, and no mail server takes offence
_MOST_WAITS = len(BACK_OFF) + (GIVE_UP_AFTER - sum(BACK_OFF, timedelta())) // BACK_OFF[-1]
_MOST_DOUBLINGS = 20


def back_off(attempts: int) -> timedelta | None:
    """The wait after so many attempts in vain, the last one of the list over and over; None once it is to be given up.

    Three days are counted in waits and not by the clock: neither a clock that is set nor an outage of the mail server,
    which costs a notice no attempt, ends one.
    """
    return BACK_OFF[min(attempts, len(BACK_OFF)) - 1] if attempts <= _MOST_WAITS else None


def pause(failures: int, share: float) -> timedelta:
    """How long to leave the server alone after so many failures in a row: doubled each time, up to five minutes.

    `share`, 0 to 1, takes up to a quarter off, so that many processes do not come back in step.
    """
    doubled = FIRST_PAUSE * (1 << min(failures - 1, _MOST_DOUBLINGS))
    return min(doubled, LONGEST_PAUSE) * (1 - share / 4)


@dataclass(frozen=True, slots=True)
class MailServerState:
    """How the mail server stands with us. `doubts` are failures in a row that may have been the mail's or the server's.

    The methods give the standing after one more attempt. What fails in a pause began before it, and does not count.
    """

    failures: int = 0
    doubts: int = 0
    until: datetime | None = None

    @property
    def paused(self) -> bool:
        """It failed, and has not been seen to work since."""
        return self.failures > 0

    def room(self, now: datetime) -> int:
        """How many mails may be under way: none in a pause, one to find out whether it is over, or several."""
        if self.until is None:
            return AT_ONCE
        left = self.until - now
        return 0 if timedelta() < left <= LONGEST_PAUSE else 1  # more than the longest was set by another clock

    def answered(self) -> "MailServerState":
        """It took a mail, or said what is wrong with it."""
        return MailServerState()

    def failed(self, now: datetime, share: float) -> "MailServerState":
        """It could not be reached, or would not be spoken to."""
        if self.room(now) == 0:
            return self
        return MailServerState(self.failures + 1, self.doubts, now + pause(self.failures + 1, share))

    def doubted(self, now: datetime, share: float) -> "MailServerState":
        """It fell silent over a mail: a few of these in a row, or one in a trial after a pause, are a failure."""
        if self.room(now) == 0:
            return self
        doubts = self.doubts + 1
        doubtful = MailServerState(self.failures, doubts, self.until)
        return doubtful.failed(now, share) if self.paused or doubts >= DOUBTS else doubtful
