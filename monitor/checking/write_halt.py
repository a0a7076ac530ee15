"""Who is asked before a write probe goes out: the stop of one command, or the stored stop of the whole service."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from checks.catalogue.endpoints import Entry, WriteProbes
from checks.report import WriteAlarm
from monitor.checking import write_halt_queries
from monitor.checking.claim_queries import Claim
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.write_alarm import write_alarm_notice
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database

log = structlog.get_logger()

_Alarm = tuple[WriteAlarm, Claim]


class OneShotWriteGuard:
    """Keeps its own stop, for the life of one command; nothing lifts it. `alarms` are with the tenant of each."""

    def __init__(self) -> None:
        self.alarms: list[tuple[str, WriteAlarm]] = []

    async def may_write(self, entry: Entry) -> bool:
        return not any(_stops(alarm.stops, entry) for _, alarm in self.alarms)

    async def halt(self, alarm: WriteAlarm, tenant_id: str) -> None:
        self.alarms.append((tenant_id, alarm))
        _log(alarm, tenant=tenant_id)


class OneShotTenantGuard:
    """The command's stop, as the look at one tenant asks it."""

    def __init__(self, stop: OneShotWriteGuard, tenant_id: str) -> None:
        self._stop = stop
        self._tenant_id = tenant_id

    async def may_write(self, entry: Entry) -> bool:
        return await self._stop.may_write(entry)

    async def halt(self, alarm: WriteAlarm) -> None:
        await self._stop.halt(alarm, self._tenant_id)


class _OneRead:
    """One read, on one connection, for all who ask before it begins; nobody's answer is older than the question."""

    def __init__(self, read: Callable[[], Awaitable[frozenset[str]]]) -> None:
        self._read = read
        self._coming: asyncio.Task[frozenset[str]] | None = None
        self._alone = asyncio.Lock()

    async def answer(self) -> frozenset[str]:
        if self._coming is None:
            self._coming = asyncio.create_task(self._next())
        return await asyncio.shield(self._coming)  # who asks may be cancelled, the others still want to know

    async def _next(self) -> frozenset[str]:
        async with self._alone:
            self._coming = None
            return await self._read()


class WriteStop:
    """The stop of all workers is a stored row. Until it is stored, this process keeps it in mind: it fails closed."""

    def __init__(self, db: Database, policy: NoticePolicy, renderer: Renderer, now: Callable[[], datetime]) -> None:
        self._db = db
        self._policy = policy
        self._renderer = renderer
        self._now = now
        self.alarms: list[tuple[str, WriteAlarm]] = []
        self._unstored: list[_Alarm] = []
        self._untold: list[_Alarm] = []
        self._alone = asyncio.Lock()
        self._standing = _OneRead(self._read_standing)

    async def may_write(self, entry: Entry) -> bool:
        heard = len(self.alarms)
        if any(_stops(alarm.stops, entry) for alarm, _ in self._unstored):
            return False
        stopped = any(_stops(scope, entry) for scope in await self._standing.answer())
        return not stopped and len(self.alarms) == heard  # an alarm heard during the read is not in what was read

    async def _read_standing(self) -> frozenset[str]:
        async with self._db.reading_once() as conn:
            return await write_halt_queries.standing(conn)

    async def halt(self, alarm: WriteAlarm, claim: Claim) -> None:
        """Stop here, say so, then store it; a database that fails does not keep writes going."""
        self.alarms.append((claim.tenant_id, alarm))
        self._unstored.append((alarm, claim))
        _log(alarm, tenant=claim.tenant_id, credential=claim.label)
        await self.store()

    @property
    def stored(self) -> bool:
        return not self._unstored

    async def store(self) -> None:
        """Store what is not stored yet, and write the operator's notice; what fails is tried again at the next beat."""
        async with self._alone:
            await self._each(self._unstored, self._store_halt, "halt_not_stored")
            await self._each(self._untold, self._tell, "halt_not_told")

    async def _each(
        self, waiting: list[_Alarm], act: Callable[[WriteAlarm, Claim], Awaitable[None]], failure: str
    ) -> None:
        """In their order, each taken off the list once it is done; the first that fails ends it for now."""
        while waiting:
            alarm, claim = waiting[0]
            try:
                await act(alarm, claim)
            except Exception:  # the alarm stands; neither database nor wording may break off the check that heard it
                log.exception(failure, tenant=claim.tenant_id, endpoint=alarm.endpoint)
                return
            waiting.pop(0)

    async def _store_halt(self, alarm: WriteAlarm, claim: Claim) -> None:
        async with self._db.writing() as conn:
            await write_halt_queries.halt(conn, alarm, claim.tenant_id, claim.credential_id)
        self._untold.append((alarm, claim))

    async def _tell(self, alarm: WriteAlarm, claim: Claim) -> None:
        async with self._db.writing() as conn:
            await write_alarm_notice(
                conn,
                self._policy,
                self._renderer,
                alarm,
                tenant_id=claim.tenant_id,
                tenant_name=claim.tenant_name,
                credential_label=claim.label,
                now=self._now(),
            )


class StoredWriteGuard:
    """The shared stop, as one check asks it."""

    def __init__(self, stop: WriteStop, claim: Claim) -> None:
        self._stop = stop
        self._claim = claim

    async def may_write(self, entry: Entry) -> bool:
        return await self._stop.may_write(entry)

    async def halt(self, alarm: WriteAlarm) -> None:
        await self._stop.halt(alarm, self._claim)


def _stops(scope: str, entry: Entry) -> bool:
    return scope == write_halt_queries.ALL or entry.needs is WriteProbes.ALL


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
