"""Tenants with their credentials, worst first."""

from pydantic import Field

from checks.credential import CredentialState
from monitor.incidents.status import TenantStatus
from monitor.reporting import tenant_list_queries
from monitor.reporting.tenant_list import TenantPlace, TenantRow
from monitor.reporting.told import Telling
from monitor.web.lists.data_list import DataList
from monitor.web.lists.item import Item, of_row
from monitor.web.paging import Keyset
from monitor.web.tenant_query import tenant_filter
from monitor.web.utc_moment import UtcMoment


class ToldItem(Item):
    """The most telling notice; `reader` is a CSM's name or an address."""

    telling: Telling
    reader: str | None
    at: UtcMoment
    notice: int | None


class CredentialStandingItem(Item):
    label: str = Field(description="as the customer sees it at Greenhouse")
    kind: str = Field(description="`harvest-key` (v1) or `harvest-oauth` (v3)")
    state: CredentialState
    detail: str = Field(description="a documented code, or what is wrong with the tenants file")
    missing: int
    undecided: int
    unchecked: int
    suspects: int
    last_checked_at: UtcMoment | None
    next_check_at: UtcMoment | None = Field(validation_alias=of_row("next_check_at", "next_due"))


class TenantItem(Item):
    id: str
    name: str
    status: TenantStatus
    since: UtcMoment
    reason: str = Field(description="why it stands so, in one line")
    csm_name: str | None
    csm_email: str | None
    missing: int = Field(description="required permissions that are missing, confirmed")
    undecided: int
    suspects: int = Field(description="seen worse once, not confirmed")
    missing_permissions: list[str] = Field(
        validation_alias=of_row("missing_permissions", "missing_labels"),
        description="labels of up to three of each credential",
    )
    last_checked_at: UtcMoment | None
    next_check_at: UtcMoment | None = Field(validation_alias=of_row("next_check_at", "next_due"))
    told: ToldItem | None
    credentials: list[CredentialStandingItem]


def _place(row: TenantRow) -> TenantPlace:
    return row.place


TENANTS = DataList(
    name="tenants",
    about="Tenants with their credentials, worst first",
    wanted=tenant_filter,
    keyset=Keyset("tenants", TenantPlace),
    read=tenant_list_queries.page,
    place=_place,
    model=TenantItem,
)
