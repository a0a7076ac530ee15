"""Checks run in this process, so many at once, each credential at most once at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

log = structlog.get_logger()


class LocalEngine:
    """Takes credentials by number and runs one job for each; a job that fails spoils only itself."""

    def __init__(self, job: Callable[[int], Awaitable[None]], concurrency: int) -> None:
        self._job = job
        self._concurrency = concurrency
        self._running: dict[int, asyncio.Task[None]] = {}
        self._stopping = False

    @property
    def running(self) -> frozenset[int]:
        return frozenset(self._running)

    @property
    def free(self) -> int:
        """How many more jobs may be handed in now."""
        return 0 if self._stopping else self._concurrency - len(self._running)

    def dispatch(self, credential_ids: Iterable[int]) -> None:
        """Starts the jobs of those not running yet, up to what is free; the others stay due."""
        for credential_id in credential_ids:
            if self.free <= 0:
                return
            if credential_id not in self._running:
                task = asyncio.create_task(self._run(credential_id), name=f"check-{credential_id}")
                self._running[credential_id] = task

    async def _run(self, credential_id: int) -> None:
        try:
            await self._job(credential_id)
        except Exception:
            log.exception("check_crashed", credential_id=credential_id)
        finally:
            del self._running[credential_id]

    async def stop(self, seconds: float) -> None:
        """Lets running jobs end for so long, then cancels them; what was not recorded is still due."""
        self._stopping = True
        tasks = list(self._running.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
