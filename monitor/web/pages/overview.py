"""`/`: is the service well, what changed, and every tenant, worst first."""

from dataclasses import replace

from fastapi import APIRouter, Depends, Request, Response

from checks.credential import CredentialKind
from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.status import PRESENT, TenantStatus
from monitor.reporting import service_queries, tenant_list_queries
from monitor.reporting.burst_page import told_words
from monitor.reporting.change_sentence import MANY
from monitor.reporting.headline import ServiceFacts, headline
from monitor.reporting.service_queries import DAY
from monitor.reporting.tenant_list import Shown, TenantFilter
from monitor.web.auth.identity import viewer
from monitor.web.change_rows import change_rows
from monitor.web.context import context, reading_facts
from monitor.web.lists.tenants import TENANTS
from monitor.web.paging import Cursor
from monitor.web.templating import as_files, page, with_query
from monitor.web.tenant_query import STATUSES, WantedTenants

PAGE_SIZE = 50
CHANGES_SHOWN = 8

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@router.get("/")
async def overview(request: Request, asked: WantedTenants, after: Cursor = None) -> Response:
    web = context(request)
    # The page begins with those that need attention; data, with all.
    is_default = request.query_params.get("status") not in STATUSES
    wanted = replace(asked, status=Shown.ATTENTION) if is_default else asked
    async with reading_facts(request) as conn:
        now = request.state.now
        facts = await web.facts(conn, now)
        request.state.held = facts.outbox.held
        held = (
            await web.bursts.recent(conn, facts.held, web.settings.background_alike / 100, now) if facts.held else None
        )
        counts = await service_queries.counts_since(conn, facts.tenants, now - DAY)
        changes = await change_rows(conn, WantedChanges(since=now - DAY), CHANGES_SHOWN)
        listed = _folded(wanted, facts) if is_default else wanted
        rows = await tenant_list_queries.page(conn, listed, PAGE_SIZE + 1, TENANTS.keyset.position(after))
        is_whole = after is None and len(rows) <= PAGE_SIZE
        number = len(rows) if is_whole else await tenant_list_queries.count(conn, listed)
        folded = _attention(facts) - number if listed.folded else 0
    shown, more = rows[:PAGE_SIZE], rows[PAGE_SIZE:]
    return page(
        request,
        "overview.html",
        section="Overview",
        facts=facts,
        said=headline(facts),
        held_burst=held,
        told_words=told_words(held.told) if held else "",
        counts=counts,
        changes=changes,
        rows=shown,
        total=number + folded,
        folded=folded,
        wanted=wanted,
        statuses=(Shown.ATTENTION, Shown.ANY, *PRESENT),
        kinds=tuple(CredentialKind),
        manifest=web.registry().manifest(None),
        first=with_query(request, after=None) if after else None,
        older=with_query(request, after=TENANTS.keyset.cursor(shown[-1].place)) if more else None,
        page_size=PAGE_SIZE,
        **as_files(request, "/tenants", status=wanted.status),
    )


def _folded(wanted: TenantFilter, facts: ServiceFacts) -> TenantFilter:
    """The tenants of a held change are one row: one by one they would be the whole first page."""
    held = facts.held
    is_wave = wanted.is_open and held is not None and held.tenants >= MANY
    return replace(wanted, folded=held.id) if held is not None and is_wave else wanted


def _attention(facts: ServiceFacts) -> int:
    return sum(number for status, number in facts.tenants.items() if status.severity < TenantStatus.HEALTHY.severity)
