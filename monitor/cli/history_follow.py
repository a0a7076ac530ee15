"""`history --follow`: prints drift events as they are recorded."""

import asyncio
import errno
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from monitor.cli.console import tell
from monitor.errors import StoreError
from monitor.incidents.history_follower import HistoryFollower
from monitor.incidents.history_queries import PastEvent, Wanted
from monitor.store.database import Database

POLL_SECONDS = 2.0


async def follow(db: Database, wanted: Wanted, show: Callable[[Sequence[PastEvent]], None]) -> None:
    """Until SIGINT or SIGTERM; BrokenPipeError once nobody reads the output. A database that is away is waited for."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    follower = HistoryFollower(db, wanted)
    _print(await follower.start(), show)
    # One task, which is cancelled: a server that does not answer must not delay the end.
    following = asyncio.create_task(_poll_forever(follower, show))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in (following, stopped):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await following


async def _poll_forever(follower: HistoryFollower, show: Callable[[Sequence[PastEvent]], None]) -> None:
    away = False
    while True:
        await asyncio.sleep(POLL_SECONDS)
        _require_reader()
        try:
            found = await follower.poll()
        except StoreError as problem:
            if not away:
                tell(f"waiting for the database: {problem}")
            away = True
            continue
        if away:
            tell("the database is back")
        away = False
        _print(found, show)


def _print(found: Sequence[PastEvent], show: Callable[[Sequence[PastEvent]], None]) -> None:
    show(found)
    sys.stdout.flush()  # also in a pipe, which is not flushed by lines


def _require_reader() -> None:
    """Only writing would tell of a pipe that was closed, and there may be nothing to write for days."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return  # not a file of the system, as in a test
    reader = select.poll()
    reader.register(descriptor, 0)
    if any(state & (select.POLLERR | select.POLLHUP) for _, state in reader.poll(0)):
        raise BrokenPipeError(errno.EPIPE, "the output was closed")
