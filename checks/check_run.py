"""What a check of either kind of credential shares: clocks, deadline, reasons to end early, and the end of it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from checks.connection_failure import ConnectionFailure, explanation
from checks.credential import CredentialState
from checks.report import PAUSED, CheckReport

# Not INVALID: Greenhouse says that of this very key, whatever many others meet at the same time.
_MAY_BE_SHARED = frozenset({CredentialState.BLOCKED, CredentialState.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The clocks, and the time a check may take. `clock` counts seconds, also while the machine sleeps.

    `stop` is asked before every request: once it says so, the check ends there and is `paused`.
    """

    now: Callable[[], datetime]
    clock: Callable[[], float]
    deadline_seconds: float
    stop: Callable[[], bool]


class EndOfCheck(Exception):
    """Nothing more is to be learned; the text is a key of reasons.REASONS."""


class CheckRun(ABC):
    """One check of one credential. It sends, keeps the answers, and never raises for what Greenhouse answers."""

    def __init__(self, context: CheckContext) -> None:
        self.context = context
        self.cut_short: str | None = None
        self._ends_at = 0.0

    async def report(self) -> CheckReport:
        started_at, started = self.context.now(), self.context.clock()
        self._ends_at = started + self.context.deadline_seconds
        await self._send_all_in_time()
        state, detail = self._state(started_at)
        return replace(
            self.build_report(state, detail),
            connection_failure=explanation(detail, self.failures()),
            started_at=started_at,
            requests=self.requests,
            duration_seconds=self.context.clock() - started,
        )

    def end_if_over(self) -> None:
        """EndOfCheck once the time is up or checks are paused.

        The clock is read as well: no timer of the event loop notices that the machine slept.
        """
        if self.context.clock() >= self._ends_at:
            raise EndOfCheck("deadline")
        if self.context.stop():
            raise EndOfCheck(PAUSED)

    @property
    @abstractmethod
    def requests(self) -> int:
        """Sent so far, repeats included."""

    @abstractmethod
    async def send_all(self) -> None: ...

    @abstractmethod
    def judge_state(self, now: datetime) -> tuple[CredentialState, str]:
        """State and detail code, from the answers alone."""

    @abstractmethod
    def failures(self) -> Iterable[ConnectionFailure]:
        """Why answers did not come."""

    @abstractmethod
    def build_report(self, state: CredentialState, detail: str) -> CheckReport: ...

    async def _send_all_in_time(self) -> None:
        try:
            async with asyncio.timeout(self.context.deadline_seconds):
                await self.send_all()
        except TimeoutError:
            self.cut_short = "deadline"
        except EndOfCheck as end:
            self.cut_short = str(end)

    def _state(self, now: datetime) -> tuple[CredentialState, str]:
        """What fails while many tenants are in trouble says nothing about this credential."""
        state, detail = self.judge_state(now)
        # Asked once more: this check's own last answer may be what paused all checks.
        shared = state in _MAY_BE_SHARED and self.context.stop()
        if not shared and self.cut_short != PAUSED:
            return state, detail
        # `ok` is told only of what was served, also where nothing follows from it.
        return state if state is CredentialState.OK else CredentialState.UNREACHABLE, PAUSED
