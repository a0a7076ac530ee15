"""A real Prometheus and Alertmanager watch a real service: what fires, what ends, and what the dashboard shows then."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.firing.scenes import MANY_TENANTS, Scene
from tests.firing.world import World, watch, world
from tests.paths import ROOT
from tests.prometheus import RULES, Message, Prometheus, shortened

PREFIX = "HarvestMonitor"
TIME = r"\b\d+(?:ms|[smhdwy])\b"
PANELS = json.loads((ROOT / "helm/harvest-monitor/dashboards/harvest-monitor.json").read_text("utf-8"))["panels"]


@pytest.fixture(scope="module")
def watched(prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A healthy service that Prometheus has seen."""
    with world("watched", tmp_path_factory.mktemp("firing") / "world", 2) as made:
        watch(prometheus, made)
        prometheus.wait_for('harvest_monitor_tenants_by_status{job="watched", status="healthy"} == 2')
        yield made


def scene_of(alert: str) -> Scene:
    (found,) = [scene for scene in MANY_TENANTS if scene.alerts == (alert,)]
    return found


def fired_and_resolved(prometheus: Prometheus, watched: World, alert: str) -> Message:
    """What arrived when the scene's trouble began; it has ended by now, as its trouble has."""
    scene, name = scene_of(alert), PREFIX + alert
    assert prometheus.receiver.last(name, watched.job) is None
    scene.strike(watched)
    arrived = prometheus.receiver.wait_until_fired(name, watched.job)
    scene.mend(watched)
    prometheus.receiver.wait_until_resolved(name, watched.job)
    return arrived


def now_shown(prometheus: Prometheus) -> dict[str, float | None]:
    """What the numbers at the top of the dashboard show at this moment; None for no data."""
    shown = {}
    for panel in PANELS:
        if panel["type"] == "stat":
            query = panel["targets"][0]["expr"].replace("$namespace", ".*").replace("$job", "watched")
            found = prometheus.ask(query)
            assert len(found) <= 1, panel["title"]
            shown[panel["title"]] = found[0][1] if found else None
    return shown


def test_a_fresh_start_fires_nothing(prometheus: Prometheus, watched: World) -> None:
    """And every number at the top of the dashboard is there."""
    shown = now_shown(prometheus)
    assert None not in shown.values()
    assert (shown["Processes that answer"], shown["Write probes"]) == (1, 0)
    assert [each.alert for each in prometheus.receiver.messages if each.labels.get("job") == watched.job] == []


def test_a_refused_tenants_file_is_told_until_it_is_repaired(prometheus: Prometheus, watched: World) -> None:
    """As a ticket, with what to type first."""
    arrived = fired_and_resolved(prometheus, watched, "TenantsFileRefused")
    assert arrived.labels["severity"] == "ticket"
    assert "First: run `harvest-monitor tenants sync`" in arrived.annotations["description"]


def test_a_write_halt_is_told_until_it_is_lifted(prometheus: Prometheus, watched: World) -> None:
    """The count of alarms stays for good, and keeps no alert alive."""
    assert fired_and_resolved(prometheus, watched, "WriteHalt").labels["severity"] == "page"
    assert prometheus.ask('harvest_monitor_write_alarms_total{job="watched"}')[0][1] > 0
    assert now_shown(prometheus)["Write probes"] == 0


def test_a_dead_service_is_told_and_shown_as_dead(prometheus: Prometheus, watched: World) -> None:
    """Nothing that it last said stands as if it were now; and another start ends the alert."""
    scene = scene_of("Down")
    scene.strike(watched)
    assert prometheus.receiver.wait_until_fired("HarvestMonitorDown", watched.job).labels["severity"] == "page"
    shown = now_shown(prometheus)
    assert (shown.pop("Processes that answer"), (shown.pop("Last answer") or 0) > 0) == (0, True)
    assert set(shown.values()) == {None}
    scene.mend(watched)
    prometheus.receiver.wait_until_resolved("HarvestMonitorDown", watched.job)
    assert now_shown(prometheus)["Processes that answer"] == 1


def test_every_time_of_the_rules_is_made_shorter() -> None:
    """And nothing else: what is compared with them stays as it is, and so do the texts."""
    text = RULES.read_text("utf-8")
    was, now = (yaml.safe_load(rules)["groups"][0]["rules"] for rules in (text, shortened(text, minute_seconds=0.5)))
    for before, after in zip(was, now, strict=True):
        times, short = times_of(before), times_of(after)
        assert [time.endswith("ms") for time in short] == [True] * len(times), before["alert"]
        assert re.sub(TIME, "", before["expr"]) == re.sub(TIME, "", after["expr"])
        assert before["annotations"] == after["annotations"]


def times_of(rule: dict[str, Any]) -> list[str]:
    return re.findall(TIME, f"{rule.get('for', '')} {rule['expr']}")
