"""`serve` at a database that is not there yet: it says so once, waits, and goes on by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import structlog

from monitor.clock import elapsed
from monitor.errors import StoreAway

log = structlog.get_logger()

SAY_AGAIN_SECONDS = 60.0
_PAUSES = (0.5, 1.0, 2.0)  # seconds; the last one for as long as it takes

Opened = TypeVar("Opened")


class StoppedWaiting(Exception):
    """The service was told to stop before the database was there."""


async def once_it_is_there(open_it: Callable[[], Awaitable[Opened]], longest: timedelta, stop: asyncio.Event) -> Opened:
    """What `open_it` gives, tried again for as long as it raises StoreAway, which it may when `longest` is over.

    StoppedWaiting if `stop` is set meanwhile.
    """
    began, said = elapsed(), -SAY_AGAIN_SECONDS
    tries = 0
    while True:
        try:
            opened = await open_it()
        except StoreAway as problem:
            waited = elapsed() - began
            if waited >= longest.total_seconds():
                raise
            if waited - said >= SAY_AGAIN_SECONDS:
                said = waited
                left = longest.total_seconds() - waited
                log.warning("waiting_for_database", problem=str(problem), gives_up_in_seconds=round(left))
        else:
            if tries:
                log.info("database_is_there", waited_seconds=round(elapsed() - began, 1))
            return opened
        await _pause(_PAUSES[min(tries, len(_PAUSES) - 1)], stop)
        tries += 1


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    if stop.is_set():
        raise StoppedWaiting
