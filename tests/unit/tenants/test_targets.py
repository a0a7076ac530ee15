"""Tenants against manifests and settings: what is asked of whom."""

from pathlib import Path

import pytest
import yaml

from checks.catalogue.entry import WriteProbes
from checks.manifest import load
from monitor.tenants import file
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.targets import CheckTargets, draw_up, lower_of


def roster(folder: Path, *rows: dict[str, object], setting: WriteProbes = WriteProbes.ALL) -> CheckTargets:
    path = folder / "tenants.yaml"
    path.write_text(yaml.safe_dump({"tenants": list(rows)}))
    return draw_up(file.read(path), ManifestRegistry(load("gem")), setting)


def row(tenant_id: str, **more: object) -> dict[str, object]:
    credential = {"kind": "harvest-key", "label": "Key", "key": "env:KEY", **more.pop("credential", {})}  # type: ignore[dict-item]
    return {"id": tenant_id, "name": tenant_id, "credential": credential, **more}


@pytest.mark.parametrize("setting", list(WriteProbes))
@pytest.mark.parametrize("wished", [None, *WriteProbes])
def test_a_tenant_can_lower_the_setting_for_writes_and_never_raise_it(
    setting: WriteProbes, wished: WriteProbes | None
) -> None:
    """What holds is the lower of the two."""
    order = [WriteProbes.OFF, WriteProbes.SAFE, WriteProbes.ALL]
    expected = setting if wished is None else min(setting, wished, key=order.index)
    assert lower_of(setting, wished) is expected


def test_an_unknown_feature_or_declined_permission_spoils_only_its_tenant(tmp_path: Path) -> None:
    """The tenant is not watched with half of its manifest: it becomes a problem, and the others go on."""
    drawn = roster(
        tmp_path,
        row("good", features=["eeoc"], declined=[{"permission": "PUT: Merge two candidates", "reference": "t"}]),
        row("typo", features=["eeco"]),
        row("stranger", declined=[{"permission": "PUT: Merge everybody", "reference": "t"}]),
    )
    assert {tenant_id for tenant_id, _ in drawn.watched} == {"good"}
    assert {problem.tenant_id for problem in drawn.file.problems} == {"typo", "stranger"}
    request = drawn.watched["good", "Key"].request
    assert request.features == {"eeoc"}
    assert request.declined == {"candidates.merge_two_candidates"}


def test_a_manifest_that_can_not_be_read_spoils_only_who_names_it(tmp_path: Path) -> None:
    """A credential may name its own manifest; a wrong one is a problem of that tenant, each time it is asked for."""
    drawn = roster(
        tmp_path,
        row("good"),
        row("lost", credential={"manifest": str(tmp_path / "none.yaml")}),
        row("lost-too", credential={"manifest": str(tmp_path / "none.yaml")}),
    )
    assert {tenant_id for tenant_id, _ in drawn.watched} == {"good"}
    assert {problem.tenant_id for problem in drawn.file.problems} == {"lost", "lost-too"}
