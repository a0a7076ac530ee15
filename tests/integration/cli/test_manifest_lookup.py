"""A manifest is found by the name that messages call it, whatever its file is called."""

from pathlib import Path

import pytest
import yaml

from monitor import cli
from tests.paths import FIXTURES

LUMEN = (FIXTURES / "manifests" / "lumen.yaml").read_text("utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.yaml").write_text(LUMEN, "utf-8")
    monkeypatch.setenv("HARVEST_MONITOR_MANIFEST", "ours.yaml")
    return tmp_path


def test_the_manifest_of_the_settings_is_found_by_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    """`doctor` and `check` say `manifest show --v3 lumen`: the name, as the path may be another for the reader."""
    assert cli.run(["manifest", "show", "--v3", "lumen"]) == 0
    assert "harvest:interviews:list" in capsys.readouterr().out
    assert cli.run(["manifest", "diff", "lumen", "ours.yaml"]) == 0


def test_so_is_one_that_a_credential_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the settings have."""
    monkeypatch.setenv("HARVEST_MONITOR_MANIFEST", "gem")
    credential = {"kind": "harvest-key", "label": "Lumen", "key": "env:KEY", "manifest": "ours.yaml"}
    tenants = {"tenants": [{"id": "acme", "name": "Acme", "credential": credential}]}
    (folder / "tenants.yaml").write_text(yaml.safe_dump(tenants))
    assert cli.run(["manifest", "show", "lumen"]) == 0
    assert "GET: List interviews" in capsys.readouterr().out


def test_a_name_that_nothing_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Also while the manifest of the settings cannot be read."""
    assert cli.run(["manifest", "show", "lumina"]) == 2
    assert "there is no manifest 'lumina'" in capsys.readouterr().err
    Path("ours.yaml").write_text("name: [\n")
    assert cli.run(["manifest", "show", "lumen"]) == 2
    assert "there is no manifest 'lumen'" in capsys.readouterr().err
