"""The manifests in use, each read once."""

from collections.abc import Callable

from checks.errors import ManifestError
from checks.manifest import Manifest, load


class ManifestRegistry:
    """Manifests by name or path, None for that of the settings; one that can not be read fails whoever names it."""

    def __init__(self, default: Manifest, read: Callable[[str], Manifest] = load) -> None:
        self._default = default
        self._read = read
        self._known: dict[str, Manifest | ManifestError] = {}

    def manifest(self, name: str | None) -> Manifest:
        """ManifestError, the same each time, if it can not be read."""
        if name is None:
            return self._default
        if name not in self._known:
            self._known[name] = self._try(name)
        found = self._known[name]
        if isinstance(found, ManifestError):
            raise found
        return found

    @property
    def impacts(self) -> dict[str, str]:
        """What stops without a permission, by its id, of every manifest read so far."""
        return {p.id: p.impact for manifest in self._read_so_far for p in manifest.permissions if p.impact}

    @property
    def scopes(self) -> dict[tuple[str | None, str | None], tuple[str, ...]]:
        """What carries a permission on Harvest v3, by the digest of its manifest and its id, of the same manifests."""
        return {(manifest.digest, p.id): p.scopes for manifest in self._read_so_far for p in manifest.permissions}

    @property
    def _read_so_far(self) -> list[Manifest]:
        return [self._default, *(m for m in self._known.values() if isinstance(m, Manifest))]

    def _try(self, name: str) -> Manifest | ManifestError:
        try:
            return self._read(name)
        except ManifestError as problem:
            return problem
