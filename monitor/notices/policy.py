"""What the operator decided about notices."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.config.settings import NoticesMode, Settings

MAX_CLOCK_SKEW = timedelta(minutes=1)  # between the processes of one installation


@dataclass(frozen=True, slots=True)
class NoticePolicy:
    """`settle` is how long causes wait for each other, `interval` the time in which every credential is checked once.

    Both addresses are empty only where `mode` is off.
    """

    mode: NoticesMode
    settle: timedelta
    mail_from: str
    operator_mail: str
    interval: timedelta = timedelta(hours=4)

    @classmethod
    def of(cls, settings: Settings) -> "NoticePolicy":
        return cls(
            mode=settings.notices_in_force,
            settle=settings.settle,
            mail_from=settings.mail_from or "",
            operator_mail=settings.operator_mail or "",
            interval=settings.interval,
        )

    def has_settled(self, since: datetime, now: datetime) -> bool:
        """It has waited for the settle time. A time in the future came from a wrong clock, and does not wait."""
        return since <= now - self.settle or since > now + MAX_CLOCK_SKEW
