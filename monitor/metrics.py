"""What Prometheus scrapes: counters of this process, and gauges from the latest snapshot of the database.

No label names a tenant or a permission; `history` has those.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from checks.answer import Answer
from checks.catalogue.entry import Entry
from checks.credential import CredentialKind, CredentialState
from checks.report import CheckReport, Outcome, Verdict
from monitor.breaker.machine import TRANSITIONS, State, Transition
from monitor.config.retention import KeepRule
from monitor.errors import FailureScope

PREFIX = "harvest_monitor"
# A check of 78 requests at 2 a second takes 39 seconds; five minutes is the deadline.
_BUCKETS = (1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600)

_UNFINISHED = {"pending": 0, "held": 0, "failed": 0}  # notices neither sent nor dropped, by status

# Without this, every counter and histogram gets a second series with the time it was created.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The gauges' values in the database at `taken_at`; ages in seconds.

    `tenants` counts by credential state, `tenants_by_status` by every status there is, `credentials` by kind and state,
    `outbox_notices` by status; `database_bytes` has the keys `used`, `free` and `wal`.
    """

    taken_at: datetime
    tenants: Mapping[str, int]
    credentials: Mapping[tuple[str, str], int]
    suspects: int
    incidents_open: int
    outbox_notices: Mapping[str, int]
    outbox_oldest_age_seconds: float
    last_completed_sweep: datetime | None
    write_halt: bool
    checks_overdue: int
    first_sweep: datetime | None
    database_bytes: Mapping[str, int] = field(default_factory=dict)
    tenants_by_status: Mapping[str, int] = field(default_factory=dict)


