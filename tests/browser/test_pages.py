"""Every page in a browser: what each must be, in every width and colour scheme, with and without script."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from sqlalchemy import select

from monitor.notices.notice import Status
from monitor.store.burst_tables import BURST
from monitor.store.tables import NOTICE
from monitor.web.auth.role import AccessRole
from tests.browser.reader import NARROWEST, PHONE, WIDE, Reader, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOKS = ((WIDE, "light"), (WIDE, "dark"), (PHONE, "light"))
"""Where axe looks. What it asks of colours takes it longer than all else, and a phone shows the same colours."""
COLOURS_ONLY = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
REPEATED = (
    "tbody tr:nth-child(n+6)",
    ".matrix > li:nth-child(n+9)",
    "#main > .side:nth-of-type(n+6)",
    "#main > ol li:nth-child(n+6)",
)
"""Rows like those above them."""
PAGES = (
    "/", "/?q=nobody+at+all", "/history", "/incidents", "/permissions", "/notices", "/notices?status=failed", "/report",
    "/sweeps", "/writes", "/operators", "/sessions", "/api/docs", "/tenants/initech", "/tenants/initech/report",
    "/tenants/globex", "/tenants/redleaf", "/tenants/tyrell",
)  # fmt: skip
VARIANTS = (
    "/?status=any", "/?q=tyrell&status=any&tz=utc", "/history?tenant=nobody", "/history?kind=lost&tenant=ledger",
    "/incidents?open=true", "/notices?status=dropped", "/notices?tenant=nobody", "/operators?q=nothing",
    "/tenants/initech?days=365", "/tenants/initech?all_evidence=true", "/tenants/quartzline", "/tenants/umbrella",
    "/tenants/newfound", "/tenants/wonka", "/tenants/oldfield", "/tenants/ledger", "/tenants/alnoor", "/tenants/donau",
    "/tenants/aldgate",
)  # fmt: skip
"""The same pages with other rows, which axe need not see as well."""
EMPTY = (
    "/", "/history", "/incidents", "/permissions", "/notices", "/report", "/sweeps", "/writes", "/operators",
)  # fmt: skip
REFUSED = {"/nowhere": 404, "/tenants/nobody": 404, "/notices/999999": 404, "/history?since=yesterday": 422}


async def numbered(site: Site) -> list[str]:
    """The pages whose addresses have a number: the burst of many, and an email of each status that there is."""
    async with site.web.db.reading() as conn:
        burst = (await conn.execute(select(BURST.c.id).order_by(BURST.c.tenants.desc()).limit(1))).scalar_one()
        notices = [
            (await conn.execute(select(NOTICE.c.id).where(NOTICE.c.status == status).limit(1))).scalar_one()
            for status in (Status.HELD, Status.FAILED, Status.SENT)
        ]
    return [f"/bursts/{burst}", *(f"/notices/{number}" for number in notices)]


async def problems(reader: Reader, paths: Iterable[str], looks: Sequence[tuple[int, str]] = LOOKS) -> list[str]:
    found: list[str] = []
    for path in paths:
        answered = await reader.open(path)
        if answered != REFUSED.get(path, 200):
            found.append(f"{path}: answered {answered}")
        found += [f"{path}: {problem}" for problem in await problems_of_page(reader, looks)]
    return found + [f"said {said}" for said in reader.complaints] + [f"asked {url}" for url in reader.elsewhere]


async def problems_of_page(reader: Reader, looks: Sequence[tuple[int, str]]) -> list[str]:
    found = []
    if (headings := await reader.page.locator("h1").count()) != 1:
        found.append(f"{headings} h1")
    for width in (WIDE, PHONE, NARROWEST):
        await reader.resize(width)
        if (wider := await reader.sideways()) > 0:
            found.append(f"at {width} the page is {wider} pixels too wide")
        schemes = [scheme for at, scheme in looks if at == width]
        for number, scheme in enumerate(schemes):
            await reader.page.emulate_media(color_scheme=scheme)
            rules = COLOURS_ONLY if number else {}
            found += [f"at {width}, {scheme}: {finding}" for finding in await axe(reader, rules)]
    return found


async def axe(reader: Reader, rules: Mapping[str, Any]) -> list[str]:
    context = json.dumps({"include": [["html"]], "exclude": [[one] for one in REPEATED]})
    await reader.page.evaluate(AXE_SCRIPT)
    options = json.dumps({"resultTypes": ["violations"], **rules})
    results = await reader.page.evaluate(f"axe.run({context}, {options})")
    return [
        f"axe: {one['id']} ({one['impact']}) at {[node['target'] for node in one['nodes'][:3]]}"
        for one in results["violations"]
    ]


async def test_every_page_is_sound(site: Site) -> None:
    """One h1, no finding of axe, no scrolling sideways, nothing in the console, no request to anywhere else."""
    paths = [*PAGES, *await numbered(site), *REFUSED]
    async with site.reader() as one, site.reader() as another:
        found = await asyncio.gather(problems(one, paths[::2]), problems(another, paths[1::2]))
    assert [*found[0], *found[1]] == []


async def test_every_page_is_sound_without_script(site: Site) -> None:
    """It is the same page; for a viewer, too, and with other rows."""
    async with site.reader(AccessRole.VIEWER, java_script_enabled=False) as reader:
        assert await problems(reader, [*PAGES, *VARIANTS, *await numbered(site), *REFUSED], looks=()) == []


async def test_pages_without_a_tenant_are_sound(empty_site: Site) -> None:
    """Each says what is not there yet."""
    async with empty_site.reader() as reader:
        assert await problems(reader, EMPTY, looks=((WIDE, "light"), (PHONE, "dark"))) == []
        await reader.open("/")
        assert "No tenant yet. Add one to the tenants file" in await reader.main()


async def test_pages_before_signing_in_are_sound(empty_site: Site) -> None:
    """The page that asks to sign in, with the page that one wanted, and the page of a link."""
    async with empty_site.reader(None) as reader:
        link = await empty_site.web.link()
        assert await problems(reader, ("/sign-in", "/tenants/initech?days=7", link)) == []


async def test_the_frame_is_the_same_on_every_page(site: Site) -> None:
    """It counts the held emails, and marks the section that the page belongs to."""
    async with site.reader(java_script_enabled=False) as reader:
        for path in [*PAGES, *await numbered(site)]:
            await reader.open(path)
            assert "41 held" in await reader.page.locator(".bar nav").inner_text(), path
            current = await reader.page.locator(".bar [aria-current]").count()
            assert current == (path != "/api/docs"), path


async def test_no_page_is_large(site: Site) -> None:
    """Also that of a tenant with five thousand changes; the API's is all that there is to say."""
    async with site.reader(java_script_enabled=False) as reader:
        for path in [*PAGES, *VARIANTS, *await numbered(site)]:
            answer = await reader.page.request.get(path)
            assert len(await answer.body()) < (110_000 if path == "/api/docs" else 90_000), path


async def test_a_check_is_offered_only_where_one_can_be_made(site: Site) -> None:
    """Not for a tenant that is paused, was removed or has nothing to check with."""
    async with site.reader() as reader:
        for tenant, offered in (("initech", 1), ("newfound", 1), ("umbrella", 0), ("oldfield", 0), ("wonka", 0)):
            await reader.open(f"/tenants/{tenant}")
            assert await reader.page.get_by_role("button", name="Check now").count() == offered, tenant
