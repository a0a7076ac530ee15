"""What an address asks of the list of tenants: the same on the page, in CSV, in JSON and in the API."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from checks.credential import CredentialKind
from monitor.incidents.status import PRESENT
from monitor.reporting.tenant_list import Place, Shown, TenantFilter
from monitor.web.cursor import decoded, encoded

STATUSES = (*Shown, *PRESENT)
_Text = Annotated[str, Query(max_length=200)]


def _filter(
    q: _Text = "",
    status: _Text = Shown.ATTENTION,
    csm: _Text = "",
    feature: _Text = "",
    kind: _Text = "",
    missing: _Text = "",
    fault: _Text = "",
) -> TenantFilter:
    """Every part may be left out; one that is no possible value asks for nothing, as where it is left out."""
    return TenantFilter(
        text=q.strip() or None,
        status=status if status in STATUSES else Shown.ATTENTION,
        csm=csm.strip() or None,
        feature=feature or None,
        kind=kind if kind in set(CredentialKind) else None,
        missing=missing or None,
        ours=fault == "ours",
    )


WantedTenants = Annotated[TenantFilter, Depends(_filter)]


def place_of(cursor: str | None) -> Place | None:
    """BadCursor where the word in the address is no place in this list."""
    return Place(*decoded(cursor, int, datetime, str)) if cursor else None


def cursor_of(place: Place) -> str:
    return encoded([place.severity, place.since, place.id])
