"""Names come from files and forms that others write: on no page are they markup, and in no table a formula."""

import csv
import io
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import pytest

from monitor.store.database import Database
from monitor.store.tables import NOTICE, TENANT
from monitor.web.auth.role import AccessRole
from tests.integration.web.conftest import MARK
from tests.store import rows
from tests.web_routes import readable
from tests.website import OUR_OWN, Website, website

TURNS = "\u202e"
ALONE = frozenset({"bdi", "title", "textarea", "option", "pre"})
"""What a browser isolates from the text around it, or shows by itself."""
EMPTY = frozenset({"meta", "link", "input", "br", "use", "rect", "line", "path"})
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class Unisolated(HTMLParser):
    """Collects texts that hold the mark and that nothing isolates, and elements that only the mark can have made."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append("an img")
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if TURNS in data and not ALONE & set(self._open):
            self.found.append(f"{'/'.join(self._open[-4:])}: {data.strip()[:80]}")


@pytest.fixture
async def site(marked: Database) -> AsyncIterator[Website]:
    async with website(marked, operators=f"{MARK}lee@vendor.example") as site:
        site.browser.headers["User-Agent"] = MARK.replace(TURNS, "") + "browser"
        await site.signed_in(AccessRole.OPERATOR, name=f"{MARK}dana")
        yield site


async def pages(site: Website) -> AsyncIterator[tuple[str, str]]:
    paths = [route.path for route in readable(site.app) if not route.template.endswith((".csv", ".json"))]
    paths += [f"/tenants/{row['id']}{part}" for row in await rows(site.db, TENANT) for part in ("", "/report")]
    paths += [f"/notices/{row['id']}" for row in await rows(site.db, NOTICE)]
    paths += [f"/notices?status={status}" for status in ("held", "failed", "dropped", "sent")]
    paths += ["/?status=any", "/?status=failing", "/notices?done=4&asked=1", "/tenants/lone?days=7&all_evidence=true"]
    for path in paths:
        answer = await site.browser.get(path)
        if answer.headers["content-type"].startswith("text/html") and not path.endswith("/html"):
            yield path, answer.text


async def test_no_name_is_markup_or_turns_the_page_around(site: Website, subtests: pytest.Subtests) -> None:
    """Names of tenants, people, credentials, permissions and groups, reasons, subjects, errors, browsers: escaped, and
    isolated from the text around them."""
    seen = 0
    async for path, page in pages(site):
        with subtests.test(path):
            seen += MARK.partition("<")[0] + "&lt;img" in page
            assert Unisolated(page).found == []
    assert seen > 60


async def test_no_name_is_markup_for_whoever_decides(site: Website) -> None:
    """On the pages between a form and its act, and for a viewer, who is told whom to ask."""
    held = [row["id"] for row in await rows(site.db, NOTICE) if row["status"] == "held"][:1]
    forms = {
        "/notices/confirm": {"do": "release", "which": "chosen", "n": str(held[0]), "reason": f"{MARK}because"},
        "/writes/confirm": {"numbers": "1 2", "reason": f"{MARK}because"},
    }
    for path, form in forms.items():
        page = (await site.browser.post(path, data=form, headers=OUR_OWN)).text
        assert "&lt;img" in page, path
        assert Unisolated(page).found == [], path
    await site.signed_in(AccessRole.VIEWER, name=f"{MARK}dana")
    async for path, page in pages(site):
        assert Unisolated(page).found == [], path


async def test_no_cell_is_a_formula(site: Website, subtests: pytest.Subtests) -> None:
    """In each table as a file, for spreadsheets; and each row has as many cells as the header."""
    marked = 0
    for route in readable(site.app):
        if not route.template.endswith(".csv"):
            continue
        with subtests.test(str(route)):
            text = (await site.browser.get(route.path)).text
            header, *table = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
            assert {len(row) for row in table} <= {len(header)}
            cells = [cell for row in table for cell in row]
            assert [cell for cell in cells if cell.startswith(FORMULAS)] == []
            marked += any("<img" in cell for cell in cells)
    assert marked >= 8
