"""How long a check may last, and how many may run at once, as the settings say."""

from dataclasses import dataclass
from datetime import timedelta

from monitor.config.settings import Settings

REQUESTS = 175  # of the first check of 65 permissions with every control; a key that lacks most of them takes more
TO_RECORD = timedelta(minutes=1)  # a locked database keeps nobody waiting for longer than half of it


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """`longest` is the deadline and the last request on the wire. A check that took longer was frozen meanwhile.

    `lease` is how long a credential belongs to the worker that claimed it: the longest check, and time to record it.
    """

    longest: timedelta
    lease: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "CheckLimits":
        longest = settings.deadline + settings.request_timeout
        return cls(longest, longest + min(TO_RECORD, settings.deadline))


def concurrency(settings: Settings) -> int:
    """Checks at once: no more than the total rate lets finish within the deadline."""
    if settings.total_requests_per_second == 0:
        return settings.concurrency
    # More would get so little of the rate each that none ends before its deadline.
    finished = settings.total_requests_per_second * settings.deadline.total_seconds() / REQUESTS
    return max(1, min(settings.concurrency, int(finished)))
