"""Looking after the database of a service: what goes by itself, and the commands, beside a running `serve`."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.sandbox.sandbox import Sandbox
from tests.command import Serving, run, run_json, serving, until
from tests.neighbour import neighbour


@dataclass
class Keeper:
    """An operator's folder with one tenant, next to a sandbox."""

    folder: Path
    settings: dict[str, object]

    @property
    def file(self) -> Path:
        return self.folder / "harvest-monitor.sqlite3"

    def serve(self) -> Any:
        return serving(self.folder, **self.settings)

    def sql(self, statement: str, file: Path | None = None) -> list[Any]:
        with sqlite3.connect(file or self.file) as conn:
            found = conn.execute(statement).fetchall()
        conn.close()
        return found

    def run(self, *arguments: str) -> tuple[int, str, str]:
        result = run(self.folder, *arguments, **self.settings)
        return result.returncode, result.stdout, result.stderr

    def json(self, *arguments: str) -> Any:
        return run_json(self.folder, *arguments, **self.settings)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    sandbox = Sandbox()
    sandbox.add_account("acme", limit=1_000_000)
    (tmp_path / "acme").write_text(sandbox.add_key("acme", "gem").text)
    credential = {"kind": "harvest-key", "label": "Key", "key": f"file:{tmp_path / 'acme'}"}
    tenants = {"tenants": [{"id": "acme", "name": "Acme", "credential": credential}]}
    (tmp_path / "tenants.yaml").write_text(yaml.safe_dump(tenants))
    with neighbour(sandbox) as url:
        yield Keeper(tmp_path, {"harvest_url": url, "requests_per_second": 0, "interval": "2s", "notices": "off"})


def checks(service: Serving, more_than: int = 0) -> int:
    return len(until(lambda: len(found := service.logged("checked")) > more_than and found))


def test_a_service_lets_go_of_what_is_old_and_tells(keeper: Keeper) -> None:
    """At its start, and in the metrics; `db prune` finds nothing left, and the day is still shown."""
    with keeper.serve() as service:
        checks(service)
    keeper.sql("UPDATE check_summary SET started_at = '2026-03-01 08:00:00.000000' WHERE id = 1")
    assert [rule["rows"] for rule in keeper.json("db", "prune", "--dry-run")["rules"]] == [1, 0, 0, 0]
    with keeper.serve() as service:
        until(lambda: service.logged("pruned"))
        until(lambda: 'pruned_rows_total{rule="checks"} 1.0' in service.get("/metrics")[1])
        until(lambda: 'harvest_monitor_database_bytes{part="used"}' in service.get("/metrics")[1])
        assert [rule["rows"] for rule in keeper.json("db", "prune")["rules"]] == [0, 0, 0, 0]
    (credential,) = keeper.json("tenants", "days", "acme", "--since", "2026-02-01")["credentials"]
    assert (credential["days"][0]["day"], credential["days"][0]["checks"]) == ("2026-03-01", 1)
    status, shown, _ = keeper.run("tenants", "days", "acme", "--since", "2026-02-01")
    assert status == 0
    assert shown.splitlines()[1].startswith("2026-03-01\tKey\t1\t0\t0\t0\tok\t46\t0\t")
    assert keeper.run("tenants", "days", "nobody")[0] == 2
