"""Moving from a Harvest v1/v2 key to a Harvest v3 credential: which scopes stand for which permissions. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checks.catalogue.scopes import Scope, grouped
from checks.credential import CredentialState
from checks.manifest import Manifest, Permission
from monitor.tenants.file import ids_of


class MigrationStage(StrEnum):
    """How far a tenant with a v1 key has come: no v3 credential, one that does not work yet, one that does."""

    NOT_BEGUN = "not_begun"
    BEGUN = "begun"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class V1Key:
    """A harvest-key that is watched, and its tenant. `declined` are ids or labels, as the tenants file has them."""

    tenant_id: str
    tenant_name: str
    csm_name: str | None
    csm_email: str | None
    features: tuple[str, ...]
    declined: tuple[str, ...]
    label: str
    manifest: str | None
    state: CredentialState
    since: datetime | None
    stage: MigrationStage


@dataclass(frozen=True, slots=True)
class NeededScope:
    """A scope to tick, and the permissions of a v1 key that it stands for."""

    scope: Scope
    permissions: tuple[Permission, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """With any of these it is needed; empty where it is needed anyhow."""
        named = [permission.feature for permission in self.permissions]
        return () if None in named else tuple(sorted({feature for feature in named if feature}))


def permissions_of(key: V1Key, manifest: Manifest) -> tuple[Permission, ...]:
    """What the tenant needs by its features, without what it declined."""
    declined = ids_of(key.declined, manifest)
    return tuple(permission for permission in manifest.applying_to(key.features) if permission.id not in declined)


def needed(permissions: Iterable[Permission]) -> dict[str, list[NeededScope]]:
    """The scopes that stand for these permissions, as Greenhouse's screen groups them."""
    standing_for: dict[str, list[Permission]] = {}
    for permission in permissions:
        for name in permission.scopes:
            standing_for.setdefault(name, []).append(permission)
    return {
        group: [NeededScope(scope, tuple(standing_for[scope.name])) for scope in scopes]
        for group, scopes in grouped(standing_for).items()
    }


def without_scope(permissions: Iterable[Permission]) -> tuple[Permission, ...]:
    """Permissions for which the manifest names no scope: nobody knows yet what to tick for them."""
    return tuple(permission for permission in permissions if not permission.scopes)


def origin(manifest: Manifest) -> str:
    """Where the manifest's scopes come from, in a sentence; whoever prints them says it."""
    if manifest.v3_source is None:
        return f"The manifest {manifest.name} names no scopes of Harvest v3."
    if manifest.v3_source == "published":
        return f"This is the list of scopes that {manifest.title} published."
    return (
        f"This list is derived from the permissions of a v1 key, by Greenhouse's guide to moving from v1 to v3: "
        f"{manifest.title} has published no list of scopes."
    )
