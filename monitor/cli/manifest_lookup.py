"""The manifest that a command is about: built in, a file, or one in use by the name it gives itself."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from checks.errors import ManifestError
from checks.manifest import Manifest, built_in, load
from monitor.config import settings_loader
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError
from monitor.tenants.file_reader import read_tenants_file


def find_manifest(name: str | None) -> Manifest:
    """None is the one in the settings. ManifestError if there is none, or it cannot be read.

    Messages and reports name a manifest by its own name, which for a vendor's file is not its path.
    """
    if name is None:
        return load(settings_loader.load().manifest)
    if name not in built_in() and not Path(name).exists():
        for manifest in _in_use():
            if manifest.name == name:
                return manifest
    return load(name)


def _in_use() -> Iterator[Manifest]:
    with suppress(ConfigurationError):
        settings = settings_loader.load()
        for place in dict.fromkeys([settings.manifest, *_of_credentials(settings)]):
            with suppress(ManifestError):
                yield load(place)


def _of_credentials(settings: Settings) -> Iterator[str]:
    with suppress(ConfigurationError):
        tenants = read_tenants_file(settings.tenants).tenants
        yield from (c.manifest for tenant in tenants for c in tenant.credentials if c.manifest is not None)
