"""Who is asked before a write probe goes out: the stop of one command, or the stored stop of the whole service."""

import structlog

from checks.catalogue import Entry, WriteProbes
from checks.report import WriteAlarm

log = structlog.get_logger()


class OneShotWriteGuard:
    """Keeps its own stop, for the life of one command; nothing lifts it."""

    def __init__(self) -> None:
        self.alarms: list[WriteAlarm] = []

    async def may_write(self, entry: Entry) -> bool:
        scopes = {alarm.stops for alarm in self.alarms}
        return "all" not in scopes and not (entry.needs is WriteProbes.ALL and "without_id" in scopes)

    async def halt(self, alarm: WriteAlarm) -> None:
        self.alarms.append(alarm)
        log.error("halted_writes", endpoint=alarm.endpoint, status=alarm.status, stops=alarm.stops)
