"""`tenants migration`, the kinds in `tenants list`, and `manifest show --v3`."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from checks.credential import CredentialKind
from monitor import cli
from monitor.config import settings_loader
from monitor.config.settings import PREFIX, Settings
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, Credential
from tests.reports import T0
from tests.store import retire

CSM = {"name": "Dana Reyes", "email": "dana@vendor.example"}
DECLINED = [{"permission": name, "reference": "ticket 1"} for name in ("GET: List Users", "GET: Retrieve User")]
KEY = {"kind": "harvest-key", "label": "Gem Harvest API Key", "key": "env:KEY_OF_A_TENANT"}

Documented = Callable[..., Any]


@pytest.fixture
def installation(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """acme's key is retired, globex has a key and a working v3 credential, initech only a v3 credential."""
    rows = [
        {"id": "acme", "name": "Acme Corp", "csm": CSM, "credential": KEY, "features": ["eeoc"], "declined": DECLINED},
        {"id": "globex", "name": "Globex", "csm": CSM, "credential": KEY},
        {"id": "initech", "name": "Initech", "csm": CSM, "credential": KEY},
    ]
    (tmp_path / "tenants.yaml").write_text(json.dumps({"tenants": rows}), "utf-8")  # which is YAML, too
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.setenv("HARVEST_MONITOR_DATABASE_URL", f"sqlite:///{tmp_path / 'harvest-monitor.sqlite3'}")
    monkeypatch.setenv("HARVEST_MONITOR_TENANTS", str(tmp_path / "tenants.yaml"))
    assert cli.run(["tenants", "sync"]) == 0
    asyncio.run(_retire_and_migrate(tmp_path))


async def _retire_and_migrate(folder: Path) -> None:
    database = Database(settings_loader.load().database)
    await retire(database)
    v3 = {"label": "Gem v3", "kind": CredentialKind.HARVEST_OAUTH, "reference": "env:V3", "baseline_at": T0}
    async with database.writing() as conn:
        for tenant in ("globex", "initech"):
            row = Credential(tenant_id=tenant, **v3).model_dump(exclude={"id"})
            await conn.execute(insert(CREDENTIAL).values(row))
        await conn.execute(CREDENTIAL.update().where(CREDENTIAL.c.id == 3).values(removed_at=T0))
    await database.close()


@pytest.fixture
def documented(capsys: pytest.CaptureFixture[str]) -> Documented:
    """The document that a command prints with --json, and nothing else."""

    def ask(*arguments: str) -> Any:
        capsys.readouterr()
        assert cli.run([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


@pytest.mark.usefixtures("installation")
def test_everybody_with_a_v1_key_is_listed(documented: Documented) -> None:
    """With state, since when, and how far the tenant is; tenants without such a key are not listed."""
    keys = documented("tenants", "migration")["keys"]
    assert [(key["tenant"], key["credential"], key["state"], key["migration"]) for key in keys] == [
        ("acme", "Gem Harvest API Key", "retired", "not_begun"),
        ("globex", "Gem Harvest API Key", "ok", "done"),
    ]
    assert keys[0]["csm"] == CSM
    assert keys[0]["since"] == T0.isoformat()


@pytest.mark.usefixtures("installation")
def test_the_list_shows_every_tenants_kinds(documented: Documented, capsys: pytest.CaptureFixture[str]) -> None:
    """Both if it has both."""
    kinds = {tenant["id"]: tenant["kinds"] for tenant in documented("tenants", "list")["tenants"]}
    assert kinds == {
        "acme": ["harvest-key"],
        "globex": ["harvest-key", "harvest-oauth"],
        "initech": ["harvest-oauth"],
    }
    cli.run(["tenants", "list"])
    rows = [line.split("\t")[:3] for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["TENANT", "NAME", "KIND"],
        ["acme", "Acme Corp", "v1"],
        ["globex", "Globex", "v1+v3"],
        ["initech", "Initech", "v3"],
    ]


@pytest.mark.usefixtures("installation")
def test_one_tenants_plan_is_what_its_admin_does(documented: Documented, capsys: pytest.CaptureFixture[str]) -> None:
    """The steps, and the scopes for its features without what it declined, each with the permissions it replaces."""
    plan = documented("tenants", "migration", "acme")
    assert any("Harvest V3 (OAuth)" in step for step in plan["steps"])
    (credential,) = plan["credentials"]
    assert credential["manifest"]["v3_source"] == "derived"
    scopes = {one["scope"]: one for group in credential["groups"] for one in group["scopes"]}
    assert len(scopes) == 37
    assert "harvest:eeoc:list" in scopes
    assert "harvest:users:list" not in scopes
    assert [one["label"] for one in scopes["harvest:notes:list"]["permissions"]] == ["GET: Retrieve Activity Feed"]

    assert cli.run(["tenants", "migration", "acme"]) == 0
    shown = capsys.readouterr().out
    for said in (
        "Acme Corp (acme), Gem Harvest API Key: retired since 2026-11-23 08:00:00Z; migration: not begun",
        "Configure › Dev Center › API Credential Management",
        "Gem has not published a list of scopes",
        "  Notes\n  [ ] Create notes (harvest:notes:create)\n        Candidates › POST: Add Note",
    ):
        assert said in shown


@pytest.mark.usefixtures("installation")
def test_a_tenant_that_has_no_v1_key_has_nothing_to_do(
    documented: Documented, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is not a usage error."""
    assert documented("tenants", "migration", "initech") == {"tenant": "initech", "steps": [], "credentials": []}
    assert cli.run(["tenants", "migration", "initech"]) == 0
    assert "initech has no Harvest v1 key" in capsys.readouterr().err


@pytest.mark.usefixtures("installation")
def test_an_unknown_tenant_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The message says where to find the ids."""
    assert cli.run(["tenants", "migration", "nobody"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "'nobody'" in said.err
    assert "harvest-monitor tenants list" in said.err


def test_a_manifests_scopes_are_shown_as_on_greenhouses_screen(
    documented: Documented, capsys: pytest.CaptureFixture[str]
) -> None:
    """By heading, optional scopes with their feature, and every line says that the list is derived."""
    found = documented("manifest", "show", "gem", "--v3")
    assert found["manifest"]["v3_source"] == "derived"
    scopes = [one for group in found["groups"] for one in group["scopes"]]
    assert len(scopes) == 38
    assert [one["scope"] for one in scopes if one["features"]] == ["harvest:eeoc:list"]

    assert cli.run(["manifest", "show", "gem", "--v3"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split("\t") == ["GROUP", "SCOPE TO TICK", "NAME", "ONLY WITH", "SOURCE"]
    assert "Eeoc\tList eeoc\tharvest:eeoc:list\teeoc\tderived" in lines
    assert all(line.endswith("\tderived") for line in lines[1:])
    assert "Gem has not published a list of scopes" in shown.err
