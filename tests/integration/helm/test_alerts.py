"""The alert rules: each fires when it should, stays quiet when it should, and says what to do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config.settings import PREFIX, Settings
from monitor.metrics import Metrics
from tests.cases import for_each
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
    """It fits on a pager's line, and whatever it names (commands, settings, log events, the runbook) exists."""
    assert re.fullmatch(r"HarvestMonitor[A-Z][A-Za-z]+", alert["alert"])
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    texts = alert["annotations"]
    assert set(texts) == {"summary", "description", "runbook"}
    assert len(texts["summary"]) <= 70
    assert len(texts["description"]) <= 480
    page, _, heading = texts["runbook"].partition("#")
    assert (ROOT / page, heading in headings(DOCS)) == (DOCS, True)
    assert set(re.findall(rf"{PREFIX}\w+", texts["description"])) <= {PREFIX + n.upper() for n in Settings.model_fields}
    for event in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", texts["description"]):
        assert f'"{event}"' in SOURCE, event


@each_alert
def test_the_commands_of_an_alert_parse(alert: dict[str, Any]) -> None:
    """The real command accepts what the engineer is told to type at three in the morning."""
    for line in re.findall(r"`([^`]+)`", alert["annotations"]["description"]):
        (arguments,) = command_lines(line)
        command, rest = command_of(arguments)
        assert command.make_context(command.name, rest).command is command


def test_docs_and_rules_name_the_same_alerts() -> None:
    """docs/alerts.md has every alert with its severity, how long it waits, and its section; and no others."""
    rows = re.findall(r"^\| \[`(\w+)`\]\((#[\w-]+)\) \| (\w+) \| .+ \| (.+) \|$", DOCS.read_text("utf-8"), re.M)
    assert [
        (alert["alert"], alert["annotations"]["runbook"].removeprefix("docs/alerts.md"), alert["labels"]["severity"],
         alert.get("for", "at once"))
        for alert in ALERTS
    ] == rows  # fmt: skip
