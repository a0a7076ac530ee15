import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.credential import CredentialState
from checks.report import CheckReport, Finding, Verdict, WriteAlarm
from checks.wire.request_pacing import RequestObserver
from monitor.errors import FailureScope
from monitor.metrics import Metrics, Snapshot
from tests.paths import ROOT

DOCS = ROOT / "docs" / "metrics.md"
LABELS = {
    "outcome", "kind", "verdict", "class", "status", "reason", "result", "state", "version", "part", "rule", "beat",
}  # fmt: skip
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SNAPSHOT = Snapshot(
    taken_at=NOW,
    tenants={"ok": 60, "invalid": 2},
    credentials={("harvest-key", "ok"): 61, ("harvest-key", "invalid"): 2},
    suspects=4,
    incidents_open=3,
    outbox_notices={"pending": 5, "sent": 7},
    outbox_oldest_age_seconds=90.5,
    last_completed_sweep=NOW,
    write_halt=True,
    checks_overdue=1,
    database_bytes={"used": 4096, "free": 8192, "wal": 0},
    tenants_by_status={"drifted": 3, "undecided": 0, "paused": 0},
    first_sweep=NOW,
)


def finding(verdict: Verdict) -> Finding:
    return Finding("jobs.list_jobs", "Jobs", "GET: List jobs", verdict, "V18", "", "GET /v1/jobs")


def alarm() -> WriteAlarm:
    return WriteAlarm("PATCH /v1/applications/{id}", 200, NOW, None, None, "all")


def report(**changes: object) -> CheckReport:
    plain = {"manifest_name": "gem", "manifest_version": "1", "manifest_digest": "d", "detail": "", "findings": ()}
    return CheckReport(**{"state": CredentialState.OK, **plain, **changes})  # type: ignore[arg-type]


def families(metrics: Metrics) -> dict[str, Metric]:
    text, _ = metrics.render()
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for family in families(metrics).values()
        for sample in family.samples
        if sample.name == f"harvest_monitor_{name}" and sample.labels == labels
    ]
    return found


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """Metrics with one of everything, so that every series exists."""
    metrics = Metrics("0.1.0")
    metrics.request(catalogue().entry("GET /v1/jobs"), Answer(AnswerKind.JSON, 200))
    metrics.set_interval(timedelta(hours=4))
    loop = asyncio.new_event_loop()
    metrics.count_asyncio_tasks(loop)
    metrics.expect_tasks(["tick", "prune"])
    metrics.show(SNAPSHOT)
    yield metrics
    loop.close()


