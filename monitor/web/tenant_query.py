"""What an address asks of the list of tenants: the same on the page, in CSV, in JSON and in the API."""

from typing import Annotated

from fastapi import Depends, Query

from checks.credential import CredentialKind
from monitor.incidents.status import PRESENT
from monitor.reporting.tenant_list import Shown, TenantFilter

STATUSES = (*Shown, *PRESENT)
_Text = Annotated[str, Query(max_length=200)]


def tenant_filter(
    q: Annotated[str, Query(max_length=200, description="part of a name, an id or a CSM's name or address")] = "",
    status: Annotated[str, Query(max_length=200, description="a status, `attention` (all but healthy) or `any`")] = "",
    csm: Annotated[str, Query(max_length=200, description="a CSM's email address")] = "",
    feature: _Text = "",
    kind: Annotated[str, Query(max_length=200, description="`harvest-key` or `harvest-oauth`")] = "",
    missing: Annotated[str, Query(max_length=200, description="a permission's id or label")] = "",
    fault: Annotated[str, Query(max_length=200, description="`ours`: tenants that fail through us")] = "",
) -> TenantFilter:
    """Every part may be left out; one that is no possible value asks for nothing, as where it is left out."""
    return TenantFilter(
        text=q.strip() or None,
        status=status if status in STATUSES else Shown.ANY,
        csm=csm.strip() or None,
        feature=feature or None,
        kind=kind if kind in set(CredentialKind) else None,
        missing=missing or None,
        ours=fault == "ours",
    )


WantedTenants = Annotated[TenantFilter, Depends(tenant_filter)]
