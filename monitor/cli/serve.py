"""`serve`: the long-running service."""

import asyncio
import signal
import sys

from monitor import settings as settings_module
from monitor.logs import configure
from monitor.settings import Settings

EXAMPLE = "Example: HARVEST_MONITOR_CONFIG=/etc/harvest-monitor.toml harvest-monitor serve"


def command() -> None:
    """Check every tenant every few hours, record drift, serve metrics and write notices, until told to stop."""
    settings = settings_module.load()
    configure(settings.log_level, settings.log_format, sys.stderr)
    asyncio.run(until_signalled(settings))


async def until_signalled(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    from monitor.service import serve  # half a second that no other command has to wait

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)
