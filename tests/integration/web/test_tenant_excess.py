"""What a tenant's page says of a credential that may do more than the manifest asks for."""

import html
import re
from dataclasses import replace

from checks.catalogue.scopes import known
from checks.manifest import load
from checks.report import CheckReport, Excess, Finding, Verdict
from monitor.store.database import Database
from tests.installation import Clock
from tests.reports import MINUTE, T0, served
from tests.store import a_tenant, check, sync
from tests.website import website

OFFER = load("gem").permission("GET: Retrieve offer")
UNREFUSED = Finding(OFFER.id, OFFER.group, OFFER.label, Verdict.UNDECIDED, "V25", "no_refusal", OFFER.endpoint)


async def excess_shown(db: Database, report: CheckReport) -> str:
    await sync(db, a_tenant("acme"))
    await check(db, report, T0)
    async with website(db, clock=Clock(T0 + MINUTE)) as site:
        await site.signed_in()
        answer = await site.browser.get("/tenants/acme")
    assert answer.status_code == 200
    found = re.findall(r"<dt>Excess</dt><dd>(.*?)</dd>", answer.text, re.S)
    return " ".join(html.unescape(re.sub("<(?!/?details)[^>]+>", " ", "".join(found))).split())


async def test_what_is_certain_comes_first_and_doubt_is_told_as_doubt(sqlite: Database) -> None:
    """A list that was read, a control that passed, and that nothing at all was refused."""
    excess = (
        Excess("GET: Hiring Team", "GET /v1/jobs/{id}/hiring_team", certain=False),
        Excess("GET: List EEOC", "GET /v1/eeoc", certain=True),
    )
    assert await excess_shown(sqlite, replace(served({}), findings=(UNREFUSED,), excess=excess)) == (
        "1 more than the manifest asks for, for certain: GET: List EEOC "
        "1 more than the manifest asks for, likely: GET: Hiring Team "
        "Perhaps it holds every permission: nothing was refused, not even what the manifest does not ask for."
    )


async def test_many_scopes_are_folded_and_all_of_them_there(sqlite: Database) -> None:
    """A credential on which every scope is ticked: one line, which opens."""
    excess = tuple(Excess(scope.title, scope.name, certain=True) for scope in known().values())
    shown = await excess_shown(sqlite, replace(served({}), excess=excess))
    assert shown.startswith(f"<details> {len(excess)} more than the manifest asks for, for certain ")
    assert all(one.label in shown for one in excess)


async def test_without_excess_nothing_is_said_of_it(sqlite: Database) -> None:
    """Nor where something is undecided for another reason."""
    assert await excess_shown(sqlite, served({})) == ""
