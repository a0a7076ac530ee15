"""The Grafana dashboard: Grafana knows everything in it, and every query can be answered."""

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitor.metrics import Metrics
from tests.cases import for_each
from tests.integration.helm.test_alerts import PAGE_PATH
from tests.paths import ROOT
from tests.promql import exported, not_exported
from tests.promtool import Promtool
from tests.unit.docs.test_pages import headings
from tests.unit.test_metrics import metrics  # noqa: F401

PATH = ROOT / "helm" / "harvest-monitor" / "dashboards" / "harvest-monitor.json"
DASHBOARD: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
PAGES: dict[str, dict[str, str]] = json.loads((PATH.parent / "page-links.json").read_text("utf-8"))
RUNBOOKS: dict[str, str] = json.loads((PATH.parent / "runbook-links.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
STATS = [panel for panel in PANELS if panel["type"] == "stat"]
WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Written by Grafana itself for variables and for annotations from Prometheus, but not in its schema.
BEYOND_THE_SCHEMA = {"definition", "step", "titleFormat", "textFormat"}


def expressions() -> Iterator[str]:
    """Every query, with values in place of Grafana's variables."""
    queries = [target["expr"] for panel in PANELS for target in panel["targets"]]
    for query in [*queries, *(note["expr"] for note in DASHBOARD["annotations"]["list"])]:
        filled = query.replace("$__rate_interval", "5m").replace("$namespace", ".*").replace("$job", "harvest-monitor")
        assert "$" not in filled, query
        yield filled


def test_promtool_accepts_every_query(promtool: Promtool, tmp_path: Path) -> None:
    """Each is checked as a recording rule."""
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    assert len(rules) > 20
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    promtool.check("check", "rules", tmp_path / "panels.yaml")


def test_a_query_uses_what_is_exported(metrics: Metrics) -> None:  # noqa: F811
    """A metric, label or value that nothing exports would be an empty panel."""
    series = exported(metrics.render()[0].decode())
    assert [missing for query in expressions() for missing in not_exported(query, series)] == []


def test_every_query_selects_one_installation() -> None:
    """Numbers of two installations are never mixed."""
    for query in expressions():
        for selector in re.findall(r"(?:harvest_monitor_\w+|ALERTS)(\{[^}]*\})?", query):
            assert re.search(r'namespace=~"\.\*", job=~?"harvest-monitor', selector), query


def test_grafana_knows_every_key() -> None:
    """Read into Grafana's own model of a dashboard and written again, nothing is lost, with links or without."""
    register_default_plugins()
    for dashboard in (DASHBOARD, linked_dashboard("https://monitor.vendor.example", "https://git.vendor.example/docs")):
        again = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
        assert [path for path in lost(dashboard, again) if path.rsplit(".", 1)[-1] not in BEYOND_THE_SCHEMA] == []


def linked_dashboard(address: str | None = None, docs: str | None = None) -> dict[str, Any]:
    """With the links of each panel, as the chart and the command of docs/alerts.md make it."""
    linked = deepcopy(DASHBOARD)
    for panel in linked["panels"]:
        links = list(links_of(panel, address, docs)) if panel["type"] != "row" else []
        if links:
            panel["links"] = links
    return linked


def links_of(panel: dict[str, Any], address: str | None, docs: str | None) -> Iterator[dict[str, Any]]:
    page, runbook = PAGES.get(panel["title"]), RUNBOOKS[panel["title"]]
    if address is not None and page is not None:
        yield {"title": page["title"], "url": f"{address}{page['path']}", "targetBlank": True}
    if docs is not None:
        yield {"title": "Runbook", "url": f"{docs}/{runbook}", "targetBlank": True}


def test_every_link_belongs_to_a_panel_and_leads_to_a_page() -> None:
    """A misspelled title would be a panel without a link; without an address of the pages there is no link at all."""
    titles = [panel["title"] for panel in PANELS]
    assert [titles.count(title) for title in PAGES] == [1] * len(PAGES)
    for page in PAGES.values():
        assert re.fullmatch(PAGE_PATH, page["path"]), page
    assert not [panel["title"] for panel in PANELS if panel.get("links")]


def test_every_panel_has_a_runbook_that_is_there() -> None:
    """A page of docs/, and a heading in it if one is named."""
    assert list(RUNBOOKS) == [panel["title"] for panel in PANELS]
    for link in RUNBOOKS.values():
        page, _, heading = link.partition("#")
        assert (ROOT / "docs" / page).is_file(), link
        assert not heading or heading in headings(ROOT / "docs" / page), link


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_command_of_the_docs_adds_the_links() -> None:
    """Without Kubernetes too: docs/alerts.md prints what makes the chart's dashboard of the file."""
    (command,) = re.findall(r"^(jq .*?)^```$", (ROOT / "docs" / "alerts.md").read_text("utf-8"), re.M | re.S)
    done = subprocess.run(["sh", "-c", command.split(" > ")[0]], cwd=ROOT, capture_output=True, text=True, check=True)
    docs = "https://git.vendor.example/harvest-monitor/blob/main/docs"
    assert json.loads(done.stdout) == linked_dashboard("https://monitor.vendor.example", docs)


@for_each(STATS, ids=lambda panel: panel["title"])
def test_a_number_at_the_top_is_of_this_moment(panel: dict[str, Any]) -> None:
    """Asked for as of now, without the day before: not a last known value, nor a line drawn from one."""
    (target,) = panel["targets"]
    assert (target["instant"], target["range"]) == (True, False)
    assert panel["options"]["reduceOptions"] == {"calcs": ["lastNotNull"], "fields": "", "values": False}
    assert panel["options"]["graphMode"] == "none"


@for_each(STATS, ids=lambda panel: panel["title"])
def test_nothing_known_is_never_shown_as_well(panel: dict[str, Any]) -> None:
    """Without a value there are words, in a color that no value has; Grafana takes that of the lowest threshold."""
    shown = panel["fieldConfig"]["defaults"]
    (nothing,) = [one["options"] for one in shown["mappings"] if one["type"] == "special"]
    assert nothing["match"] == "null+nan"
    assert nothing["result"]["text"] == shown["noValue"]
    assert shown["noValue"].startswith(("no data", "not in"))
    lowest, *steps = shown["thresholds"]["steps"]
    assert lowest["value"] is None
    colors = {step["color"] for step in steps}
    assert nothing["result"]["color"] not in colors
    assert lowest["color"] in {nothing["result"]["color"], "red"}
    assert len(colors) == len(steps) >= 1


def lost(wanted: Any, kept: Any, path: str = "") -> Iterator[str]:
    """The paths at which the second differs from the first."""
    if isinstance(wanted, dict) and isinstance(kept, dict):
        for key, value in wanted.items():
            yield from lost(value, kept.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(kept, list) and len(wanted) == len(kept):
        for number, (one, other) in enumerate(zip(wanted, kept, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif wanted != kept:
        yield path


def test_panels_do_not_overlap() -> None:
    """None exceeds the width or has a gap above it, and each is below the row it belongs to."""
    taken: dict[tuple[int, int], int] = {}
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= WIDTH, panel["title"]
        for place in itertools.product(
            range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
        ):
            assert place not in taken, panel["title"]
            taken[place] = panel["id"]
    assert len({y for _, y in taken}) == max(y for _, y in taken) + 1
    assert [p["gridPos"]["y"] for p in DASHBOARD["panels"]] == sorted(p["gridPos"]["y"] for p in DASHBOARD["panels"])


@for_each(PANELS, ids=lambda panel: panel["title"])
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    """It has a title and a description, uses the selected Prometheus, and its queries have different ids."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == DATASOURCE
    assert all(target["datasource"] == DATASOURCE for target in panel["targets"])
    refs = [target["refId"] for target in panel["targets"]]
    assert len(refs) == len(set(refs))
    assert refs


def test_ids_are_unique_and_belong_to_no_grafana() -> None:
    """It can be imported anywhere: it has no number of its own and no data source of a particular Grafana."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert DASHBOARD.get("id") is None
    assert set(re.findall(r'"uid": "([^"]+)"', PATH.read_text("utf-8"))) == {"${datasource}", DASHBOARD["uid"]}
