"""Lists about the service: permissions that tenants lack, incidents, sweeps, what operators did."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

from fastapi import Query, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.reporting import permission_list_queries, service_list_queries
from monitor.reporting.permission_list_queries import LackedPermission
from monitor.reporting.service_list_queries import ActionRow, IncidentFilter, IncidentRow, SweepRow
from monitor.reporting.service_queries import DAY
from monitor.web.context import context
from monitor.web.lists.data_list import DataList
from monitor.web.lists.item import Item, of_row
from monitor.web.paging import Keyset
from monitor.web.utc_moment import UtcMoment


class Number(NamedTuple):
    """The place of a row in a list that is ordered by its number, newest first."""

    id: int


class PermissionItem(Item):
    id: str
    group: str
    label: str
    tenants: int = Field(description="tenants that lack it now")
    last_day: int = Field(
        validation_alias=of_row("last_day", "fresh"), description="those of them that lack it since the last 24 hours"
    )
    first_seen: UtcMoment | None = Field(validation_alias=of_row("first_seen", "first"))
    last_seen: UtcMoment | None = Field(validation_alias=of_row("last_seen", "last"))


class IncidentItem(Item):
    id: int
    tenant_id: str
    tenant_name: str
    csm_name: str | None
    opened_at: UtcMoment
    resolved_at: UtcMoment | None
    events: int


class SweepItem(Item):
    id: int
    started_at: UtcMoment
    finished_at: UtcMoment | None = Field(description="when every credential had been checked since it began")


class ActionItem(Item):
    id: int
    at: UtcMoment
    who: str
    action: str
    subject: str
    reason: str


class LackedPlace(NamedTuple):
    """By how many tenants lack it, the most first."""

    tenants: int
    id: str


def _a_day_ago(request: Request) -> datetime:
    return context(request).now() - DAY


async def _lacked(
    conn: AsyncConnection, fresh_since: datetime, limit: int, after: LackedPlace | None
) -> Sequence[LackedPermission]:
    rows = await permission_list_queries.lacked(conn, fresh_since)
    return [row for row in rows if after is None or (-row.tenants, row.id) > (-after.tenants, after.id)][:limit]


def _lacked_place(row: LackedPermission) -> LackedPlace:
    return LackedPlace(row.tenants, row.id)


def incident_filter(
    tenant: Annotated[str, Query(max_length=200, description="a tenant's id")] = "", open: bool | None = None
) -> IncidentFilter:
    return IncidentFilter(tenant or None, open)


async def _incidents(
    conn: AsyncConnection, wanted: IncidentFilter, limit: int, after: Number | None
) -> Sequence[IncidentRow]:
    return await service_list_queries.incidents(conn, wanted, limit, after.id if after else None)


async def _sweeps(conn: AsyncConnection, _: None, limit: int, after: Number | None) -> Sequence[SweepRow]:
    return await service_list_queries.sweeps(conn, limit, after.id if after else None)


def action_filter(q: Annotated[str, Query(max_length=200, description="part of who, what or why")] = "") -> str | None:
    return q.strip() or None


async def _actions(conn: AsyncConnection, wanted: str | None, limit: int, after: Number | None) -> Sequence[ActionRow]:
    return await service_list_queries.actions(conn, limit, after.id if after else None, wanted)


def nothing() -> None:
    """No filter."""


def _number(row: IncidentRow | SweepRow | ActionRow) -> Number:
    return Number(row.id)


PERMISSIONS = DataList(
    name="permissions",
    about="Permissions that tenants lack, the most lacked first",
    wanted=_a_day_ago,
    keyset=Keyset("permissions", LackedPlace),
    read=_lacked,
    place=_lacked_place,
    model=PermissionItem,
)
INCIDENTS = DataList(
    name="incidents",
    about="Incidents, newest first",
    wanted=incident_filter,
    keyset=Keyset("incidents", Number),
    read=_incidents,
    place=_number,
    model=IncidentItem,
)
SWEEPS = DataList(
    name="sweeps",
    about="Sweeps, newest first",
    wanted=nothing,
    keyset=Keyset("sweeps", Number),
    read=_sweeps,
    place=_number,
    model=SweepItem,
)
OPERATORS = DataList(
    name="operators",
    about="What operators did, newest first",
    wanted=action_filter,
    keyset=Keyset("operators", Number),
    read=_actions,
    place=_number,
    model=ActionItem,
)
