"""The alert rules: each fires when it should, stays quiet when it should, and says what to do."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config.settings import PREFIX, Settings
from monitor.metrics import Metrics
from tests.cases import for_each
from tests.firing.scenes import FEW_TENANTS, MANY_TENANTS, ON_POSTGRES
from tests.paths import ROOT
from tests.promql import exported, not_exported
from tests.promtool import Promtool
from tests.unit.docs.test_commands import command_lines, command_of
from tests.unit.docs.test_pages import SOURCE, headings
from tests.unit.test_metrics import metrics  # noqa: F401

RULES = ROOT / "helm" / "harvest-monitor" / "alerts" / "harvest-monitor.rules.yaml"
DOCS = ROOT / "docs" / "alerts.md"
CASES = sorted((ROOT / "tests" / "alerts").glob("*.test.yaml"))
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
]
PAGE_PATH = r"/(\?status=\w+)?|/notices(\?status=(held|pending|failed))?|/sweeps|/writes|/incidents"
WITHOUT_A_PAGE = {
    # The pages are gone as well, or show the past.
    *("HarvestMonitorDown", "HarvestMonitorRestarting", "HarvestMonitorSnapshotStale", "HarvestMonitorDatabaseTrouble"),
    # What happened is in the log only.
    *("HarvestMonitorPartFailing", "HarvestMonitorChecksFenced", "HarvestMonitorClockJumping"),
    "HarvestMonitorTenantsFileRefused",
}
each_alert = for_each(ALERTS, ids=lambda alert: alert["alert"])


def test_promtool_accepts_the_rules(promtool: Promtool) -> None:
    """Syntax, types and templates; no rule occurs twice."""
    promtool.check("check", "rules", RULES)


def test_promtool_accepts_the_exported_metrics(promtool: Promtool, metrics: Metrics) -> None:  # noqa: F811
    """Names, units and help texts follow Prometheus' rules."""
    promtool.check("check", "metrics", text=metrics.render()[0].decode())


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.name.removesuffix(".test.yaml"))
def test_the_rules_behave_as_the_cases_say(promtool: Promtool, cases: Path) -> None:
    """Cases of one subject: series, and which alerts they make fire when, with their texts."""
    promtool.check("test", "rules", cases)


def verdicts() -> Iterator[tuple[str, bool]]:
    """Each alert that a case tests, and whether it must fire there."""
    for path in CASES:
        for case in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            yield from ((test["alertname"], bool(test["exp_alerts"])) for test in case.get("alert_rule_test", []))


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    """And no case tests an alert that does not exist, which would always be quiet."""
    names = {alert["alert"] for alert in ALERTS}
    assert names == {name for name, fires in verdicts() if fires} == {name for name, fires in verdicts() if not fires}


@each_alert
def test_a_rule_queries_what_is_exported(alert: dict[str, Any], metrics: Metrics) -> None:  # noqa: F811
    """A metric, label or value that nothing exports would keep the rule quiet forever."""
    assert "harvest_monitor_" in alert["expr"]
    assert list(not_exported(alert["expr"], exported(metrics.render()[0].decode()))) == []


@each_alert
def test_a_rule_keeps_installations_apart_and_outlives_replicas_and_restarts(alert: dict[str, Any]) -> None:
    """State is the maximum over processes, counts are sums of increases, both by namespace and job."""
    expr = re.sub(r"absent\(last_over_time\(.*?\)\)", "", alert["expr"])
    names = re.findall(r"harvest_monitor_\w+", expr)
    aggregated = re.findall(r"(\w+) by \(namespace, job[, \w]*\) \(\s*(?:(\w+)\()?(harvest_monitor_\w+)", expr)
    assert [name for _, _, name in aggregated] == names
    for aggregate, function, name in aggregated:
        if name.endswith("_total"):
            assert (aggregate, function) == ("sum", "increase")
        else:
            assert (aggregate, function) in {("max", ""), *OF_EACH_PROCESS.get(name, ())}


# Processes are counted by their own build info, and restarts by changes of their start time.
OF_EACH_PROCESS = {
    "harvest_monitor_build_info": {("count", ""), ("count", "last_over_time")},
    "harvest_monitor_process_start_time_seconds": {("sum", "changes")},
}


def test_what_nothing_exports_would_be_found(metrics: Metrics) -> None:  # noqa: F811
    """The tests above find a wrong name, and a wrong value in either kind of match."""
    expression = (
        'harvest_monitor_tenant > harvest_monitor_tenants{job="x", state=~"ok|gone"} + harvest_monitor_suspects'
    )
    wrong = ["harvest_monitor_tenant", 'harvest_monitor_tenants{state="gone"}']
    assert list(not_exported(expression, exported(metrics.render()[0].decode()))) == wrong


@each_alert
def test_an_alert_says_what_happened_and_what_to_do(alert: dict[str, Any]) -> None:
    """It fits on a pager's line, says what to do first, and whatever it names (commands, log events, …) exists."""
    assert re.fullmatch(r"HarvestMonitor[A-Z][A-Za-z]+", alert["alert"])
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    texts = alert["annotations"]
    assert set(texts) == {"summary", "description", "runbook"}
    assert len(texts["summary"]) <= 70
    assert len(texts["description"]) <= 480
    assert texts["description"].count(" First: ") == 1
    page, _, heading = texts["runbook"].partition("#")
    assert (ROOT / page, heading in headings(DOCS)) == (DOCS, True)
    assert set(re.findall(rf"{PREFIX}\w+", texts["description"])) <= {PREFIX + n.upper() for n in Settings.model_fields}
    for event in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", texts["description"]):
        assert f'"{event}"' in SOURCE, event


