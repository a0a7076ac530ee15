"""A look at the database that changes nothing: is it sound, does it keep up, and how large will it be?"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.config.retention import Keep, KeepRule
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, StoreError
from monitor.store import migrations, sizes
from monitor.store.database import Database
from monitor.store.migrations import SchemaState
from monitor.store.sizes import DatabaseSize
from monitor.store.sqlite_file import LOG_LIMIT
from monitor.tenants.fingerprint_key import existing_key
from monitor.upkeep import consistency_queries, damage_queries, growth_queries, pruning_queries
from monitor.upkeep.finding import DatabaseFinding, Part
from monitor.upkeep.growth import Growth, total_after

_COMPOSING = timedelta(hours=1)  # above the settle time; the composer runs every minute
_PRUNING = timedelta(days=1)  # `serve` prunes every hour
_LONG_LOG = 4 * LOG_LIMIT
_SOON_DAYS = 30


@dataclass(frozen=True, slots=True)
class Age:
    """What a rule is about: the oldest and newest there is, the moment it is kept from, and how many rows are older."""

    rule: KeepRule
    oldest: datetime | None
    newest: datetime | None
    before: datetime
    stale: int


@dataclass(slots=True)
class DatabaseReport:
    """`left_out` says why a part was not looked at; what could not be told is None or empty."""

    database: str
    newest: str
    revision: str | None = None
    last_look: datetime | None = None
    findings: list[DatabaseFinding] = field(default_factory=list)
    left_out: dict[Part, str] = field(default_factory=dict)
    ages: list[Age] = field(default_factory=list)
    tables: list[Growth] = field(default_factory=list)
    size: DatabaseSize | None = None
    room: int | None = None

    @property
    def sound(self) -> bool:
        return not self.findings

    def of(self, part: Part) -> list[DatabaseFinding]:
        return [finding for finding in self.findings if finding.part is part]


class DatabaseCheck:
    """`began` hears of each part. StoreError where the database can not be looked at; each part is one transaction."""

    def __init__(
        self, db: Database, settings: Settings, now: datetime, *, quick: bool, began: Callable[[Part], None]
    ) -> None:
        self._db = db
        self._settings = settings
        self._keep = Keep.of(settings)
        self._now = now
        self._quick = quick
        self._began = began
        self._seen = DatabaseReport(db.name, migrations.newest())

    async def run(self) -> DatabaseReport:
        async with self._db.reading() as conn:
            state = await conn.run_sync(migrations.schema_state)
            self._seen.revision = await conn.run_sync(migrations.revision)
        if state in (SchemaState.EMPTY, SchemaState.FOREIGN):
            self._db.refuse_unless_current(state)
        parts: Mapping[Part, Callable[[AsyncConnection], Awaitable[None]]] = {
            Part.FILE: self._file,
            Part.TABLES: self._tables,
            Part.REFERENCES: self._references,
            Part.RECORDS: self._records,
            Part.KEY: self._key,
            Part.UPKEEP: self._upkeep,
            Part.SPACE: self._space,
        }
        for part, look in parts.items():
            self._began(part)
            await self._look(part, look, state)
        return self._seen

    async def _look(self, part: Part, look: Callable[[AsyncConnection], Awaitable[None]], state: SchemaState) -> None:
        if state is not SchemaState.CURRENT and part not in (Part.FILE, Part.TABLES):
            self._seen.left_out[part] = "the tables are those of another release"
            return
        try:
            async with self._db.reading() as conn:
                await look(conn)
        except StoreError:
            if not self._seen.of(Part.FILE):
                raise
            if part is not Part.FILE:
                self._seen.left_out[part] = "the file is too damaged"

    async def _file(self, conn: AsyncConnection) -> None:
        if self._db.is_sqlite:
            self._seen.findings += await damage_queries.of_file(conn, quick=self._quick)
        else:
            self._seen.left_out[Part.FILE] = "Postgres looks at its own: pg_amcheck"

    async def _tables(self, conn: AsyncConnection) -> None:
        try:
            self._db.refuse_unless_current(await conn.run_sync(migrations.schema_state))
        except StoreError as problem:
            message, _, next_step = str(problem).partition(": ")
            self._seen.findings.append(DatabaseFinding(Part.TABLES, None, message, next_step))
        else:
            self._seen.findings += await damage_queries.of_tables(conn)

    async def _references(self, conn: AsyncConnection) -> None:
        self._seen.findings += await damage_queries.of_references(conn)

    async def _records(self, conn: AsyncConnection) -> None:
        self._seen.last_look = await consistency_queries.last_look(conn, self._now)
        self._seen.findings += await consistency_queries.of_records(conn, self._now, self._settings.settle + _COMPOSING)

    async def _key(self, _: AsyncConnection) -> None:
        try:
            await existing_key(self._db, self._settings)
        except ConfigurationError as problem:
            where, what, next_step = (*str(problem).split(": ", 2), "", "")[:3]
            self._seen.findings.append(DatabaseFinding(Part.KEY, None, f"{where}: {what}", next_step))

    async def _upkeep(self, conn: AsyncConnection) -> None:
        """Whether what is old goes. Nothing does while no service runs: what counts is the last sign of one."""
        alive = self._seen.last_look or self._now
        before, overdue = self._keep.before(self._now), self._keep.before(alive - _PRUNING)
        for rule in KeepRule:
            stale = await pruning_queries.stale(conn, rule, before[rule])
            self._seen.ages.append(Age(rule, *await pruning_queries.span(conn, rule), before[rule], stale))
            left = await pruning_queries.stale(conn, rule, overdue[rule])
            if left:
                message = f"{left} rows of {rule} are older than {overdue[rule]:%Y-%m-%d %H:%M}Z, and still there"
                next_step = "`harvest-monitor db prune` lets them go now; see what the log of `serve` says of pruning"
                self._seen.findings.append(DatabaseFinding(Part.UPKEEP, None, message, next_step))

    async def _space(self, conn: AsyncConnection) -> None:
        self._seen.size = await sizes.of_database(conn)
        self._seen.room = await sizes.free_disk_space(conn)
        self._seen.tables = await growth_queries.growth(conn, self._keep, self._seen.last_look or self._now)
        self._seen.findings += self._tight(self._seen.size, self._seen.room)

    def _tight(self, size: DatabaseSize, room: int | None) -> list[DatabaseFinding]:
        found = []
        if size.wal > _LONG_LOG:
            message = f"the log beside the file has {size.wal:,} bytes: something has been reading for long"
            next_step = "end what has the file open beside the service (`fuser FILE`); the service then shortens it"
            found.append(DatabaseFinding(Part.SPACE, None, message, next_step))
        soon = total_after(self._seen.tables, _SOON_DAYS)
        wanted = 2 * LOG_LIMIT + max(0, (soon or 0) - size.used - size.free)
        if room is not None and room < wanted:
            message = f"{room:,} bytes are left on the disk; the next {_SOON_DAYS} days need up to {wanted:,.0f}"
            found.append(DatabaseFinding(Part.SPACE, None, message, "make room on the disk, or make it larger"))
        return found
