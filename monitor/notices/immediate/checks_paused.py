"""The notices of a breaker that pauses all checks: one when it begins, and one when it is over if it took long."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.breaker.machine import Limits, State, Transition
from monitor.breaker.recent_tenants import RecentTrouble
from monitor.notices import queries as store
from monitor.notices.content.messages import Message, PauseMessage, ResumeMessage, duration, moment
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.immediate_notice import write_immediately
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database

PAUSED, RESUMED = "checks paused", "checks go on"
AT_MOST_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Pause:
    """From the first pause until the breaker is closed again. `since` is when the trouble began."""

    seen: RecentTrouble
    since: datetime
    at: datetime


class PauseNotices:
    """Hears of the breaker's turns at once, and writes what is to be told of them at the next beat.

    However often it turns, and whatever other processes on the same database see: one notice of a pause an hour.
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
        self._untold: _Pause | None = None
        self._not_before: datetime | None = None
        self._over: tuple[_Pause, datetime] | None = None

    def turned(self, turn: Transition) -> None:
        now = self._now()
        if turn.after is State.PAUSED and self._pause is None:
            self._pause = _Pause(turn.trouble, now - timedelta(seconds=turn.at - turn.trouble.since), now)
            self._untold, self._not_before = self._pause, now
        elif turn.after is State.CLOSED and self._pause is not None:
            if now - self._pause.at >= self._long:
                self._over = self._pause, now
            self._pause = self._untold = None

    @property
    def _long(self) -> timedelta:
        return timedelta(seconds=self._limits.longest_pause)

    async def write(self) -> None:
        """What is to be told by now; what the database does not take stays for the next beat."""
        if self._untold is not None and self._not_before is not None and self._now() >= self._not_before:
            await self._write_pause(self._untold)
        if self._over is not None:
            await self._write_resume(*self._over)
            self._over = None

    async def _write_pause(self, pause: _Pause) -> None:
        last = await self._last_written(PAUSED)
        if last is not None and timedelta(0) <= self._now() - last < AT_MOST_EVERY:
            self._not_before = last + AT_MOST_EVERY
            return
        await self._write(PAUSED, self._pause_letter(pause), pause.at)
        if self._untold is pause:
            self._untold = None

    async def _write_resume(self, pause: _Pause, until: datetime) -> None:
        """Whoever was told of the pause by another process, or of one shortly before, is told of its end, too."""
        last = await self._last_written(RESUMED)
        if last is None or last < pause.at:
            await self._write(RESUMED, self._resume_letter(pause, until), until)

    async def _last_written(self, why: str) -> datetime | None:
        async with self._db.reading() as conn:
            return await store.last_written(conn, why)

    async def _write(self, why: str, letter: Message, at: datetime) -> None:
        async with self._db.writing() as conn:
            await write_immediately(
                conn, self._policy, self._renderer, letter, why=why, facts=(why, at.isoformat()), now=self._now()
            )

    def _pause_letter(self, pause: _Pause) -> PauseMessage:
        in_order = sorted(pause.seen.by_sign.items(), key=lambda item: -item[1])
        return PauseMessage(
            troubles=tuple((sign.value, number) for sign, number in in_order),
            in_trouble=pause.seen.in_trouble,
            heard=pause.seen.tenants,
            since=moment(pause.since),
            at=moment(pause.at),
            first=duration(timedelta(seconds=self._limits.first_pause)),
            longest=duration(self._long),
        )

    @staticmethod
    def _resume_letter(pause: _Pause, until: datetime) -> ResumeMessage:
        lasted = timedelta(minutes=round((until - pause.at) / timedelta(minutes=1)))
        return ResumeMessage(at=moment(pause.at), until=moment(until), lasted=duration(lasted))