def documented() -> dict[str, tuple[str, set[str]]]:
    rows = re.findall(r"^\| `(harvest_monitor_\w+)` \| (\w+) \|(.*?)\| .+ \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exported(metrics: Metrics) -> dict[str, tuple[str, set[str]]]:
    return {
        name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for name, family in families(metrics).items()
    }


def test_docs_and_code_name_the_same_metrics(metrics: Metrics) -> None:
    """docs/metrics.md has every metric with its type and labels, and no others; its queries use only those."""
    assert documented() == exported(metrics)

    asked = re.findall(
        r"harvest_monitor_\w+", "".join(re.findall(r"```promql\n(.*?)```", DOCS.read_text("utf-8"), re.S))
    )
    assert asked
    assert set(asked) <= set(documented())


def test_names_follow_prometheus(metrics: Metrics) -> None:
    """Only counters end in _total; times are in seconds; every metric has help; labels are few."""
    for name, (kind, labels) in exported(metrics).items():
        assert re.fullmatch(r"harvest_monitor_[a-z]+(_[a-z]+)*", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|millis|milliseconds|minutes|hours|count|sum|bucket|created)(_|$)", name)
        assert re.search(r"duration|age|timestamp|wait(_|$)", name) is None or "_seconds" in name, name
        assert labels <= LABELS, name
    assert all(family.documentation for family in families(metrics).values())


def test_a_check_is_counted(metrics: Metrics) -> None:
    """By outcome and kind, with its verdicts, its duration and its alarms."""
    findings = (finding(Verdict.GRANTED), finding(Verdict.GRANTED), finding(Verdict.MISSING))

    metrics.checked("harvest-key", report(findings=findings, duration_seconds=39.0, alarms=(alarm(),)))
    metrics.checked("harvest-key", report(state=CredentialState.INVALID, duration_seconds=0.5))

    assert value(metrics, "checks_total", outcome="drifted", kind="harvest-key") == 1
    assert value(metrics, "checks_total", outcome="failed", kind="harvest-key") == 1
    assert value(metrics, "verdicts_total", verdict="granted") == 2
    assert value(metrics, "verdicts_total", verdict="missing") == 1
    assert value(metrics, "check_duration_seconds_sum") == 39.5
    assert value(metrics, "check_duration_seconds_bucket", le="45.0") == 2
    assert value(metrics, "write_alarms_total") == 1


def test_requests_and_waits_are_counted(metrics: Metrics) -> None:
    """Requests count by class and status (`none` if no answer came), pauses by reason."""
    observer: RequestObserver = metrics

    observer.request(catalogue().entry("PATCH /v1/applications/{id}"), Answer(AnswerKind.PERMISSION, 403))
    observer.request(catalogue().entry("GET /v1/jobs/{id}"), Answer(AnswerKind.TIMEOUT))
    observer.waited("reserve", 10.0)
    observer.waited("reserve", 2.5)

    assert value(metrics, "requests_total", **{"class": "PATCH", "status": "403"}) == 1
    assert value(metrics, "requests_total", **{"class": "by-id", "status": "none"}) == 1
    assert value(metrics, "rate_limit_waits_total", reason="reserve") == 2
    assert value(metrics, "rate_limit_wait_seconds_total", reason="reserve") == 12.5


def test_events_of_the_service_are_counted(metrics: Metrics) -> None:
    """Each of these has a counter that starts at 0 and goes up by one."""
    for name, labels, count in [
        ("fenced_total", {}, metrics.fenced),
        ("beats_failed_total", {"beat": "tick"}, lambda: metrics.task_failed("tick")),
        ("notices_sent_total", {}, metrics.notice_sent),
        ("notices_failed_total", {"reason": "server"}, lambda: metrics.notice_failed(FailureScope.SERVER)),
        ("notices_fallback_total", {}, metrics.notice_fell_back),
        ("mail_server_paused", {}, lambda: metrics.mail_server_paused(True)),
        ("tenants_file_reloads_total", {"result": "loaded"}, metrics.tenants_file_loaded),
        ("tenants_file_reloads_total", {"result": "refused"}, metrics.tenants_file_refused),
    ]:
        assert value(metrics, name, **labels) == 0
        count()
        assert value(metrics, name, **labels) == 1


def test_gauges_show_the_last_snapshot(metrics: Metrics) -> None:
    """A snapshot replaces the one before completely: what it no longer counts becomes 0."""
    assert value(metrics, "tenants", state="invalid") == 2
    assert value(metrics, "write_halt") == 1
    assert value(metrics, "last_completed_sweep_timestamp_seconds") == NOW.timestamp()
    assert value(metrics, "outbox_oldest_age_seconds") == 90.5
    assert value(metrics, "database_bytes", part="free") == 8192
    assert (
        value(metrics, "tenants_by_status", status="drifted"),
        value(metrics, "tenants_by_status", status="paused"),
    ) == (3, 0)
    assert value(metrics, "credentials", kind="harvest-key", state="invalid") == 2
    assert value(metrics, "credentials", kind="harvest-oauth", state="ok") == 0  # exists before the first of its kind

    metrics.show(
        Snapshot(NOW, {"ok": 62}, {}, 0, 0, {}, 0.0, None, write_halt=False, checks_overdue=0, first_sweep=None)
    )

    assert value(metrics, "tenants", state="ok") == 62
    assert value(metrics, "tenants", state="invalid") == 0
    assert value(metrics, "outbox_notices", status="pending") == 0
    assert value(metrics, "write_halt") == 0
    assert "harvest_monitor_last_completed_sweep_timestamp_seconds" not in families(metrics)


def test_the_interval_is_exported(metrics: Metrics) -> None:
    """In seconds, whatever unit was configured; a process that checks nothing does not export it."""
    assert value(metrics, "interval_seconds") == 4 * 3600
    assert "harvest_monitor_interval_seconds" not in families(Metrics("0.1.0"))


def test_a_refused_tenants_file_shows_until_one_is_loaded(metrics: Metrics) -> None:
    """Logged once, but shown for as long as it lasts."""
    assert value(metrics, "tenants_file_refused") == 0
    metrics.tenants_file_refused()
    assert value(metrics, "tenants_file_refused") == 1
    metrics.tenants_file_loaded()
    assert value(metrics, "tenants_file_refused") == 0


def test_failures_of_a_task_count_until_it_works(metrics: Metrics) -> None:
    """Of each task by itself; the counter goes on."""
    for _ in range(3):
        metrics.task_failed("tick")
    assert value(metrics, "beat_consecutive_failures", beat="tick") == 3
    assert value(metrics, "beat_consecutive_failures", beat="prune") == 0
    metrics.task_worked("tick")
    assert value(metrics, "beat_consecutive_failures", beat="tick") == 0
    assert value(metrics, "beats_failed_total", beat="tick") == 3


def test_what_is_watched_is_asked_at_each_scrape(metrics: Metrics) -> None:
    """A halt that is not stored and broken templates show as they are now; before anything is watched they are 0."""
    assert value(metrics, "write_halt_unstored") == value(metrics, "templates_broken") == 0
    stored, broken = [False], [2]
    metrics.watch(halt_stored=lambda: stored[0], templates_broken=lambda: broken[0])
    assert (value(metrics, "write_halt_unstored"), value(metrics, "templates_broken")) == (1, 2)
    stored[0], broken[0] = True, 0
    assert (value(metrics, "write_halt_unstored"), value(metrics, "templates_broken")) == (0, 0)


def test_before_the_first_snapshot_there_are_no_such_gauges() -> None:
    """A process that has not read the database yet says nothing about it."""
    names = set(families(Metrics("0.1.0")))

    assert names & {"harvest_monitor_tenants", "harvest_monitor_suspects", "harvest_monitor_write_halt"} == set()
    assert "harvest_monitor_build_info" in names


def test_two_processes_share_nothing() -> None:
    """Each object has its own registry; the library's global one is neither exported nor touched."""
    one, other = Metrics("1"), Metrics("2")
    one.fenced()

    assert value(other, "fenced_total") == 0
    assert value(other, "build_info", version="2") == 1
    assert not [name for name in families(one) if not name.startswith("harvest_monitor_")]


def test_the_content_type_is_that_of_the_text_format(metrics: Metrics) -> None:
    """Every version of Prometheus reads text format 0.0.4."""
    assert metrics.render()[1] == "text/plain; version=0.0.4; charset=utf-8"


def test_a_paused_check_is_counted_only_as_paused(metrics: Metrics) -> None:
    """It counts neither as an outcome nor as a verdict; an alarm in it still counts."""
    metrics.checked("harvest-key", report(detail="paused", findings=(finding(Verdict.UNDECIDED),), alarms=(alarm(),)))
    assert value(metrics, "checks_paused_total") == 1
    assert value(metrics, "write_alarms_total") == 1
    assert value(metrics, "checks_total", outcome="undecided", kind="harvest-key") == 0
    assert value(metrics, "verdicts_total", verdict="undecided") == 0
    assert value(metrics, "check_duration_seconds_count") == 0


async def test_asyncio_tasks_are_counted_at_each_scrape() -> None:
    """One more while it runs, and one fewer afterwards."""
    metrics = Metrics("0.1.0")
    metrics.count_asyncio_tasks(asyncio.get_running_loop())
    before = value(metrics, "tasks")
    more = asyncio.create_task(asyncio.sleep(60))
    assert value(metrics, "tasks") == before + 1
    more.cancel()
    await asyncio.wait({more})
    assert value(metrics, "tasks") == before
