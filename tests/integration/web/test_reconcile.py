"""Whoever compares two figures of the service finds the same number, wherever they look."""

import asyncio
import csv
import io
import json
import re
import shutil
from collections import Counter
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import URL

from monitor import cli
from monitor.drift import EventKind
from monitor.incidents import burst_queries, told_queries
from monitor.incidents.status import PRESENT
from monitor.metrics import Snapshot
from monitor.store.database import Database
from monitor.store.tables import STATUS_CHANGE, TENANT
from monitor.upkeep import gauge_queries
from tests.drawn_fleet import DrawnFleet, fleets, settle
from tests.installation import START
from tests.store import rows
from tests.website import Website, website

DAY_AGO = START - timedelta(days=1)
TURNS = {EventKind.LOST, EventKind.FOUND, EventKind.NEWLY_REQUIRED, EventKind.CREDENTIAL_FAILED}
"""Events that make a tenant drifted or failing."""

Items = list[dict[str, Any]]


class Figures:
    """What one installation says of itself, in each way there is."""

    def __init__(self, site: Website) -> None:
        self._site = site

    async def page(self, path: str) -> str:
        answer = await self._site.browser.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    async def api(self, name: str, **query: str) -> Items:
        """All pages of a list, each of a few items."""
        found: Items = []
        cursor: dict[str, str] = {}
        while True:
            answer = await self._site.browser.get(f"/api/v1/{name}", params={**query, **cursor, "limit": "7"})
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            if answer.json()["next"] is None:
                return found
            cursor = {"cursor": answer.json()["next"]}

    async def table(self, path: str) -> Items:
        text = (await self.page(path)).removeprefix("\ufeff")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    async def command(self, *arguments: str) -> Any:
        """What `--json` prints."""

        def run() -> str:
            with redirect_stdout(io.StringIO()) as printed, pytest.MonkeyPatch.context() as patch:
                patch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{self._site.db.url.database}")
                assert cli.run([*arguments, "--json"]) == 0
            return printed.getvalue()

        return json.loads(await asyncio.to_thread(run))

    async def gauges(self) -> Snapshot:
        async with self._site.db.reading() as conn:
            return await gauge_queries.snapshot(conn, START, timedelta(hours=1))


def tiles(page: str) -> dict[str, tuple[int, int, int]]:
    """Each status with its tenants, how many came and how many went."""
    found = {}
    tile = r'href="\?status=(\w+)"><b>([\d,]+)</b><span.*?<small>(.*?)</small>'
    for status, tenants, words in re.findall(tile, page, re.S):
        moved = re.search(r"^([+−]\d+|±0) in 24 h \((\d+) in, (\d+) out\)", words)
        came, went = (int(moved[2]), int(moved[3])) if moved else (0, 0)
        if moved:
            assert int(moved[1].replace("±", "").replace("−", "-")) == came - went
        found[status] = (int(tenants.replace(",", "")), came, went)
    return found


def totals(page: str) -> int:
    """What the list says beneath its rows."""
    found = re.search(r'<span class="soft">(\d+) of ([\d,]+)</span>', page)
    return int(found[2].replace(",", "")) if found else 0


def rows_of(page: str) -> int:
    return page.count('<tr><th scope="row">')


async def tenants_agree(figures: Figures) -> None:
    page = await figures.page("/?status=any")
    shown = {status: count for status, (count, _, _) in tiles(page).items()}
    everybody = await figures.api("tenants")
    assert shown == {status: sum(one["status"] == status for one in everybody) for status in PRESENT}
    total = re.search(r'href="\?status=any"><b>([\d,]+)</b>', page)
    assert total is not None
    assert int(total[1]) == sum(shown.values()) == totals(page)
    for status, count in shown.items():
        assert totals(await figures.page(f"/?status={status}")) == count, status
        assert len(await figures.api("tenants", status=status)) == count, status
        assert len(await figures.table(f"/tenants.csv?status={status}")) == count, status
    attention = len(everybody) - shown["healthy"] - shown["paused"]
    assert totals(await figures.page("/")) == attention == len(await figures.api("tenants", status="attention"))
    listed = await figures.command("tenants", "list")
    assert Counter(one["status"] for one in listed["tenants"]) == +Counter(shown)
    gauges = await figures.gauges()
    assert dict(gauges.tenants_by_status) == shown
    answer = json.loads(await figures.page("/api/v1/status"))
    assert {one["status"]: one["tenants"] for one in answer["tenants"]} == shown
    assert answer["total"] == len(everybody)
    assert {one["status"]: (one["tenants"], one["came"], one["went"]) for one in answer["tenants"]} == tiles(page)


async def moves_agree(figures: Figures, db: Database) -> None:
    """The net change is the difference of then and now; who turned for the worse is in the list of changes."""
    now = {row["id"]: row["status"] for row in await rows(db, TENANT)}
    then: dict[str, str] = {}
    for row in await rows(db, STATUS_CHANGE):
        if row["at"] < DAY_AGO:
            then[row["tenant_id"]] = row["status"]
    for status, (count, came, went) in tiles(await figures.page("/")).items():
        assert count == sum(one == status for one in now.values()), status
        assert came - went == count - sum(one == status for one in then.values()), status
        assert came == sum(now[id_] == status != then.get(id_) for id_ in now), status
    changed = await figures.api("history", since=DAY_AGO.isoformat())
    turned = {one["tenant_id"] for one in changed if one["kind"] in TURNS}
    worse = {id_ for id_, one in now.items() if one == "drifted" and then.get(id_) in ("healthy", "undecided", "new")}
    assert worse <= turned
    bursts = await figures.api("bursts", since=DAY_AGO.isoformat())
    assert sum(one["events"] for one in bursts) >= len(changed)
    assert len(await figures.table(f"/history.csv?since={DAY_AGO:%Y-%m-%dT%H:%M}")) == len(changed)


