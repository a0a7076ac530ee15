"""What the operator decided about notices."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.config.settings import NoticesMode, Settings

MAX_CLOCK_SKEW = timedelta(minutes=1)  # between the processes of one installation


@dataclass(frozen=True, slots=True)
class NoticePolicy:
    """`settle` is how long causes wait for each other, `interval` the time in which every credential is checked once.

    Both addresses are empty only where `mode` is off. `background_alike` is the chance that one check of a tenant finds
    a given change, `background_any` that it finds any permission lost. `keep_removed` is how long the causes of a
    removed tenant wait for its return.
    """

    mode: NoticesMode
    settle: timedelta
    mail_from: str
    operator_mail: str
    interval: timedelta = timedelta(hours=4)
    background_alike: float = 0.0005
    background_any: float = 0.005
    keep_removed: timedelta = timedelta(days=30)

    @classmethod
    def of(cls, settings: Settings) -> "NoticePolicy":
        return cls(
            mode=settings.notices_in_force,
            settle=settings.settle,
            mail_from=settings.mail_from or "",
            operator_mail=settings.operator_mail or "",
            interval=settings.interval,
            background_alike=settings.background_alike / 100,
            background_any=settings.background_any / 100,
            keep_removed=settings.keep_checks,
        )

    @property
    def look_again_after(self) -> timedelta | None:
        """When to check again what a CSM is to be told: late in the settle time, with a margin for the check itself."""
        return None if self.mode is NoticesMode.OFF else self.settle * 0.75

    def background_rate(self, any_permission: bool) -> float:
        return self.background_any if any_permission else self.background_alike

    def waits_for_sample(self, since: datetime, now: datetime) -> bool:
        """A sample may delay an email by one more settle time at most."""
        return -MAX_CLOCK_SKEW <= now - since < 2 * self.settle

    def knows_the_present(self, last_checked_at: datetime | None, now: datetime) -> bool:
        """After a downtime, what happened before it may be over; None where no check will tell."""
        return last_checked_at is None or now - last_checked_at <= self.interval + self.settle

    def waits_for_another_look(self, since: datetime, last_checked_at: datetime | None, now: datetime) -> bool:
        """What was confirmed may be repaired before it is told; if no check comes, it waits one settle time more."""
        seen_again = last_checked_at is None or last_checked_at > since
        return not seen_again and -MAX_CLOCK_SKEW <= now - since < 2 * self.settle

    def has_settled(self, since: datetime, now: datetime) -> bool:
        """It has waited for the settle time. A time in the future came from a wrong clock, and does not wait."""
        return since <= now - self.settle or since > now + MAX_CLOCK_SKEW
