"""Drift events one by one, and bursts of them."""

from pydantic import Field

from monitor.drift import EventKind
from monitor.incidents import change_queries
from monitor.incidents.changes import ListedBurst, Position
from monitor.incidents.history_queries import PastEvent
from monitor.reporting import event_list_queries
from monitor.reporting.event_list_queries import EventPlace
from monitor.web.change_query import wanted_changes
from monitor.web.lists.data_list import DataList
from monitor.web.lists.item import Item
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
