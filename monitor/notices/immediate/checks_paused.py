"""The notices of a breaker that pauses all checks: one when it begins, and one when it is over if it was long."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.breaker.machine import Limits, State, Transition
from monitor.breaker.recent_tenants import RecentTrouble
from monitor.notices import notice_queries
from monitor.notices.content.messages import Message, PauseMessage, ResumeMessage
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.immediate_notice import write_immediate_notice
from monitor.notices.policy import NoticePolicy
from monitor.notices.wording import duration, moment
from monitor.store.database import Database

# Stored as a notice's `why`, by which every process finds the last one: with other words a pause is reported twice.
PAUSED, RESUMED = "checks paused", "checks go on"
AT_MOST_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Pause:
    """From the first pause until the breaker closes again. `since` is when the trouble began."""

    seen: RecentTrouble
    since: datetime
    at: datetime


class PauseNotices:
    """Is called at each transition of the breaker, and writes what is due in the next periodic task.

    There is at most one notice of a pause in an hour, however often the breaker changes, and whatever other processes
    on the same database see.
    """

    def __init__(
        self, db: Database, policy: NoticePolicy, renderer: Renderer, limits: Limits, now: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._policy = policy
        self._renderer = renderer
        self._limits = limits
        self._now = now
        self._pause: _Pause | None = None
        self._unreported: _Pause | None = None
        self._not_before: datetime | None = None
        self._over: tuple[_Pause, datetime] | None = None

    def changed(self, transition: Transition) -> None:
        now = self._now()
        if transition.after is State.PAUSED and self._pause is None:
            trouble = timedelta(seconds=transition.at - transition.trouble.since)
            self._pause = _Pause(transition.trouble, now - trouble, now)
            self._unreported, self._not_before = self._pause, now
        elif transition.after is State.CLOSED and self._pause is not None:
            if now - self._pause.at >= self._long:
                self._over = self._pause, now
            self._pause = self._unreported = None

    @property
    def paused_since(self) -> datetime | None:
        """When the trouble began for which all checks are paused now; None if they are not."""
        return self._pause.since if self._pause else None

    @property
    def _long(self) -> timedelta:
        return timedelta(seconds=self._limits.longest_pause)

    async def write(self) -> None:
        """Write what is due. If the database fails, the next call tries again."""
        if self._unreported is not None and self._not_before is not None and self._now() >= self._not_before:
            await self._write_pause(self._unreported)
        if self._over is not None:
            await self._write_resume(*self._over)
            self._over = None

    async def _write_pause(self, pause: _Pause) -> None:
        last = await self._last_written(PAUSED)
        # A notice dated in the future was written under a wrong clock, and delays nothing.
        if last is not None and timedelta(0) <= self._now() - last < AT_MOST_EVERY:
            self._not_before = last + AT_MOST_EVERY
            return
        await self._write(PAUSED, self._pause_message(pause), pause.at)
        # The breaker may have closed, or paused again, while this was written.
        if self._unreported is pause:
            self._unreported = None

    async def _write_resume(self, pause: _Pause, until: datetime) -> None:
        """Also if this process did not report the pause: another one did, or it came too soon after an earlier one."""
        last = await self._last_written(RESUMED)
        if last is None or last < pause.at:
            await self._write(RESUMED, self._resume_message(pause, until), until)

    async def _last_written(self, why: str) -> datetime | None:
        async with self._db.reading() as conn:
            return await notice_queries.last_written(conn, why)

    async def _write(self, why: str, message: Message, at: datetime) -> None:
        async with self._db.writing() as conn:
            await write_immediate_notice(
                conn, self._policy, self._renderer, message, why=why, facts=(why, at.isoformat()), now=self._now()
            )

    def _pause_message(self, pause: _Pause) -> PauseMessage:
        in_order = sorted(pause.seen.by_sign.items(), key=lambda item: -item[1])
        return PauseMessage(
            troubles=tuple((sign.value, number) for sign, number in in_order),
            in_trouble=pause.seen.in_trouble,
            checked=pause.seen.tenants,
            since=moment(pause.since),
            paused_at=moment(pause.at),
            first_pause=duration(timedelta(seconds=self._limits.first_pause)),
            longest_pause=duration(self._long),
        )

    @staticmethod
    def _resume_message(pause: _Pause, until: datetime) -> ResumeMessage:
        lasted = timedelta(minutes=round((until - pause.at) / timedelta(minutes=1)))
        return ResumeMessage(paused_at=moment(pause.at), resumed_at=moment(until), lasted=duration(lasted))
