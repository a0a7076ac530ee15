"""Who is asked before a write probe goes out: the stop of one command, or the stored stop of the whole service."""

from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from checks.catalogue import Entry, WriteProbes
from checks.report import WriteAlarm
from monitor.errors import StoreError
from monitor.notices.alarm import write_alarm_notice
from monitor.notices.policy import Policy
from monitor.notices.render import Renderer
from monitor.store import halts
from monitor.store.credentials import Claim
from monitor.store.database import Database

log = structlog.get_logger()


class OneShotWriteGuard:
    """Keeps its own stop, for the life of one command; nothing lifts it."""

    def __init__(self) -> None:
        self._alarms: list[WriteAlarm] = []

    async def may_write(self, entry: Entry) -> bool:
        return not any(_stops(alarm, entry) for alarm in self._alarms)

    async def halt(self, alarm: WriteAlarm) -> None:
        self._alarms.append(alarm)
        _log(alarm)


class WriteStop:
    """The stop of all workers is a stored row. Until it is stored, this process keeps it in mind: it fails closed."""

    def __init__(self, db: Database, policy: Policy, now: Callable[[], datetime]) -> None:
        self._db = db
        self._policy = policy
        self._now = now
        self._unstored: list[tuple[WriteAlarm, Claim]] = []

    async def may_write(self, entry: Entry) -> bool:
        if any(_stops(alarm, entry) for alarm, _ in self._unstored):
            return False
        async with self._db.reading() as conn:
            return await halts.may_write(conn, entry.needs)

    async def halt(self, alarm: WriteAlarm, claim: Claim) -> None:
        """Stop here, say so, then store it; a database that fails does not keep writes going."""
        self._unstored.append((alarm, claim))
        _log(alarm, tenant=claim.tenant_id, credential=claim.label)
        await self.store()

    async def store(self) -> None:
        """Store what is not stored yet, and write the operator's notice; what fails is tried again at the next beat."""
        for alarm, claim in list(self._unstored):
            try:
                async with self._db.writing() as conn:
                    await halts.halt(conn, alarm, claim.tenant_id, claim.credential_id)
            except (SQLAlchemyError, StoreError, OSError):
                log.exception("halt_not_stored", tenant=claim.tenant_id, endpoint=alarm.endpoint)
                return
            self._unstored.remove((alarm, claim))
            await self._tell(alarm, claim)

    async def _tell(self, alarm: WriteAlarm, claim: Claim) -> None:
        try:
            async with self._db.writing() as conn:
                await write_alarm_notice(
                    conn,
                    self._policy,
                    Renderer(),
                    alarm,
                    tenant_id=claim.tenant_id,
                    tenant_name=claim.tenant_name,
                    credential_label=claim.label,
                    now=self._now(),
                )
        except Exception:  # a notice that can not be worded must not break the check that found the alarm
            log.exception("alarm_without_a_notice", tenant=claim.tenant_id, endpoint=alarm.endpoint)


class StoredWriteGuard:
    """The shared stop, as one check asks it."""

    def __init__(self, stop: WriteStop, claim: Claim) -> None:
        self._stop = stop
        self._claim = claim

    async def may_write(self, entry: Entry) -> bool:
        return await self._stop.may_write(entry)

    async def halt(self, alarm: WriteAlarm) -> None:
        await self._stop.halt(alarm, self._claim)


def _stops(alarm: WriteAlarm, entry: Entry) -> bool:
    return alarm.stops == halts.ALL or entry.needs is WriteProbes.ALL


def _log(alarm: WriteAlarm, **whose: str) -> None:
    log.error(
        "halted_writes",
        endpoint=alarm.endpoint,
        status=alarm.status,
        stops=alarm.stops,
        request_id=alarm.request_id,
        record_id=alarm.record_id,
        **whose,
    )