def linked_rules(address: str | None = None, docs: str | None = None) -> str:
    """The file with its links, as the chart and the commands of docs/alerts.md make it."""
    rules = RULES.read_text("utf-8")
    if address is not None:
        rules = rules.replace("# link: PUBLIC_URL", f"link: {address}")
    return rules if docs is None else rules.replace(" runbook: docs/", f" runbook_url: {docs}/")


def test_an_alert_leads_to_its_page_once_there_is_an_address(promtool: Promtool, tmp_path: Path) -> None:
    """To one that exists; only alerts that no page can explain have no link, and Prometheus sends it as it is."""
    linked = yaml.safe_load(linked_rules("https://monitor.vendor.example"))["groups"][0]["rules"]
    assert {alert["alert"] for alert in linked if "link" not in alert["annotations"]} == WITHOUT_A_PAGE
    for alert in linked:
        link = alert["annotations"].pop("link", None)
        assert link is None or re.fullmatch(PAGE_PATH, link.removeprefix("https://monitor.vendor.example")), link
    assert linked == ALERTS
    (tmp_path / "linked.yaml").write_text(linked_rules("https://monitor.vendor.example"), "utf-8")
    (tmp_path / "held.test.yaml").write_text(yaml.safe_dump(_held("linked.yaml")), "utf-8")
    promtool.check("check", "rules", tmp_path / "linked.yaml")
    promtool.check("test", "rules", tmp_path / "held.test.yaml")


def _held(rules: str) -> dict[str, Any]:
    """A case of promtool: the brake holds notices, and the alert leads to them."""
    (alert,) = [alert for alert in ALERTS if alert["alert"] == "HarvestMonitorNoticesHeld"]
    texts = {name: text.replace("{{ $value }}", "3") for name, text in alert["annotations"].items()}
    texts["link"] = "https://monitor.vendor.example/notices?status=held"
    fires = {"exp_labels": {"severity": "page", "job": "hm", "namespace": "n"}, "exp_annotations": texts}
    held = 'harvest_monitor_outbox_notices{status="held", job="hm", namespace="n"}'
    test = {"eval_time": "3m", "alertname": alert["alert"], "exp_alerts": [fires]}
    return {
        "rule_files": [rules],
        "tests": [{"input_series": [{"series": held, "values": "3x5"}], "alert_rule_test": [test]}],
    }


def test_an_alert_leads_to_its_runbook_once_there_is_an_address(promtool: Promtool, tmp_path: Path) -> None:
    """Each to an address that is whole and has the heading of its section, in place of the path in the repository."""
    docs = "https://git.vendor.example/harvest-monitor/blob/main/docs"
    linked = yaml.safe_load(linked_rules(docs=docs))["groups"][0]["rules"]
    for alert in linked:
        page, heading = alert["annotations"].pop("runbook_url").removeprefix(f"{docs}/").split("#")
        assert (page, heading in headings(DOCS)) == (DOCS.name, True)
        alert["annotations"]["runbook"] = f"docs/{page}#{heading}"
    assert linked == ALERTS
    (tmp_path / "linked.yaml").write_text(linked_rules(docs=docs), "utf-8")
    promtool.check("check", "rules", tmp_path / "linked.yaml")


def test_the_command_of_the_docs_adds_the_links() -> None:
    """Without Kubernetes too: docs/alerts.md prints what makes the chart's rules of the file."""
    (command,) = re.findall(r"^(sed .*?)^sudo", DOCS.read_text("utf-8"), re.M | re.S)
    done = subprocess.run(["sh", "-c", command.split(" > ")[0]], cwd=ROOT, capture_output=True, text=True, check=True)
    docs = "https://git.vendor.example/harvest-monitor/blob/main/docs"
    assert done.stdout == linked_rules("https://monitor.vendor.example", docs)


def test_an_alert_on_what_lasts_ends_with_it() -> None:
    """It reads a gauge. A counter over a window is only for what happens and is over, such as a restart."""
    counting = {alert["alert"] for alert in ALERTS if re.search(r"(increase|rate|changes)\(", alert["expr"])}
    assert counting == {"HarvestMonitorRestarting", "HarvestMonitorChecksFenced", "HarvestMonitorClockJumping"}


@each_alert
def test_the_commands_of_an_alert_parse(alert: dict[str, Any]) -> None:
    """The real command accepts what the engineer is told to type at three in the morning."""
    for line in re.findall(r"`([^`]+)`", alert["annotations"]["description"]):
        (arguments,) = command_lines(line)
        command, rest = command_of(arguments)
        assert command.make_context(command.name, rest).command is command


def test_the_page_has_the_seconds_of_every_alert() -> None:
    """As `make alerts` prints them: each alert arrived, and ended."""
    scenes = [
        (scene, f"HarvestMonitor{name}")
        for scene in [*FEW_TENANTS, *MANY_TENANTS, *ON_POSTGRES]
        for name in scene.alerts
    ]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (\d+) \| (.+) \| (\d+) \|$", DOCS.read_text("utf-8"), re.M)
    assert [(name, how, end) for name, how, _, end, _ in rows] == [
        (name, scene.how, scene.end) for scene, name in scenes
    ]
    assert sorted(name for name, *_ in rows) == sorted(alert["alert"] for alert in ALERTS)


def test_docs_and_rules_name_the_same_alerts() -> None:
    """docs/alerts.md has every alert with its severity, how long it waits, and its section; and no others."""
    rows = re.findall(r"^\| \[`(\w+)`\]\((#[\w-]+)\) \| (\w+) \| .+ \| (.+) \|$", DOCS.read_text("utf-8"), re.M)
    assert [
        (alert["alert"], alert["annotations"]["runbook"].removeprefix("docs/alerts.md"), alert["labels"]["severity"],
         alert.get("for", "at once"))
        for alert in ALERTS
    ] == rows  # fmt: skip