async def permissions_agree(figures: Figures) -> None:
    """Of each permission: the page, the API, the tenants that lack it, and the verdicts."""
    listed = await figures.api("permissions")
    page = await figures.page("/permissions")
    for one in listed:
        tenants = await figures.api("tenants", missing=one["id"])
        assert one["tenants"] == len(tenants) == totals(await figures.page(f"/?status=any&missing={one['id']}")), one
        verdicts = await figures.api("verdicts", permission=one["id"], verdict="missing")
        assert {item["tenant_id"] for item in verdicts} == {item["id"] for item in tenants}, one
        assert f'missing={one["id"]}&amp;status=any">{one["tenants"]}</a>' in page
    missing = await figures.api("verdicts", verdict="missing")
    everybody = await figures.api("tenants")
    assert len(missing) == sum(one["missing"] for one in everybody)
    assert {item["permission_id"] for item in missing} == {one["id"] for one in listed}
    assert len(await figures.table("/verdicts.csv?verdict=missing")) == len(missing)
    assert len(await figures.table("/permissions.csv")) == len(listed) == rows_of(page)


async def notices_agree(figures: Figures) -> None:
    page = await figures.page("/notices")
    nav = page.partition('id="facets"')[2].partition("</nav>")[0]
    facets = {name: int(number) for name, number in re.findall(r">(\w+) (\d+)</a>", nav)}
    table = await figures.table("/notices.csv")
    assert facets.pop("all") == len(table) == sum(facets.values())
    assert +Counter(facets) == Counter(one["status"] for one in table)
    for status, count in facets.items():
        assert len(await figures.api("notices", status=status)) == count, status
        assert totals(await figures.page(f"/notices?status={status}")) == count, status
    held = re.search(r'<b class="warn">(\d+) held</b>', page)
    assert (int(held[1]) if held else 0) == facets["held"]
    answer = json.loads(await figures.page("/api/v1/status"))
    waiting = {name: answer[f"notices_{name}"] for name in ("pending", "held", "failed")}
    assert waiting == {name: facets[name] for name in waiting}
    assert Counter((await figures.gauges()).outbox_notices) == +Counter(waiting)


async def bursts_agree(figures: Figures, db: Database) -> None:
    """Of each burst: how its tenants stand, who was told, its list, its events."""
    for one in await figures.api("bursts"):
        page = await figures.page(f"/bursts/{one['id']}")
        assert rows_of(page) == one["tenants"], one
        async with db.reading() as conn:
            standings = await burst_queries.standings(conn, one["id"])
            told = (await told_queries.told(conn, [one["id"]]))[one["id"]]
            listed = await burst_queries.burst_tenants(conn, one["id"], 500)
        assert sum(standings.values()) == one["tenants"]
        assert +Counter(standings) == Counter(row.standing for row in listed)
        assert Counter({count.status: count.tenants for count in told}) == Counter(row.status for row in listed)
        held = len(await figures.api("notices", status="held", burst=str(one["id"])))
        assert held <= sum(row.status == "held" for row in listed)


async def incidents_agree(figures: Figures) -> None:
    is_open = await figures.api("incidents", open="true")
    everything = await figures.api("incidents")
    assert len(is_open) == (await figures.gauges()).incidents_open
    assert (
        len(is_open)
        == len({one["tenant_id"] for one in is_open})
        == rows_of(await figures.page("/incidents?open=true"))
    )
    assert [one for one in everything if one["resolved_at"] is None] == is_open
    status = {one["id"]: one["status"] for one in await figures.api("tenants")}
    assert {status.get(one["tenant_id"]) for one in is_open} <= {"failing", "drifted", "undecided", "paused"}
    in_trouble = {id_ for id_, one in status.items() if one == "drifted"}
    assert in_trouble <= {one["tenant_id"] for one in is_open}


async def report_agrees(figures: Figures) -> None:
    document = json.loads(await figures.page("/report.json?period=2026-11"))
    listed = {one["tenant"] for one in document["tenants"]}
    present = {one["id"] for one in await figures.api("tenants")}
    assert present <= listed
    assert document["tenants_in_report"] == len(listed) == len(await figures.table("/report.csv?period=2026-11"))
    page = await figures.page("/report?period=2026-11")
    assert f"of {len(listed)} tenants" in page or "of 1 tenant" in page


@settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(fleet=fleets())
def test_figures_agree(migrated_file: Path, fleet: DrawnFleet) -> None:
    """Pages, files, the API, the command line and the metrics, over whatever became of the tenants."""

    async def agree(file: Path) -> None:
        db = Database(URL.create("sqlite+aiosqlite", database=str(file)))
        await settle(db, fleet)
        async with website(db) as site:
            await site.signed_in()
            figures = Figures(site)
            await tenants_agree(figures)
            await moves_agree(figures, db)
            await permissions_agree(figures)
            await notices_agree(figures)
            await bursts_agree(figures, db)
            await incidents_agree(figures)
            await report_agrees(figures)
        await db.close()

    with TemporaryDirectory() as folder:
        asyncio.run(agree(Path(shutil.copy(migrated_file, folder))))
