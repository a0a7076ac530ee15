"""Asked before every write probe: the halt of one command, or the stored halt of the whole service."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

import structlog

from checks.catalogue.entry import Entry, WriteProbes
from checks.report import WriteAlarm
from monitor.checking import write_halt_queries
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.write_alarm import write_alarm_notice
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database

log = structlog.get_logger()


class ProbedCredential(Protocol):
    """Whose credential writes are probed with; that of a pre-flight belongs to no tenant of the database."""

    @property
    def tenant_id(self) -> str | None: ...

    @property
    def tenant_name(self) -> str: ...

    @property
    def credential_id(self) -> int | None: ...

    @property
    def label(self) -> str: ...


_Alarm = tuple[WriteAlarm, ProbedCredential]


class LocalWriteHalt:
    """Halts writes for the life of one command; nothing lifts it. `alarms` are with the tenant of each."""

    def __init__(self) -> None:
        self.alarms: list[tuple[str, WriteAlarm]] = []

    async def may_write(self, entry: Entry) -> bool:
        return not any(_stops(alarm.stops, entry) for _, alarm in self.alarms)

    async def halt(self, alarm: WriteAlarm, tenant_id: str) -> None:
        self.alarms.append((tenant_id, alarm))
        _log(alarm, tenant=tenant_id)


class LocalWriteGuard:
    """The command's halt, as the check of one tenant asks it."""

    def __init__(self, halt: LocalWriteHalt, tenant_id: str) -> None:
        self._halt = halt
        self._tenant_id = tenant_id

    async def may_write(self, entry: Entry) -> bool:
        return await self._halt.may_write(entry)

    async def halt(self, alarm: WriteAlarm) -> None:
        await self._halt.halt(alarm, self._tenant_id)


class _SharedRead:
    """One read for all who ask before it begins: nobody gets an answer from before they asked."""

    def __init__(self, read: Callable[[], Awaitable[frozenset[str]]]) -> None:
        self._read = read
        self._next_read: asyncio.Task[frozenset[str]] | None = None
        self._lock = asyncio.Lock()

    async def answer(self) -> frozenset[str]:
        if self._next_read is None:
            self._next_read = asyncio.create_task(self._next())
        return await asyncio.shield(self._next_read)  # one caller may be cancelled, the others still wait

    async def _next(self) -> frozenset[str]:
        async with self._lock:
            self._next_read = None
            return await self._read()


class SharedWriteHalt:
    """The halt of all workers is a stored row. Until it is stored, this process halts by itself: it fails closed."""

    def __init__(self, db: Database, policy: NoticePolicy, renderer: Renderer, now: Callable[[], datetime]) -> None:
        self._db = db
        self._policy = policy
        self._renderer = renderer
        self._now = now
        self.alarms: list[tuple[str | None, WriteAlarm]] = []
        self._unstored: list[_Alarm] = []
        self._not_notified: list[_Alarm] = []
        self._lock = asyncio.Lock()
        self._in_force = _SharedRead(self._read_in_force)

    async def may_write(self, entry: Entry) -> bool:
        raised = len(self.alarms)
        if any(_stops(alarm.stops, entry) for alarm, _ in self._unstored):
            return False
        # Read every time, not even cached for a second: a halt applies to every write after it (docs/performance.md).
        stopped = any(_stops(scope, entry) for scope in await self._in_force.answer())
        return not stopped and len(self.alarms) == raised  # an alarm raised during the read is not in what was read

    async def _read_in_force(self) -> frozenset[str]:
        async with self._db.reading_once() as conn:
            return await write_halt_queries.in_force(conn)

    async def halt(self, alarm: WriteAlarm, probed: ProbedCredential) -> None:
        """Halt here, log it, then store it: a failing database does not keep writes going."""
        self.alarms.append((probed.tenant_id, alarm))
        self._unstored.append((alarm, probed))
        _log(alarm, tenant=probed.tenant_id, credential=probed.label)
        await self.store()

    @property
    def stored(self) -> bool:
        return not self._unstored

    async def store(self) -> None:
        """Store what is not stored yet, and write the operator's notice; what fails is tried again later."""
        async with self._lock:
            # Locked: the check that raised an alarm and the periodic task may both store it at the same moment.
            await self._each(self._unstored, self._store_halt, "halt_not_stored")
            await self._each(self._not_notified, self._notify, "halt_not_told")

    async def _each(
        self, waiting: list[_Alarm], act: Callable[[WriteAlarm, ProbedCredential], Awaitable[None]], failure: str
    ) -> None:
        """In order, each taken off the list once it is done; the first that fails ends it for now."""
        while waiting:
            alarm, probed = waiting[0]
            try:
                await act(alarm, probed)
            except Exception:  # the alarm stands; neither database nor wording may break off the check that raised it
                log.exception(failure, tenant=probed.tenant_id, endpoint=alarm.endpoint)
                return
            waiting.pop(0)

    async def _store_halt(self, alarm: WriteAlarm, probed: ProbedCredential) -> None:
        async with self._db.writing() as conn:
            await write_halt_queries.halt(conn, alarm, probed.tenant_id, probed.credential_id)
        # Its notice comes in a transaction of its own: a wording that fails must not take back the halt.
        self._not_notified.append((alarm, probed))

    async def _notify(self, alarm: WriteAlarm, probed: ProbedCredential) -> None:
        async with self._db.writing() as conn:
            await write_alarm_notice(
                conn,
                self._policy,
                self._renderer,
                alarm,
                tenant_id=probed.tenant_id,
                tenant_name=probed.tenant_name,
                credential_label=probed.label,
                now=self._now(),
            )


class SharedWriteGuard:
    """The shared halt, as one check asks it."""

    def __init__(self, halt: SharedWriteHalt, probed: ProbedCredential) -> None:
        self._halt = halt
        self._probed = probed

    async def may_write(self, entry: Entry) -> bool:
        return await self._halt.may_write(entry)

    async def halt(self, alarm: WriteAlarm) -> None:
        await self._halt.halt(alarm, self._probed)


def _stops(scope: str, entry: Entry) -> bool:
    return scope == write_halt_queries.ALL or entry.needs is WriteProbes.ALL


def _log(alarm: WriteAlarm, **whose: str | None) -> None:
    log.error(
        "halted_writes",
        endpoint=alarm.endpoint,
        status=alarm.status,
        stops=alarm.stops,
        request_id=alarm.request_id,
        record_id=alarm.record_id,
        **whose,
    )
