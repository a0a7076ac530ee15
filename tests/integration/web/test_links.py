"""Every link to the pages, from elsewhere and from one to another, leads to one that there is, on a real site."""

import html
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import pytest
from sqlalchemy import insert

from checks.report import WriteAlarm
from monitor.checking import write_halt_queries
from monitor.drift import EventKind
from monitor.notices.content.page_links import PageLinks
from monitor.store.database import Database
from monitor.store.tables import STATUS_CHANGE, TENANT
from monitor.web.auth.role import AccessRole
from monitor.web.templating import NAVIGATION
from tests.composer import ComposerHarness
from tests.installation import Clock
from tests.messages import messages_of_every_kind
from tests.notices import NOW
from tests.paths import ROOT
from tests.store import rows
from tests.website import website

CHART = ROOT / "helm" / "harvest-monitor"
ADDRESS = "https://monitor.vendor.example"


def of_emails() -> Iterator[str]:
    """Some messages have as many tenants as there is room for: enough to be cut off, and linked as a whole."""
    links = PageLinks(ADDRESS)
    for number in (1, 2, 30):
        for message in messages_of_every_kind("Acme", number):
            yield from (link.address.removeprefix(ADDRESS) for link in links.all_in(message))


def of_alerts() -> Iterator[str]:
    rules = "".join(path.read_text("utf-8") for path in (CHART / "alerts").glob("*.yaml"))
    yield from re.findall(r"# link: PUBLIC_URL(\S+)", rules)


def of_dashboard() -> Iterator[str]:
    panels = json.loads((CHART / "dashboards" / "page-links.json").read_text("utf-8"))
    yield from (panel["path"] for panel in panels.values())


def of_templates() -> Iterator[str]:
    """Those that are the same on every page."""
    yield from NAVIGATION.values()
    for template in (ROOT / "templates" / "web").glob("*.html"):
        text = template.read_text("utf-8")
        yield from re.findall(r'"(/[^"]*)"', "".join(re.findall(r"_tabs = (\{.*?\}) %", text)))
        yield from re.findall(r'\b(?:href|action)="(/[^"{]*)"', text)


def of_docs() -> Iterator[str]:
    """What docs/web.md and docs/on-call.md name; a tenant is any, and of a number there is none here."""
    table = (ROOT / "docs" / "web.md").read_text("utf-8").split("\n## ")[0]
    nights = (ROOT / "docs" / "on-call.md").read_text("utf-8")
    for path in re.findall(r"`(/[^`\s]*)`", table + nights):
        if "{number}" not in path:
            yield path.replace("{id}", "initech")


SOURCES = {
    "documentation": of_docs,
    "email": of_emails,
    "alert": of_alerts,
    "dashboard": of_dashboard,
    "template": of_templates,
}
ONLY_POSTED = {"/sign-out", "/sign-in/link", "/sessions/revoke", "/notices/confirm", "/writes/confirm"}
ONLY_ELSEWHERE = {"/style", "/sign-in/oidc"}
"""In the demo, and with a provider."""
TESTED_ALONE = {"/api/docs", "/api/openapi.json"}
"""They take a second to build."""


async def statuses_recorded(db: Database) -> None:
    """Without, there is nothing to report on."""
    found = [{"tenant_id": tenant["id"], "at": NOW, "status": "drifted"} for tenant in await rows(db, TENANT)]
    async with db.writing() as conn:
        await conn.execute(insert(STATUS_CHANGE), found)


async def test_every_link_leads_to_a_page(sqlite: Database, subtests: pytest.Subtests) -> None:
    """Whoever follows one from an email, an alert or the dashboard never meets 404, 405 or an error."""
    found = {source: {path for path in given() if path} for source, given in SOURCES.items()}
    assert all(found.values()), found
    tenants = {path.split("/")[2] for paths in found.values() for path in paths if path.startswith("/tenants/")}
    world = ComposerHarness(sqlite)
    for tenant in sorted(tenants):
        await world.add_tenant(tenant)
    await statuses_recorded(sqlite)
    async with website(sqlite, clock=Clock(NOW + timedelta(minutes=30))) as web:
        await web.signed_in()
        for source, paths in found.items():
            for path in sorted(paths - ONLY_POSTED - ONLY_ELSEWHERE - TESTED_ALONE):
                with subtests.test(source=source, path=path):
                    assert (await web.browser.get(path, follow_redirects=True)).status_code == 200


def kind_of(address: str) -> str:
    """Two links of one kind differ in their names and values only: /notices/7 and /notices/8."""
    parts = urlsplit(address)
    path = re.sub(r"^(/tenants|/notices|/bursts)/[^/]+", r"\1/0", parts.path)
    return f"{path}?{sorted(name for name, _ in parse_qsl(parts.query))}"


def links_of(answer: httpx.Response) -> list[str]:
    """Those to other pages of the site."""
    if "html" not in answer.headers["content-type"]:
        return []
    found = re.findall(r'\bhref="([^"#]+)', answer.text)
    return [link for each in found if (link := urljoin(answer.url.path, html.unescape(each))).startswith("/")]


async def test_no_page_has_a_link_that_leads_nowhere(sqlite: Database) -> None:
    """Followed from the overview, one link of each kind, with a wave, held emails and a halt to be seen."""
    world = ComposerHarness(sqlite)
    await world.burst(EventKind.LOST, 5)
    await world.run()
    async with sqlite.writing() as conn:
        await write_halt_queries.halt(conn, WriteAlarm("POST /v1/candidates", 201, NOW, "r", "1", "all"), "t0", 1)
    await statuses_recorded(sqlite)
    waiting, seen, broken = ["/"], {kind_of(path): path for path in ("/", *TESTED_ALONE)}, dict[str, int]()
    async with website(sqlite, clock=Clock(NOW + timedelta(minutes=30))) as web:
        await web.signed_in(AccessRole.OPERATOR)
        while waiting:
            answer = await web.browser.get(waiting.pop(), follow_redirects=True)
            if answer.status_code != 200:
                broken[str(answer.url)] = answer.status_code
            for link in links_of(answer):
                if seen.setdefault(kind_of(link), link) is link:
                    waiting.append(link)
    assert broken == {}
    assert len(seen) > 30
