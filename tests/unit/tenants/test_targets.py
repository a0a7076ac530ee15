"""What tenants, manifests and settings together make of each tenant's checks."""

import json
from pathlib import Path

import pytest

from checks.catalogue.entry import WriteProbes
from checks.manifest import load
from monitor.tenants.file_reader import read_tenants_file
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.targets import CheckTargets, build_targets, write_probes_allowed
from tests.paths import FIXTURES

LUMEN = FIXTURES / "manifests" / "lumen.yaml"


def targets_of(folder: Path, *rows: dict[str, object]) -> CheckTargets:
    path = folder / "tenants.yaml"
    path.write_text(json.dumps({"tenants": rows}))  # which is also YAML, without anchors
    return build_targets(read_tenants_file(path), ManifestRegistry(load("gem")), WriteProbes.ALL)


def row(tenant_id: str, **more: object) -> dict[str, object]:
    credential = {"kind": "harvest-key", "label": "Key", "key": "env:KEY", **more.pop("credential", {})}  # type: ignore[dict-item]
    return {"id": tenant_id, "name": tenant_id, "credential": credential, **more}


@pytest.mark.parametrize("setting", list(WriteProbes))
@pytest.mark.parametrize("wanted", [None, *WriteProbes])
def test_a_tenant_can_lower_the_setting_for_writes_and_never_raise_it(
    setting: WriteProbes, wanted: WriteProbes | None
) -> None:
    """The lower of the two applies."""
    order = [WriteProbes.OFF, WriteProbes.SAFE, WriteProbes.ALL]
    expected = setting if wanted is None else min(setting, wanted, key=order.index)
    assert write_probes_allowed(setting, wanted) is expected


def test_an_unknown_feature_or_declined_permission_affects_only_its_tenant(tmp_path: Path) -> None:
    """A tenant is never checked with half of its manifest: it becomes a problem, and the others are checked."""
    targets = targets_of(
        tmp_path,
        row("good", features=["eeoc"], declined=[{"permission": "PUT: Merge two candidates", "reference": "t"}]),
        row("typo", features=["eeco"]),
        row("stranger", declined=[{"permission": "PUT: Merge everybody", "reference": "t"}]),
    )
    assert {target.tenant.id for target in targets.all} == {"good"}
    assert {problem.tenant_id for problem in targets.file.problems} == {"typo", "stranger"}
    request = targets.all[0].request
    assert request.features == {"eeoc"}
    assert request.declined == {"candidates.merge_two_candidates"}


def test_an_unreadable_manifest_affects_only_the_tenants_that_use_it(tmp_path: Path) -> None:
    """A credential may name its own manifest; an unreadable one is a problem of each tenant that names it."""
    targets = targets_of(
        tmp_path,
        row("good"),
        row("lost", credential={"manifest": str(tmp_path / "none.yaml")}),
        row("lost-too", credential={"manifest": str(tmp_path / "none.yaml")}),
    )
    assert {target.tenant.id for target in targets.all} == {"good"}
    assert {problem.tenant_id for problem in targets.file.problems} == {"lost", "lost-too"}


def test_names_are_checked_against_all_manifests_of_the_tenant(tmp_path: Path) -> None:
    """A feature or declined permission is a problem only if no manifest of the tenant knows it."""
    merge = {"permission": "PUT: Merge two candidates", "reference": "r"}
    unknown = {"permission": "Merge", "reference": "r"}
    gem = {"kind": "harvest-key", "label": "Gem", "key": "env:KEY"}
    lumen = {"kind": "harvest-key", "label": "Lumen", "key": "env:KEY", "manifest": str(LUMEN)}

    targets = targets_of(
        tmp_path,
        {"id": "gem", "name": "G", "credential": gem, "features": ["eeoc", "rooms"], "declined": [merge, unknown]},
        {"id": "both", "name": "B", "credentials": [gem, lumen], "features": ["eeoc", "rooms"], "declined": [unknown]},
    )

    assert targets.all == ()
    first, second, third = targets.file.problems
    assert [problem.tenant_id for problem in targets.file.problems] == ["gem", "gem", "both"]
    assert "feature 'rooms' is in no manifest of this tenant (gem has eeoc): correct" in first.message
    assert "declined: " in second.message
    assert "'Merge'" in second.message
    assert "'Merge'" in third.message