class Metrics:
    """The metrics of one process, on a registry of its own. Also observes the requests to Greenhouse."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        self._snapshot = _SnapshotCollector()
        self._registry.register(self._snapshot)
        ProcessCollector(namespace=PREFIX, registry=self._registry)
        self._add_counters()
        self._add_process_gauges()
        self._add_state_gauges()
        self._add_build_info(version)
        self._start_at_zero()

    def _add_counters(self) -> None:
        registry = self._registry
        self._checks = _counter(registry, "checks", "Checks by outcome", "outcome", "kind")
        self._verdicts = _counter(registry, "verdicts", "Verdicts on permissions", "verdict")
        self._requests = _counter(registry, "requests", "Requests sent to Greenhouse", "class", "status")
        self._waits = _counter(registry, "rate_limit_waits", "Pauses for Greenhouse's rate limit", "reason")
        self._wait_seconds = _counter(registry, "rate_limit_wait_seconds", "Time in those pauses", "reason")
        self._fenced = _counter(registry, "fenced", "Checks not recorded: another took over, or the process slept")
        self._paused = _counter(registry, "checks_paused", "Checks ended early because many tenants were in trouble")
        # `breaker_turns`, `beats_failed` and the label `beat` are older words: alert rules and dashboards rely on them.
        self._sampled = _counter(registry, "sampled_checks", "Checks brought forward because another tenant changed")
        self._breaker_changes = _counter(registry, "breaker_turns", "Changes of the breaker's state", "state", "reason")
        self._jumps = _counter(registry, "clock_jumps", "Times the clock was set while the service ran")
        self._task_failures = _counter(registry, "beats_failed", "Failed runs of a periodic task", "beat")
        self._alarms = _counter(registry, "write_alarms", "Write probes answered as none should be")
        self._notices_sent = _counter(registry, "notices_sent", "Notices accepted by the mail server")
        self._notices_failed = _counter(registry, "notices_failed", "Failed attempts to send a notice", "reason")
        self._results_not_written = _counter(
            registry, "notice_results_not_written", "Results of attempts to send a notice that the database refused"
        )
        self._notices_fallback = _counter(
            registry, "notices_fallback", "Notices in the fallback text, as their template failed"
        )
        self._pruned = _counter(registry, "pruned_rows", "Old rows that were pruned", "rule")
        self._reloads = _counter(registry, "tenants_file_reloads", "Times a changed tenants file was read", "result")
        self._file_refused = Gauge(
            "tenants_file_refused", "1 while the current tenants file is refused", namespace=PREFIX, registry=registry
        )
        self._mail_server_paused = Gauge(
            "mail_server_paused",
            "1 while no mail is sent because the server failed",
            namespace=PREFIX,
            registry=registry,
        )
        self._duration = Histogram(
            "check_duration_seconds",
            "Duration of a check",
            namespace=PREFIX,
            buckets=_BUCKETS,
            registry=registry,
        )

    def _add_process_gauges(self) -> None:
        self._database_trouble = Gauge(
            "database_trouble",
            "1 while checks pause because the database accepts no writes",
            namespace=PREFIX,
            registry=self._registry,
        )
        text = "1 for the breaker's current state"
        self._breaker = Gauge("breaker_state", text, ["state"], namespace=PREFIX, registry=self._registry)
        self._show_breaker(State.CLOSED)

    def _add_state_gauges(self) -> None:
        """What lasts, as it is now: an alert on a counter would outlast the trouble by the window it looks at."""
        text = "Failed runs of a periodic task since the last one that worked"
        self._consecutive_failures = Gauge(
            "beat_consecutive_failures", text, ["beat"], namespace=PREFIX, registry=self._registry
        )
        text = "Email templates whose last email went out as fallback text"
        self._templates_broken = Gauge("templates_broken", text, namespace=PREFIX, registry=self._registry)
        text = "1 while a write alarm of this process is not stored yet, and stops its write probes"
        self._halt_unstored = Gauge("write_halt_unstored", text, namespace=PREFIX, registry=self._registry)

    def _add_build_info(self, version: str) -> None:
        build = Gauge("build_info", "1, with the version", ["version"], namespace=PREFIX, registry=self._registry)
        build.labels(version).set(1)

    def count_asyncio_tasks(self, loop: asyncio.AbstractEventLoop) -> None:
        """Export how many tasks this event loop has, counted at each scrape."""
        text = "asyncio tasks of the process"
        tasks = Gauge("tasks", text, namespace=PREFIX, registry=self._registry)
        tasks.set_function(lambda: len(asyncio.all_tasks(loop)))

    def watch(self, *, halt_stored: Callable[[], bool], templates_broken: Callable[[], int]) -> None:
        """Ask at each scrape whether every alarm of this process is stored, and how many templates are broken."""
        self._halt_unstored.set_function(lambda: not halt_stored())
        self._templates_broken.set_function(templates_broken)

    def set_interval(self, interval: timedelta) -> None:
        """Export the setting, so that alert rules can refer to it."""
        text = "Time between two checks of a credential, as configured"
        Gauge("interval_seconds", text, namespace=PREFIX, registry=self._registry).set(interval.total_seconds())

    def _start_at_zero(self) -> None:
        """Otherwise the first event is a new series at 1, which `increase` does not count."""
        for outcome in Outcome:
            self._checks.labels(outcome, CredentialKind.HARVEST_KEY)
        for verdict in Verdict:
            self._verdicts.labels(verdict)
        for result in ("loaded", "refused"):
            self._reloads.labels(result)
        for scope in FailureScope:
            self._notices_failed.labels(scope)
        for rule in KeepRule:
            self._pruned.labels(rule)
        for wait in ("rate_limited", "reserve"):
            self._waits.labels(wait)
            self._wait_seconds.labels(wait)
        for state, reason in TRANSITIONS:
            self._breaker_changes.labels(state, reason)

    def checked(self, kind: str, report: CheckReport) -> None:
        self._alarms.inc(len(report.alarms))
        if report.paused:
            self._paused.inc()
            return
        self._checks.labels(report.outcome, kind).inc()
        self._duration.observe(report.duration_seconds)
        for verdict, count in report.counts.items():
            self._verdicts.labels(verdict).inc(count)

    def request(self, entry: Entry, answer: Answer) -> None:
        status = "none" if answer.status is None else str(answer.status)
        self._requests.labels(entry.request_class, status).inc()

    def waited(self, reason: str, seconds: float) -> None:
        self._waits.labels(reason).inc()
        self._wait_seconds.labels(reason).inc(seconds)

    def fenced(self) -> None:
        self._fenced.inc()

    def sampled(self, checks: int) -> None:
        self._sampled.inc(checks)

    def breaker_changed(self, transition: Transition) -> None:
        self._breaker_changes.labels(transition.after, transition.reason).inc()
        self._show_breaker(transition.after)

    def _show_breaker(self, current: State) -> None:
        for state in State:
            self._breaker.labels(state).set(state is current)

    def clock_jumped(self) -> None:
        self._jumps.inc()

    def expect_tasks(self, names: Iterable[str]) -> None:
        """Start the failures of each periodic task at zero."""
        for name in names:
            self._task_failures.labels(name)
            self._consecutive_failures.labels(name)

    def task_failed(self, name: str) -> None:
        self._task_failures.labels(name).inc()
        self._consecutive_failures.labels(name).inc()

    def task_worked(self, name: str) -> None:
        self._consecutive_failures.labels(name).set(0)

    def database_trouble(self, present: bool) -> None:
        self._database_trouble.set(present)

    def notice_sent(self) -> None:
        self._notices_sent.inc()

    def notice_failed(self, blame: str) -> None:
        self._notices_failed.labels(blame).inc()

    def result_not_written(self) -> None:
        self._results_not_written.inc()

    def notice_fell_back(self) -> None:
        self._notices_fallback.inc()

    def mail_server_paused(self, paused: bool) -> None:
        self._mail_server_paused.set(paused)

    def pruned(self, rows: Mapping[KeepRule, int]) -> None:
        for rule, number in rows.items():
            self._pruned.labels(rule).inc(number)

    def tenants_file_loaded(self) -> None:
        self._reloads.labels("loaded").inc()
        self._file_refused.set(0)

    def tenants_file_refused(self) -> None:
        self._reloads.labels("refused").inc()
        self._file_refused.set(1)

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot.latest = snapshot

    def render(self) -> tuple[bytes, str]:
        """The answer to a scrape, and its content type."""
        # The format that every version of Prometheus reads, and the one that generate_latest writes.
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


def _counter(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, namespace=PREFIX, registry=registry)


class _SnapshotCollector(Collector):
    """Gauges of the latest snapshot. Before the first one there are none: zeros would be false."""

    def __init__(self) -> None:
        self.latest: Snapshot | None = None

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        if self.latest is not None:
            yield from _with_labels(self.latest)
            yield from _without_labels(self.latest)


def _with_labels(snapshot: Snapshot) -> Iterator[Metric]:
    states = {str(state): 0 for state in CredentialState}
    kinds = {(kind.value, state): 0 for kind in CredentialKind for state in states}
    tenants = {(state,): count for state, count in {**states, **snapshot.tenants}.items()}
    outbox = {(status,): count for status, count in {**_UNFINISHED, **snapshot.outbox_notices}.items()}
    credentials = {**kinds, **snapshot.credentials}
    yield _gauge("tenants", "Tenants by the worst state of their credentials", tenants.items(), "state")
    statuses = {(status,): count for status, count in snapshot.tenants_by_status.items()}
    yield _gauge("tenants_by_status", "Tenants by status", statuses.items(), "status")
    yield _gauge("credentials", "Credentials by kind and state", credentials.items(), "kind", "state")
    database = {(part,): size for part, size in snapshot.database_bytes.items()}
    yield _gauge("database_bytes", "Size of the database by part", database.items(), "part")
    yield _gauge("outbox_notices", "Notices in the outbox by status", outbox.items(), "status")


def _without_labels(snapshot: Snapshot) -> Iterator[Metric]:
    yield _single("suspects", "Losses not yet confirmed", snapshot.suspects)
    yield _single("incidents_open", "Open incidents", snapshot.incidents_open)
    yield _single("outbox_oldest_age_seconds", "Age of the oldest pending notice", snapshot.outbox_oldest_age_seconds)
    yield _single("write_halt", "1 while write probes are stopped", int(snapshot.write_halt))
    yield _single("checks_overdue", "Credentials whose check is overdue", snapshot.checks_overdue)
    yield _single("snapshot_timestamp_seconds", "When these gauges were read", snapshot.taken_at.timestamp())
    if snapshot.first_sweep is not None:
        yield _single("first_sweep_timestamp_seconds", "When the first sweep began", snapshot.first_sweep.timestamp())
    if snapshot.last_completed_sweep is not None:
        completed = snapshot.last_completed_sweep.timestamp()
        yield _single("last_completed_sweep_timestamp_seconds", "When the last complete sweep ended", completed)


def _single(name: str, text: str, value: float) -> Metric:
    return _gauge(name, text, [((), value)])


def _gauge(name: str, text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for labelled, value in values:
        family.add_metric(labelled, value)
    return family
