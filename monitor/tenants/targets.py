"""What is checked: the credentials of the tenants file, each with its manifest and what the settings allow."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.errors import ManifestError
from checks.manifest import Manifest
from monitor.tenants.declined import declined_ids, why_unknown
from monitor.tenants.file import CredentialConfig, TenantConfig, TenantProblem, TenantsFile
from monitor.tenants.manifests import ManifestRegistry


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """One credential with everything a check of it needs except the secret."""

    tenant: TenantConfig
    credential: CredentialConfig
    manifest: Manifest
    permitted: WriteProbes

    @property
    def request(self) -> CheckRequest:
        return CheckRequest(
            manifest=self.manifest,
            features=frozenset(self.tenant.features),
            declined=declined_ids((entry.permission for entry in self.tenant.declined), self.manifest),
        )


@dataclass(frozen=True, slots=True)
class CheckTargets:
    """`file` has the tenants that can be checked, and a problem for each row that cannot be used."""

    file: TenantsFile
    all: tuple[CheckTarget, ...]


def build_targets(file: TenantsFile, registry: ManifestRegistry, setting: WriteProbes) -> CheckTargets:
    """A tenant becomes a problem if its manifest cannot be read or does not know its features."""
    usable, problems = [], list(file.problems)
    for tenant in file.tenants:
        found = _problems(tenant, registry)
        problems += found
        if not found:
            usable.append(tenant)
    targets = (target for tenant in usable for target in _of_tenant(tenant, registry, setting))
    return CheckTargets(TenantsFile(tuple(usable), tuple(problems)), tuple(targets))


def build_trial_targets(file: TenantsFile, manifest: Manifest, setting: WriteProbes) -> CheckTargets:
    """Every tenant under this manifest, whichever its credentials name.

    Features and declined permissions that the manifest does not know make no problem, and have no effect.
    """
    only = ManifestRegistry(manifest, read=lambda _: manifest)
    return CheckTargets(file, tuple(target for tenant in file.tenants for target in _of_tenant(tenant, only, setting)))


def without_effect(tenants: Iterable[TenantConfig], manifest: Manifest) -> list[str]:
    """What the tenants' rows say that this manifest does not know, each once."""
    found = [text for tenant in tenants for text in _unknown_to(tenant, manifest)]
    return list(dict.fromkeys(found))


def _unknown_to(tenant: TenantConfig, manifest: Manifest) -> Iterator[str]:
    yield from (f"feature {feature}" for feature in tenant.features if feature not in manifest.features)
    for entry in tenant.declined:
        if why_unknown(entry.permission, [manifest]) is not None:
            yield f"declined {entry.permission}"


def write_probes_allowed(setting: WriteProbes, wanted: WriteProbes | None) -> WriteProbes:
    """A tenant can lower the setting for write probes, never raise it."""
    return setting if wanted is None or wanted.allows(setting) else wanted


def _problems(tenant: TenantConfig, registry: ManifestRegistry) -> list[TenantProblem]:
    try:
        manifests = [registry.manifest(credential.manifest) for credential in tenant.credentials]
    except ManifestError as problem:
        messages = [str(problem)]
    else:
        messages = [*_unknown_features(tenant, manifests), *_unknown_declined(tenant, manifests)]
    return [TenantProblem(tenant.id, tenant.line, f"{message} (tenant {tenant.id})") for message in messages]


def _unknown_features(tenant: TenantConfig, manifests: Sequence[Manifest]) -> Iterator[str]:
    known = {feature for manifest in manifests for feature in manifest.features}
    # Which manifest it is comes first: without a setting it is Gem's, whoever the vendor is.
    looked_in = "; ".join(
        f"{manifest.name} has {', '.join(sorted(manifest.features)) or 'none'}"
        for manifest in {manifest.digest: manifest for manifest in manifests}.values()
    )
    for feature in tenant.features:
        if feature not in known:
            yield (
                f"feature {feature!r} is in no manifest of this tenant ({looked_in}): correct or remove it, or set "
                "HARVEST_MONITOR_MANIFEST"
            )


def _unknown_declined(tenant: TenantConfig, manifests: Sequence[Manifest]) -> Iterator[str]:
    for entry in tenant.declined:
        reason = why_unknown(entry.permission, manifests)
        if reason is not None:
            yield f"declined: {reason}"


def _of_tenant(tenant: TenantConfig, registry: ManifestRegistry, setting: WriteProbes) -> Iterator[CheckTarget]:
    permitted = write_probes_allowed(setting, tenant.write_probes)
    for credential in tenant.credentials:
        yield CheckTarget(tenant, credential, registry.manifest(credential.manifest), permitted)
