"""What is known about every permission of every credential."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from checks.report import Verdict
from monitor.reporting import verdict_list_queries
from monitor.reporting.verdict_list_queries import VerdictFilter, VerdictPlace, VerdictRow
from monitor.web.lists.data_list import DataList
from monitor.web.lists.item import Item
from monitor.web.paging import Keyset
from monitor.web.utc_moment import UtcMoment


class VerdictItem(Item):
    tenant_id: str
    credential_label: str
    permission_id: str
    permission_group: str
    permission_label: str
    verdict: Verdict = Field(description="what the last check left: the decided one, unless it could not decide")
    known: Verdict | None = Field(description="the last decided one")
    since: UtcMoment | None
    reason: str = Field(description="why nothing was decided, in words")
    rule: str = Field(description="the numbered rule that decided")
    suspect_since: UtcMoment | None = Field(description="seen otherwise once since then, not confirmed")
    last_granted_at: UtcMoment | None


def verdict_filter(
    tenant: Annotated[str, Query(max_length=200, description="a tenant's id")] = "",
    permission: Annotated[str, Query(max_length=200, description="a permission's id or label")] = "",
    verdict: Verdict | None = None,
) -> VerdictFilter:
    return VerdictFilter(tenant or None, permission or None, verdict)


def _place(row: VerdictRow) -> VerdictPlace:
    return row.place


VERDICTS = DataList(
    name="verdicts",
    about="What is known about every permission of every credential",
    wanted=verdict_filter,
    keyset=Keyset("verdicts", VerdictPlace),
    read=verdict_list_queries.page,
    place=_place,
    model=VerdictItem,
)
