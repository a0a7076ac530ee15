"""`serve`: everything that runs automatically, from the start to a clean stop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from fastapi import APIRouter

from checks.errors import ManifestError, ReadFailed
from monitor.assembly import Assembly
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits
from monitor.checking import claim_queries, sweep_queries
from monitor.checking.check_job import CheckJob
from monitor.checking.check_limits import CheckLimits
from monitor.checking.dispatcher import Dispatcher
from monitor.checking.preflight.preflight_check import PreflightCheck
from monitor.checking.preflight.preflight_queue import PreflightQueue
from monitor.checking.replaced_secrets import ReplacedSecrets
from monitor.checking.sampler import Sampler
from monitor.checking.write_halt import SharedWriteHalt
from monitor.clock import ClockJumps, elapsed, utc_now
from monitor.config.retention import Keep
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, StoreError
from monitor.incidents.burst_grouper import BurstGrouper
from monitor.metrics import Metrics
from monitor.notices.compose.composer import Composer
from monitor.notices.delivery import outbox_queries
from monitor.notices.delivery.backoff import BACK_OFF
from monitor.notices.delivery.outbox import LONGEST_CLAIM, Outbox
from monitor.notices.immediate.checks_paused import PauseNotices
from monitor.periodic import PeriodicTask, PeriodicTasks
from monitor.store.database import Database, open_database
from monitor.store.start_wait import StoppedWaiting, once_it_is_there
from monitor.tenants.fingerprint_key import registered_key
from monitor.tenants.sync import TenantSync
from monitor.tenants.sync_queries import active_ids
from monitor.upkeep.audit.chain import AuditKey
from monitor.upkeep.audit.history_pruner import HistoryPruner
from monitor.upkeep.audit.signer import HistorySigner
from monitor.upkeep.doctor_findings import of_clear_text
from monitor.upkeep.gauge_queries import snapshot
from monitor.upkeep.pruner import Pruner
from monitor.version import VERSION
from monitor.web.auth.sign_in import SignIn
from monitor.web.context import WebContext
from monitor.web.site import serving_site

log = structlog.get_logger()

TICK = timedelta(seconds=1)  # a query of an indexed column (docs/decisions/0007)
SNAPSHOT = timedelta(seconds=15)
SAMPLING = timedelta(seconds=5)
GROUPING = timedelta(seconds=5)
DELIVERY = timedelta(seconds=5)
COMPOSING = timedelta(minutes=1)
PRUNING = timedelta(hours=1)
SIGNING = timedelta(minutes=1)
DATABASE_ANSWERS_WITHIN = timedelta(seconds=2)  # before the chart's readiness probe gives up (10 s)


@dataclass(frozen=True, slots=True)
class MonitorService:
    """The parts of a running service; each method is one periodic task of it."""

    settings: Settings
    db: Database
    metrics: Metrics
    tenant_sync: TenantSync
    check_job: CheckJob
    write_halt: SharedWriteHalt
    dispatcher: Dispatcher
    breaker: CircuitBreaker
    preflights: PreflightQueue
    pauses: PauseNotices
    sampler: Sampler
    replaced_secrets: ReplacedSecrets
    grouper: BurstGrouper
    composer: Composer
    outbox: Outbox | None
    pruner: Pruner
    history_signer: HistorySigner

    async def tick(self) -> None:
        await self.dispatcher.tick(utc_now())

    async def reload(self) -> None:
        await self.tenant_sync.reload_if_changed(utc_now())
        self.check_job.registry = self.tenant_sync.registry

    async def sample(self) -> None:
        await self.sampler.run_once(utc_now())

    async def look_at_secrets(self) -> None:
        await self.replaced_secrets.run_once(utc_now())

    async def group(self) -> None:
        await self.grouper.run_once()

    async def compose(self) -> None:
        await self.composer.run_once(utc_now())

    async def deliver(self) -> None:
        if self.outbox is not None:
            await self.outbox.deliver()

    async def catch_up(self) -> None:
        """Store a halt that could not be stored, summarize sweeps, repair what a set clock left, shorten the log."""
        now = utc_now()
        # It opens a transaction of its own, so it must not be within the next one: on SQLite they cannot be nested.
        await self.write_halt.store()
        async with self.db.writing() as conn:
            await sweep_queries.keep(conn, now, self.settings.interval)
            await claim_queries.bring_back(conn, now, self.settings.interval, CheckLimits.of(self.settings).lease)
            await outbox_queries.repair_schedule(conn, now, BACK_OFF[-1], LONGEST_CLAIM)
        # Likewise: it takes the same lock.
        await self.db.shorten_log()

    async def show(self) -> None:
        """The gauges, also while nothing can be written."""
        async with self.db.reading() as conn:
            self.metrics.show(await snapshot(conn, utc_now(), self.settings.deadline))

    async def prune(self) -> None:
        """Delete what is old. Checks are spread over the whole day, so no hour is quieter than another."""
        self.metrics.pruned(await self.pruner.run_once(utc_now()))

    async def sign(self) -> None:
        await self.history_signer.run_once(utc_now())

    async def reach_database(self) -> None:
        """StoreError unless the database answers in time."""
        try:
            async with asyncio.timeout(DATABASE_ANSWERS_WITHIN.total_seconds()):
                await self.db.ping()
        except TimeoutError:
            raise StoreError("the database does not answer in time") from None


async def serve(
    settings: Settings,
    stop: asyncio.Event,
    ready: Callable[[str], None] | None = None,
    more_pages: Sequence[APIRouter] = (),
) -> None:
    """Run until `stop` is set. `ready` gets the address of the pages once everything runs.

    ConfigurationError or StoreError before anything was sent, if it cannot begin.
    """
    problems = settings.problems_for_serving()
    if problems:
        raise ConfigurationError("\n".join(problems))
    for warning in settings.warnings_for_serving():
        log.warning("serving_with_a_gap", warning=warning)
    if settings.database_may_be_overheard:
        finding = of_clear_text(settings.database)
        log.warning("serving_with_a_gap", warning=f"{finding.message}: {finding.next_step}")
    try:
        opened = await opened_database(settings, stop)
    except StoppedWaiting:
        log.info("stopped")
        return
    async with assembled(settings, opened) as service, _site(service, more_pages) as url:
        tasks = _periodic_tasks(service)
        tasks.start("look_back", "show", "tick", "prune")
        log.info("serving", address=url, version=VERSION)
        if ready is not None:
            ready(url)
        await stop.wait()
        seconds = settings.stop_timeout.total_seconds()
        log.info("stopping", seconds=seconds)
        service.pruner.stop()
        outbox = [service.outbox.stop(seconds)] if service.outbox else []
        # In parallel: all of it may take `stop_timeout`, not each part.
        ends = [service.dispatcher.engine.stop(seconds), tasks.stop(seconds), service.preflights.stop(), *outbox]
        await asyncio.gather(*ends)
    log.info("stopped")


def _site(service: MonitorService, more_pages: Sequence[APIRouter]) -> AbstractAsyncContextManager[str]:
    settings = service.settings
    return serving_site(
        service.metrics,
        service.reach_database,
        SignIn.of(settings, service.db),
        _web_context(service),
        service.preflights,
        settings.listen_address,
        settings.metrics_listen_address,
        more_pages,
    )


def _web_context(service: MonitorService) -> WebContext:
    return WebContext(
        service.db,
        service.settings,
        utc_now,
        # Functions: a reload replaces the registry, and the breaker turns.
        registry=lambda: service.tenant_sync.registry,
        breaker=lambda: service.breaker.state,
        paused_since=lambda: service.pauses.paused_since,
    )


async def opened_database(settings: Settings, stop: asyncio.Event) -> Database:
    """A database that can be written, waited for as long as the settings say."""

    async def open_it() -> Database:
        db = await open_database(settings.database, settings.database_pool_size)
        try:
            await db.ping()
            await db.fill_pool()
        except BaseException:
            await db.close()
            raise
        return db

    return await once_it_is_there(open_it, settings.database_start_timeout, stop)


@asynccontextmanager
async def assembled(settings: Settings, db: Database) -> AsyncIterator[MonitorService]:
    """A service whose tenants are loaded, and of which nothing runs yet. It closes the database at the end."""
    assembly = Assembly(settings)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(db.close)
        # Before anything is written: with another key every credential would look replaced.
        fingerprint_key = await registered_key(db, settings, utc_now())
        audit_key = AuditKey.derived(fingerprint_key)
        metrics = Metrics(VERSION)
        metrics.set_interval(settings.interval)
        metrics.count_asyncio_tasks(asyncio.get_running_loop())
        tenant_sync = assembly.tenant_sync(db, metrics)
        await _first_load(tenant_sync, db)
        renderer = assembly.renderer(metrics.notice_fell_back)
        limits = Limits.of(settings.confirm_after.total_seconds())
        pauses = PauseNotices(db, assembly.notice_policy, renderer, limits, utc_now)
        breaker = CircuitBreaker(limits, [metrics.breaker_changed, pauses.changed])
        write_halt = assembly.write_halt(db, renderer)
        metrics.watch(halt_stored=lambda: write_halt.stored, templates_broken=lambda: renderer.broken)
        credential_check = assembly.credential_check(metrics, breaker, fingerprint_key)
        preflight = PreflightCheck(credential_check, write_halt, assembly.drift_policy)
        check_job = CheckJob(
            assembly.recorded_check(db),
            credential_check,
            tenant_sync.registry,
            write_halt,
            metrics,
            setting=settings.write_probes,
            now=utc_now,
        )
        dispatcher = assembly.dispatcher(db, check_job.check, metrics, breaker)
        yield MonitorService(
            settings=settings,
            db=db,
            metrics=metrics,
            tenant_sync=tenant_sync,
            check_job=check_job,
            write_halt=write_halt,
            dispatcher=dispatcher,
            breaker=breaker,
            preflights=PreflightQueue(preflight, breaker, utc_now),
            pauses=pauses,
            sampler=assembly.sampler(db, metrics, breaker),
            replaced_secrets=ReplacedSecrets(
                db, credential_check.loader, lambda: tenant_sync.loads, lambda: dispatcher.engine.busy
            ),
            grouper=BurstGrouper(db),
            composer=assembly.composer(db, renderer, tenant_sync),
            outbox=assembly.outbox(db, metrics),
            pruner=Pruner(db, Keep.of(settings), history_pruner=HistoryPruner(db, audit_key)),
            history_signer=HistorySigner(db, audit_key),
        )


async def _first_load(tenant_sync: TenantSync, db: Database) -> None:
    """A service that knows tenants goes on with them if the file cannot be used; a new one does not start."""
    try:
        await tenant_sync.load(utc_now())
    except (ConfigurationError, ManifestError, ReadFailed) as problem:
        async with db.reading() as conn:
            known = await active_ids(conn)
        if not known:
            raise
        log.error("refused_tenants_file", problem=str(problem))


def _periodic_tasks(service: MonitorService) -> PeriodicTasks:
    tasks, metrics = _tasks_of(service), service.metrics
    metrics.expect_tasks(tasks)
    return PeriodicTasks(tasks, ClockJumps(utc_now, elapsed), metrics)


def _tasks_of(service: MonitorService) -> dict[str, PeriodicTask]:
    # In a rehearsal notices settle within seconds: composing, delivering and the gauges then keep up with that.
    quick = max(service.settings.settle / 2, TICK)
    return {
        # The keys are values of the metrics' label `beat`, and in an alert rule: never rename one.
        "tick": PeriodicTask(service.tick, TICK),
        "pauses": PeriodicTask(service.pauses.write, TICK),
        "reload": PeriodicTask(service.reload, service.settings.tenants_reload),
        "secrets": PeriodicTask(service.look_at_secrets, service.settings.tenants_reload),
        "sample": PeriodicTask(service.sample, min(SAMPLING, quick)),
        "group": PeriodicTask(service.group, min(GROUPING, quick)),
        "compose": PeriodicTask(service.compose, min(COMPOSING, quick)),
        "deliver": PeriodicTask(service.deliver, min(DELIVERY, quick)),
        "look_back": PeriodicTask(service.catch_up, SNAPSHOT),
        "show": PeriodicTask(service.show, min(SNAPSHOT, quick)),
        "prune": PeriodicTask(service.prune, PRUNING),
        "sign": PeriodicTask(service.sign, SIGNING),
    }
