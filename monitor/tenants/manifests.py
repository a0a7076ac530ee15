"""The manifests in use; each is read once."""

from collections.abc import Callable

from checks.errors import ManifestError
from checks.manifest import Manifest, built_in, load


class ManifestRegistry:
    """Manifests by name or path; None is the one in the settings. An unreadable one fails only who asks for it."""

    def __init__(self, default: Manifest, read: Callable[[str], Manifest] = load) -> None:
        self._default = default
        self._read = read
        self._loaded: dict[str, Manifest | ManifestError] = {}

    def manifest(self, name: str | None) -> Manifest:
        """ManifestError, the same on each call, if it cannot be read."""
        if name is None:
            return self._default
        if name not in self._loaded:
            self._loaded[name] = self._read_or_error(name)
        found = self._loaded[name]
        if isinstance(found, ManifestError):
            raise found
        return found

    def named(self, name: str) -> Manifest | None:
        """By what the manifest calls itself, never by a path: one in use, or else a built-in one."""
        in_use = next((manifest for manifest in self._readable if manifest.name == name), None)
        return self.manifest(name) if in_use is None and name in built_in() else in_use

    @property
    def names(self) -> list[str]:
        """Those that `named` knows."""
        return sorted({*built_in(), *(manifest.name for manifest in self._readable)})

    @property
    def impacts(self) -> dict[str, str]:
        """What stops working without a permission, by its id, for every manifest read so far."""
        return {p.id: p.impact for manifest in self._readable for p in manifest.permissions if p.impact}

    @property
    def effects(self) -> dict[str, str]:
        """What a permission lets the integration do, by its id, for the same manifests."""
        return {p.id: p.effect for manifest in self._readable for p in manifest.permissions if p.effect}

    @property
    def scopes(self) -> dict[tuple[str | None, str | None], tuple[str, ...]]:
        """The v3 scopes that replace a permission, by manifest digest and permission id, for the same manifests."""
        return {(manifest.digest, p.id): p.scopes for manifest in self._readable for p in manifest.permissions}

    @property
    def derived(self) -> frozenset[str]:
        """The digests of those whose scopes the vendor did not publish."""
        return frozenset(manifest.digest for manifest in self._readable if manifest.v3_source == "derived")

    @property
    def _readable(self) -> list[Manifest]:
        return [self._default, *(m for m in self._loaded.values() if isinstance(m, Manifest))]

    def _read_or_error(self, name: str) -> Manifest | ManifestError:
        try:
            return self._read(name)
        except ManifestError as problem:
            return problem
