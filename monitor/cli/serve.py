"""`serve`: the long-running service."""

import asyncio
import os
import resource
import signal
import sys
import threading

import structlog

from monitor.config import settings_loader
from monitor.config.settings import Settings
from monitor.logs import configure

log = structlog.get_logger()

GRACE_SECONDS = 3.0
MOST_FILES = 65_536  # a container's limit may be a thousand million, and some programs go through all of them
EXAMPLE = "Example: harvest-monitor serve --config /etc/harvest-monitor.toml"


def command() -> None:
    """Check every tenant every few hours, record drift, serve metrics and send notices, until stopped."""
    settings = settings_loader.load()
    configure(settings.log_level, settings.log_format, sys.stderr)
    _raise_limit_of_files()
    asyncio.run(until_signalled(settings))


def _raise_limit_of_files() -> None:
    """To what the system allows: 1,024 is the customary beginning for the sake of programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft not in (resource.RLIM_INFINITY, hard) and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


async def until_signalled(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, and then no longer than the set time, whatever hangs."""
    from monitor.service import serve  # half a second that no other command has to wait

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _begin_to_stop, stop, settings.stop_timeout.total_seconds() + GRACE_SECONDS)
    await serve(settings, stop)


def _begin_to_stop(stop: asyncio.Event, seconds: float) -> None:
    """A database that hangs can hold a thread, or the loop's own end, for ever: then the process ends without them.

    What was not recorded is checked again.
    """
    if not stop.is_set():
        stop.set()
        last_resort = threading.Timer(seconds, _give_up)
        # A daemon, so that a service that ends in time does not wait for it.
        last_resort.daemon = True
        last_resort.start()


def _give_up() -> None:
    log.error("gave_up_stopping")
    # Not sys.exit, which would end this thread only; and a normal exit waits for threads that hang.
    os._exit(1)
