"""Moving from a Harvest v1/v2 key to a Harvest v3 credential: which scopes replace which permissions. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checks.catalogue.scopes import Scope, grouped
from checks.credential import CredentialState
from checks.manifest import Manifest, Permission
from monitor.tenants.declined import declined_ids


class MigrationStage(StrEnum):
    """How far a tenant with a v1 key is: no v3 credential, one that does not work yet, or one that works."""

    NOT_BEGUN = "not_begun"
    BEGUN = "begun"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class V1Key:
    """A harvest-key that is being checked, and its tenant. `declined` has ids or labels, as in the tenants file."""

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
    """A scope to tick, and the permissions of a v1 key that it replaces."""

    scope: Scope
    permissions: tuple[Permission, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The scope is needed with any of these features; empty if it is always needed."""
        named = [permission.feature for permission in self.permissions]
        return () if None in named else tuple(sorted({feature for feature in named if feature}))


def permissions_of(key: V1Key, manifest: Manifest) -> tuple[Permission, ...]:
    """What the tenant needs for its features, without what it declined."""
    declined = declined_ids(key.declined, manifest)
    return tuple(permission for permission in manifest.applying_to(key.features) if permission.id not in declined)


def needed_scopes(permissions: Iterable[Permission]) -> dict[str, list[NeededScope]]:
    """The scopes that replace these permissions, grouped as on Greenhouse's screen."""
    replaced_by: dict[str, list[Permission]] = {}
    for permission in permissions:
        for name in permission.scopes:
            replaced_by.setdefault(name, []).append(permission)
    return {
        group: [NeededScope(scope, tuple(replaced_by[scope.name])) for scope in scopes]
        for group, scopes in grouped(replaced_by).items()
    }


def without_scope(permissions: Iterable[Permission]) -> tuple[Permission, ...]:
    """Permissions for which the manifest names no scope: it is not known what to tick for them."""
    return tuple(permission for permission in permissions if not permission.scopes)


def scopes_origin(manifest: Manifest) -> str:
    """Where the manifest's scopes come from, as a sentence to print with them."""
    if manifest.v3_source is None:
        return f"The manifest {manifest.name} names no Harvest v3 scopes."
    if manifest.v3_source == "published":
        return f"This is the list of scopes that {manifest.title} published."
    return (
        f"This list is derived from the permissions of a v1 key, following Greenhouse's guide to moving from v1 to v3: "
        f"{manifest.title} has not published a list of scopes."
    )
