"""Drift events one by one, and bursts of them."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from fastapi import Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift import EventKind
from monitor.incidents import burst_queries, change_queries
from monitor.incidents.burst_queries import ChangeState, TenantInBurst
from monitor.incidents.changes import ListedBurst, Position, ToldStatus
from monitor.incidents.history_queries import PastEvent
from monitor.reporting import event_list_queries
from monitor.reporting.event_list_queries import EventPlace
from monitor.web.change_query import wanted_changes
from monitor.web.lists.data_list import DataList
from monitor.web.lists.item import Item, of_row
from monitor.web.number_ranges import LARGEST_ID
from monitor.web.paging import Keyset
from monitor.web.utc_moment import UtcMoment


class EventItem(Item):
    """It happened after `seen_before`, and was seen first at `first_seen`; `at` is when it was confirmed."""

    id: int
    at: UtcMoment
    kind: EventKind
    tenant_id: str
    tenant_name: str
    credential_label: str
    permission_id: str | None = Field(description="for excess, the endpoint")
    permission_group: str | None
    permission_label: str | None
    state: str | None = Field(description="of the credential, where the event is of it as a whole")
    detail: str
    rule: str | None
    seen_before: UtcMoment | None
    first_seen: UtcMoment | None
    incident_id: int | None


class BurstItem(Item):
    """Events of one kind and one permission, or state, with no more than 20 minutes from one to the next."""

    id: int
    kind: EventKind
    permission_id: str | None
    permission_group: str | None
    permission_label: str | None
    state: str | None
    first_at: UtcMoment
    last_at: UtcMoment
    seen_from: UtcMoment | None = Field(description="it happened after that, where that is known of all of it")
    first_seen: UtcMoment | None
    seen_to: UtcMoment | None
    events: int
    tenants: int


def _event_place(row: PastEvent) -> EventPlace:
    return EventPlace(row.at, row.id)


def _burst_place(row: ListedBurst) -> Position:
    return row.position


HISTORY = DataList(
    name="history",
    about="Drift events, newest first",
    wanted=wanted_changes,
    keyset=Keyset("history", EventPlace),
    read=event_list_queries.page,
    place=_event_place,
    model=EventItem,
)

BURSTS = DataList(
    name="bursts",
    about="Bursts of drift events, newest first",
    wanted=wanted_changes,
    keyset=Keyset("bursts", Position),
    read=change_queries.bursts,
    place=_burst_place,
    model=BurstItem,
)


class BurstTenantItem(Item):
    """What became of a burst's change in one of its tenants, and who was told."""

    tenant_id: str
    name: str
    csm_name: str | None
    csm_email: str | None
    at: UtcMoment
    seen_before: UtcMoment | None
    first_seen: UtcMoment | None
    standing: ChangeState = Field(description="`lasts`, `restored`, not decided since (`unknown`), `gone` or `past`")
    restored_at: UtcMoment | None
    told: ToldStatus = Field(validation_alias=of_row("told", "status"))
    notice_id: int | None
    recipient: str | None
    sent_at: UtcMoment | None


class TenantId(NamedTuple):
    """The place in a list that is ordered by the ids of tenants."""

    id: str


def _burst_number(burst: Annotated[int, Query(ge=1, le=LARGEST_ID, description="a burst's number")]) -> int:
    return burst


async def _tenants_of(conn: AsyncConnection, burst: int, limit: int, after: TenantId | None) -> Sequence[TenantInBurst]:
    return await burst_queries.burst_tenants(conn, burst, limit, after.id if after else None)


def _tenant_place(row: TenantInBurst) -> TenantId:
    return TenantId(row.tenant_id)


BURST_TENANTS = DataList(
    name="burst-tenants",
    about="The tenants of one burst, by id",
    wanted=_burst_number,
    keyset=Keyset("burst-tenants", TenantId),
    read=_tenants_of,
    place=_tenant_place,
    model=BurstTenantItem,
)
