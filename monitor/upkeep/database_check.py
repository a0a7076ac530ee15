"""Checks the database without changing it: is it sound, does pruning keep up, and how large will it grow?"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.config.retention import Keep, KeepRule
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, StoreError
from monitor.notices.wording import counted
from monitor.store import migrations, sizes
from monitor.store.database import Database
from monitor.store.migrations import SchemaState
from monitor.store.sizes import DatabaseSize
from monitor.store.sqlite_file import LOG_LIMIT
from monitor.tenants.fingerprint_key import existing_key
from monitor.upkeep import consistency_queries, damage_queries, growth_queries, pruning_queries
from monitor.upkeep.audit.chain import AuditKey
from monitor.upkeep.audit.verifier import newest_batch_problem
from monitor.upkeep.finding import DatabasePart, HealthFinding
from monitor.upkeep.growth import Growth, total_after

_COMPOSING = timedelta(hours=1)  # on top of the settle time; the composer runs every minute
_PRUNING = timedelta(days=1)  # `serve` prunes every hour
_LONG_LOG = 4 * LOG_LIMIT  # the service keeps the log below its limit, except for moments
_SOON_DAYS = 30


@dataclass(frozen=True, slots=True)
class RowAges:
    """The rows of one rule: the oldest and the newest, the moment `before` which they are old, and how many are."""

    rule: KeepRule
    oldest: datetime | None
    newest: datetime | None
    before: datetime
    stale: int


@dataclass(slots=True)
class DatabaseReport:
    """`skipped` says why a part was not checked. What could not be determined is None or empty."""

    database: str
    newest: str
    revision: str | None = None
    last_check: datetime | None = None
    findings: list[HealthFinding] = field(default_factory=list)
    skipped: dict[DatabasePart, str] = field(default_factory=dict)
    ages: list[RowAges] = field(default_factory=list)
    tables: list[Growth] = field(default_factory=list)
    size: DatabaseSize | None = None
    disk_free: int | None = None

    @property
    def sound(self) -> bool:
        return not self.findings

    def of(self, part: DatabasePart) -> list[HealthFinding]:
        return [finding for finding in self.findings if finding.part is part]


class DatabaseCheck:
    """Each part is one transaction; `started` is called before it. StoreError if the database cannot be read at all."""

    def __init__(
        self, db: Database, settings: Settings, now: datetime, *, quick: bool, started: Callable[[DatabasePart], None]
    ) -> None:
        self._db = db
        self._settings = settings
        self._keep = Keep.of(settings)
        self._now = now
        self._quick = quick
        self._started = started
        self._report = DatabaseReport(db.name, migrations.newest())

    async def run(self) -> DatabaseReport:
        async with self._db.reading() as conn:
            state = await conn.run_sync(migrations.schema_state)
            self._report.revision = await conn.run_sync(migrations.revision)
        if state in (SchemaState.EMPTY, SchemaState.FOREIGN):
            self._db.refuse_unless_current(state)
        parts: Mapping[DatabasePart, Callable[[AsyncConnection], Awaitable[None]]] = {
            DatabasePart.FILE: self._file,
            DatabasePart.TABLES: self._tables,
            DatabasePart.REFERENCES: self._references,
            DatabasePart.RECORDS: self._records,
            DatabasePart.KEY: self._key,
            DatabasePart.HISTORY: self._history,
            DatabasePart.UPKEEP: self._upkeep,
            DatabasePart.SPACE: self._space,
        }
        for part, check in parts.items():
            self._started(part)
            await self._check(part, check, state)
        return self._report

    async def _check(
        self, part: DatabasePart, check: Callable[[AsyncConnection], Awaitable[None]], state: SchemaState
    ) -> None:
        if state is not SchemaState.CURRENT and part not in (DatabasePart.FILE, DatabasePart.TABLES):
            self._report.skipped[part] = "the tables belong to another release"
            return
        try:
            async with self._db.reading() as conn:
                await check(conn)
        except StoreError:
            # In a damaged file any query may fail; in a sound one the failure has another reason.
            if not self._report.of(DatabasePart.FILE):
                raise
            if part is not DatabasePart.FILE:
                self._report.skipped[part] = "the file is too damaged"

    async def _file(self, conn: AsyncConnection) -> None:
        if self._db.is_sqlite:
            self._report.findings += await damage_queries.of_file(conn, quick=self._quick)
        else:
            self._report.skipped[DatabasePart.FILE] = "Postgres has its own tool: pg_amcheck"

    async def _tables(self, conn: AsyncConnection) -> None:
        try:
            self._db.refuse_unless_current(await conn.run_sync(migrations.schema_state))
        except StoreError as problem:
            self._report.findings.append(HealthFinding.of_error(DatabasePart.TABLES, str(problem)))
        else:
            self._report.findings += await damage_queries.of_tables(conn)

    async def _references(self, conn: AsyncConnection) -> None:
        self._report.findings += await damage_queries.of_references(conn)

    async def _records(self, conn: AsyncConnection) -> None:
        self._report.last_check = await consistency_queries.last_check(conn, self._now)
        self._report.findings += await consistency_queries.of_records(
            conn, self._now, 2 * self._settings.settle + _COMPOSING
        )

    async def _key(self, _: AsyncConnection) -> None:
        try:
            await existing_key(self._db, self._settings)
        except ConfigurationError as problem:
            self._report.findings.append(HealthFinding.of_error(DatabasePart.KEY, str(problem)))

    async def _history(self, conn: AsyncConnection) -> None:
        """The newest signatures only: comparing all of them is a command of its own."""
        try:
            key = await existing_key(self._db, self._settings)
        except ConfigurationError:
            self._report.skipped[DatabasePart.HISTORY] = "it takes the installation's key"
            return
        problem = None if key is None else await newest_batch_problem(conn, AuditKey.derived(key))
        if problem is not None:
            next_step = "`harvest-monitor history verify` says all that was changed"
            self._report.findings.append(HealthFinding(DatabasePart.HISTORY, problem, next_step))

    async def _upkeep(self, conn: AsyncConnection) -> None:
        """Whether pruning keeps up, judged at the service's last sign of life: nothing is pruned while none runs."""
        alive = self._report.last_check or self._now
        before, overdue = self._keep.before(self._now), self._keep.before(alive - _PRUNING)
        for rule in before:
            stale = await pruning_queries.stale(conn, rule, before[rule])
            self._report.ages.append(RowAges(rule, *await pruning_queries.span(conn, rule), before[rule], stale))
            left = await pruning_queries.stale(conn, rule, overdue[rule])
            if left:
                message = (
                    f"{counted(left, 'row')} of {rule} older than {overdue[rule]:%Y-%m-%d %H:%M}Z, but still there"
                )
                next_step = "`harvest-monitor db prune` prunes them now; see what the log of `serve` says about pruning"
                self._report.findings.append(HealthFinding(DatabasePart.UPKEEP, message, next_step))

    async def _space(self, conn: AsyncConnection) -> None:
        self._report.size = await sizes.of_database(conn)
        self._report.disk_free = await sizes.free_disk_space(conn)
        self._report.tables = await growth_queries.growth(conn, self._keep, self._report.last_check or self._now)
        self._report.findings += self._tight(self._report.size, self._report.disk_free)

    def _tight(self, size: DatabaseSize, disk_free: int | None) -> list[HealthFinding]:
        found = []
        if size.wal > _LONG_LOG:
            message = f"the log beside the file has {size.wal:,} bytes: something has been reading for a long time"
            next_step = "end the other program that has the file open (`fuser FILE`); the service then shortens the log"
            found.append(HealthFinding(DatabasePart.SPACE, message, next_step))
        soon = total_after(self._report.tables, _SOON_DAYS)
        needed = 2 * LOG_LIMIT + max(0, (soon or 0) - size.used - size.free)
        if disk_free is not None and disk_free < needed:
            message = f"{disk_free:,} bytes are free on the disk; the next {_SOON_DAYS} days need up to {needed:,.0f}"
            found.append(HealthFinding(DatabasePart.SPACE, message, "free some disk space, or enlarge the disk"))
        return found
