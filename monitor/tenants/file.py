"""The content of the tenants file, which docs/tenants-file.md describes: tenants, their CSMs and credentials.

No secret is read here: a reference is resolved when a check needs it.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialKind

MINT = "mint"


class Grant(StrEnum):
    """How the customer granted a v3 credential: created it for the vendor, or connected the partner's client."""

    CUSTOM = "custom"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class OAuthConfig:
    """`client_id` and `token` are references; with MINT as `token`, each check requests a new one.

    `organization` is the customer's number at Greenhouse, `sub` the number of the user a new token acts for.
    """

    client_id: str
    token: str
    grant: Grant
    organization: str | None = None
    sub: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialConfig:
    """`reference` points to the key or client secret; `manifest` is None for the one in the settings.

    `oauth` has the rest of a harvest-oauth credential; it is None for a harvest-key.
    """

    label: str
    kind: CredentialKind
    reference: str
    manifest: str | None
    oauth: OAuthConfig | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """A permission, by id or label, that the customer refuses on purpose."""

    permission: str
    reference: str
    since: date | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Paused:
    """The tenant is not checked, on purpose."""

    reference: str
    since: date | None
    by: str | None


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """One row. `row_digest` covers everything except `line`, where the row begins."""

    id: str
    name: str
    csm_name: str | None
    csm_email: str | None
    features: tuple[str, ...]
    write_probes: WriteProbes | None
    declined: tuple[Declined, ...]
    credentials: tuple[CredentialConfig, ...]
    row_digest: str
    line: int
    paused: Paused | None = None


@dataclass(frozen=True, slots=True)
class TenantProblem:
    """What is wrong with the row that begins at `line`; the message names file, exact line, field and tenant.

    `tenant_id` is None if the row has no readable id. A tenant can have both a problem and a usable row: when a second
    row has the same id.
    """

    tenant_id: str | None
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class TenantsFile:
    tenants: tuple[TenantConfig, ...]
    problems: tuple[TenantProblem, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Every tenant the file mentions; a tenant whose row cannot be used has not been removed."""
        unusable = {problem.tenant_id for problem in self.problems if problem.tenant_id is not None}
        return frozenset({tenant.id for tenant in self.tenants} | unusable)
