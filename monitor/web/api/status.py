"""How the service and its tenants stand, in one answer."""

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from monitor.breaker.machine import State as BreakerState
from monitor.incidents.status import TenantStatus
from monitor.reporting import service_queries
from monitor.reporting.headline import Tone, headline
from monitor.reporting.service_queries import DAY
from monitor.web.auth.identity import viewer
from monitor.web.conditional import conditional_json
from monitor.web.context import context
from monitor.web.lists.item import Item
from monitor.web.utc_moment import UtcMoment

router = APIRouter(tags=["Status"], dependencies=[Depends(viewer)])


class StatusCountItem(Item):
    status: TenantStatus
    tenants: int
    came: int = Field(description="tenants that came to this status within 24 hours")
    went: int = Field(description="tenants that left it")


class StatusAnswer(Item):
    headline: str = Field(description="the sentence on top of the overview")
    rule: str
    tone: Tone = Field(description="`bad` and `warn` need a person")
    next_step: str
    tenants: list[StatusCountItem]
    total: int
    suspects: int
    ours: int = Field(description="tenants that fail through something of ours")
    breaker: BreakerState
    checks_overdue: int
    last_checked_at: UtcMoment | None
    sweep_began: UtcMoment | None
    sweep_checked: int
    sweep_planned: int
    last_sweep_ended: UtcMoment | None
    write_halt_since: UtcMoment | None
    notices_held: int
    notices_failed: int
    notices_pending: int


@router.get("/status", name="show_status", summary="Is the service well?", response_model=StatusAnswer)
async def show_status(request: Request) -> Response:
    web = context(request)
    now = web.now()
    async with web.reading() as conn:
        facts = await web.facts(conn, now)
        counts = await service_queries.counts_since(conn, facts.tenants, now - DAY)
    said = headline(facts)
    body = StatusAnswer(
        headline=said.said.plain,
        rule=said.rule,
        tone=said.tone,
        next_step=said.next_step,
        tenants=[StatusCountItem.model_validate(count) for count in counts],
        total=facts.total,
        suspects=facts.suspects,
        ours=facts.ours,
        breaker=web.breaker(),
        checks_overdue=facts.overdue,
        last_checked_at=facts.last_checked_at,
        sweep_began=facts.sweep.began,
        sweep_checked=facts.sweep.checked,
        sweep_planned=facts.sweep.planned,
        last_sweep_ended=facts.sweep.last_ended,
        write_halt_since=facts.halt.at if facts.halt else None,
        notices_held=facts.outbox.held,
        notices_failed=facts.outbox.failed,
        notices_pending=facts.outbox.pending,
    )
    return conditional_json(request, body)
