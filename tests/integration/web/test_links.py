"""Every link that leads to the pages from elsewhere leads to one that there is, on a real site."""

import json
import re
from collections.abc import Iterator

import pytest

from monitor.notices.content.page_links import PageLinks
from monitor.store.database import Database
from monitor.web.templating import NAVIGATION
from tests.composer import ComposerHarness
from tests.messages import messages_of_every_kind
from tests.paths import ROOT
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


SOURCES = {"email": of_emails, "alert": of_alerts, "dashboard": of_dashboard, "template": of_templates}
ONLY_POSTED = {"/sign-out", "/sign-in/link", "/sessions/revoke", "/notices/confirm", "/writes/confirm"}
ONLY_ELSEWHERE = {"/style", "/sign-in/oidc"}
"""In the demo, and with a provider."""


async def test_every_link_leads_to_a_page(sqlite: Database, subtests: pytest.Subtests) -> None:
    """Whoever follows one from an email, an alert or the dashboard never meets 404, 405 or an error."""
    found = {source: {path for path in given() if path} for source, given in SOURCES.items()}
    assert all(found.values()), found
    tenants = {path.removeprefix("/tenants/") for path in found["email"] if path.startswith("/tenants/")}
    world = ComposerHarness(sqlite)
    for tenant in sorted(tenants):
        await world.add_tenant(tenant)
    async with website(sqlite) as web:
        await web.signed_in()
        for source, paths in found.items():
            for path in sorted(paths - ONLY_POSTED - ONLY_ELSEWHERE):
                with subtests.test(source=source, path=path):
                    assert (await web.browser.get(path)).status_code == 200
