"""Who is watched with what: the tenants file, read against the manifests and the settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.errors import ManifestError
from checks.manifest import Manifest
from monitor.tenants.file import CredentialConfig, TenantConfig, TenantProblem, TenantsFile, check_against, declined_ids
from monitor.tenants.manifests import ManifestRegistry


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """One credential with all that a check of it needs, but for the key itself."""

    tenant: TenantConfig
    credential: CredentialConfig
    manifest: Manifest
    permitted: WriteProbes

    @property
    def request(self) -> CheckRequest:
        return CheckRequest(
            manifest=self.manifest,
            features=frozenset(self.tenant.features),
            declined=declined_ids(self.tenant, self.manifest),
        )


@dataclass(frozen=True, slots=True)
class CheckTargets:
    """`file` holds the tenants that can be watched, and a problem for each row that can not."""

    file: TenantsFile
    watched: Mapping[tuple[str, str], CheckTarget]

    def of(self, tenant_id: str, label: str) -> CheckTarget | None:
        return self.watched.get((tenant_id, label))


def draw_up(file: TenantsFile, shelf: ManifestRegistry, setting: WriteProbes) -> CheckTargets:
    """A tenant whose manifest can not be read, or does not know its features, becomes a problem of its own."""
    sound, problems = [], list(file.problems)
    for tenant in file.tenants:
        found = _problems(tenant, shelf)
        problems += found
        if not found:
            sound.append(tenant)
    return CheckTargets(TenantsFile(tuple(sound), tuple(problems)), _watched(sound, shelf, setting))


def _problems(tenant: TenantConfig, shelf: ManifestRegistry) -> list[TenantProblem]:
    try:
        manifests = [shelf.manifest(credential.manifest) for credential in tenant.credentials]
    except ManifestError as problem:
        return [TenantProblem(tenant.id, tenant.line, f"{problem} (tenant {tenant.id})")]
    return list(check_against(tenant, manifests))


def _watched(
    tenants: Iterable[TenantConfig], shelf: ManifestRegistry, setting: WriteProbes
) -> dict[tuple[str, str], CheckTarget]:
    return {
        (tenant.id, credential.label): CheckTarget(
            tenant, credential, shelf.manifest(credential.manifest), lower_of(setting, tenant.write_probes)
        )
        for tenant in tenants
        for credential in tenant.credentials
    }


def lower_of(setting: WriteProbes, wished: WriteProbes | None) -> WriteProbes:
    """A tenant can lower the setting for write probes and never raise it."""
    return setting if wished is None or wished.allows(setting) else wished
