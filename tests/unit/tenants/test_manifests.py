"""Manifests by what they call themselves."""

from dataclasses import replace

from checks.manifest import load
from monitor.tenants.manifests import ManifestRegistry


def test_a_name_finds_what_is_in_use_before_what_is_built_in() -> None:
    """An operator's own manifest may be called like a built-in one; a path is no name."""
    ours = replace(load("gem"), name="lumen")
    registry = ManifestRegistry(ours)
    assert registry.named("lumen") is ours
    assert registry.named("gem") == load("gem")
    assert registry.named("checks/manifests/gem.yaml") is None
    assert registry.names == ["gem", "lumen"]
    own_gem = replace(load("gem"), version="ours")
    assert ManifestRegistry(own_gem).named("gem") is own_gem
