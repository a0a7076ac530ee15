"""Every credential of every tenant."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from checks.credential import CredentialKind, CredentialState
from monitor.reporting import credential_list_queries
from monitor.reporting.credential_list_queries import CredentialFilter, CredentialPlace, CredentialRow
from monitor.web.lists.data_list import DataList
from monitor.web.lists.item import Item, of_row
from monitor.web.paging import Keyset
from monitor.web.utc_moment import UtcMoment


class CredentialItem(Item):
    tenant_id: str
    label: str = Field(description="as the customer sees it at Greenhouse")
    kind: CredentialKind
    state: CredentialState
    detail: str = Field(description="a documented code, or what is wrong with the tenants file")
    state_since: UtcMoment | None
    fingerprint: str | None = Field(description="of the secret that worked last; the secret cannot be found from it")
    granted: int
    missing: int
    undecided: int
    unchecked: int
    suspects: int
    excess: int
    last_checked_at: UtcMoment | None
    next_check_at: UtcMoment | None = Field(validation_alias=of_row("next_check_at", "next_due"))


def credential_filter(
    tenant: Annotated[str, Query(max_length=200, description="a tenant's id")] = "",
    kind: CredentialKind | None = None,
    state: CredentialState | None = None,
) -> CredentialFilter:
    return CredentialFilter(tenant or None, kind, state)


def _place(row: CredentialRow) -> CredentialPlace:
    return CredentialPlace(row.tenant_id, row.label)


CREDENTIALS = DataList(
    name="credentials",
    about="Credentials, by tenant and label",
    wanted=credential_filter,
    keyset=Keyset("credentials", CredentialPlace),
    read=credential_list_queries.page,
    place=_place,
    model=CredentialItem,
)
