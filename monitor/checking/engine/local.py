"""Checks run in this process, so many at once, each credential at most once at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

log = structlog.get_logger()

REST_SECONDS = 60.0
LONGEST_REST_SECONDS = 4 * 3600.0
LATE_SECONDS = 5.0  # for cancelled checks to give their claims back


class LocalEngine:
    """Takes credentials by number and runs one job for each.

    A job that fails spoils only itself, and rests for a minute, then two, then four: what is due stays due, and must
    not spin.
    """

    def __init__(self, job: Callable[[int], Awaitable[None]], concurrency: int, clock: Callable[[], float]) -> None:
        self._job = job
        self._concurrency = concurrency
        self._clock = clock
        self._running: dict[int, asyncio.Task[None]] = {}
        self._resting: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._stopping = False

    @property
    def busy(self) -> frozenset[int]:
        """Credentials not to be dispatched now: running, or resting after a failure."""
        now = self._clock()
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        return frozenset(self._running) | frozenset(self._resting)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def free(self) -> int:
        """How many more jobs may be dispatched now."""
        return 0 if self._stopping else self._concurrency - len(self._running)

    def dispatch(self, credential_ids: Iterable[int]) -> None:
        """Starts the jobs of those that are not busy, up to what is free; the others stay due."""
        busy = self.busy
        for credential_id in credential_ids:
            if self.free > 0 and credential_id not in busy:
                task = asyncio.create_task(self._run(credential_id), name=f"check-{credential_id}")
                self._running[credential_id] = task

    async def _run(self, credential_id: int) -> None:
        try:
            await self._job(credential_id)
            self._failures.pop(credential_id, None)
        # Not a cancellation: a check that was stopped has not failed, and need not rest.
        except Exception:
            failures = self._failures[credential_id] = self._failures.get(credential_id, 0) + 1
            # Bounded: after a thousand failures the power no longer fits a float.
            rest = min(REST_SECONDS * 2 ** min(failures - 1, 20), LONGEST_REST_SECONDS)
            self._resting[credential_id] = self._clock() + rest
            log.exception("check_broke_off", credential_id=credential_id, rests_seconds=rest)
        finally:
            del self._running[credential_id]

    async def stop(self, seconds: float) -> None:
        """Lets running jobs end within this time, then cancels them; what was not recorded is due again."""
        self._stopping = True
        tasks = set(self._running.values())
        if not tasks:
            return
        late_seconds = min(LATE_SECONDS, seconds / 4)
        _, late = await asyncio.wait(tasks, timeout=seconds - late_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=late_seconds)
