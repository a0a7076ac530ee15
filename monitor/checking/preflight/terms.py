"""By what a pre-flight judges: the manifest, the features, what is declined, and how far write probes go."""

from collections.abc import Sequence
from dataclasses import dataclass

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.errors import HarvestMonitorError, ManifestError
from checks.manifest import Manifest
from monitor.tenants.declined import declined_ids, why_unknown
from monitor.tenants.manifests import ManifestRegistry


class TermsRefused(HarvestMonitorError):
    """It cannot be made on these terms. No text repeats what was sent: it may be a secret in a wrong field."""

    def __init__(self, code: str, message: str, next_step: str) -> None:
        super().__init__(message)
        self.code = code
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class PreflightTerms:
    """`manifest` is what a manifest calls itself, never a path; None for the service's own."""

    manifest: str | None = None
    features: Sequence[str] = ()
    declined: Sequence[str] = ()
    write_probes: WriteProbes = WriteProbes.OFF

    def request(self, registry: ManifestRegistry) -> CheckRequest:
        manifest = self._manifest(registry)
        self._require_known(manifest)
        return CheckRequest(manifest, frozenset(self.features), declined_ids(self.declined, manifest))

    def permitted(self, setting: WriteProbes) -> WriteProbes:
        """Refused above the setting: silently lowered, a result would hold less than was asked for."""
        if not setting.allows(self.write_probes):
            raise TermsRefused(
                "write_probes_above_setting",
                f"write_probes goes further than this service may, whose setting is {setting.value}",
                f"Send {setting.value} or less, or leave it out: reads are always checked.",
            )
        return self.write_probes

    def _manifest(self, registry: ManifestRegistry) -> Manifest:
        try:
            found = registry.manifest(None) if self.manifest is None else registry.named(self.manifest)
        except ManifestError:
            found = None
        if found is None:
            raise TermsRefused(
                "unknown_manifest",
                "manifest is not the name of one that this service knows",
                f"Send one of {', '.join(registry.names)}, or leave it out for the service's own.",
            )
        return found

    def _require_known(self, manifest: Manifest) -> None:
        if not set(self.features) <= set(manifest.features):
            raise TermsRefused(
                "unknown_feature",
                f"features names one that manifest {manifest.name} does not have",
                f"It has: {', '.join(sorted(manifest.features)) or 'none'}.",
            )
        if any(why_unknown(name, [manifest]) for name in self.declined):
            raise TermsRefused(
                "unknown_permission",
                f"declined names a permission that manifest {manifest.name} does not have",
                f"Send ids or labels as in `harvest-monitor manifest show {manifest.name}`.",
            )
