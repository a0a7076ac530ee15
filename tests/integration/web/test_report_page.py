"""The compliance reports over real HTTP: pages, CSV and JSON."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest

from monitor.store.database import Database
from monitor.tenants.file import Declined
from tests.installation import Clock
from tests.reports import HOUR, MINUTE, T0, served
from tests.store import a_tenant, check, sync
from tests.website import Website, website

NOW = T0 + timedelta(days=20)  # 13 December 2026
TENANTS = 60
LOST = served({"jobs": "m"})


@pytest.fixture
async def site(sqlite: Database) -> AsyncIterator[Website]:
    """The pages of an installation at NOW, as a viewer sees them."""
    async with website(sqlite, clock=Clock(NOW), public_url="http://monitor.vendor.example") as found:
        await found.signed_in()
        yield found


@pytest.fixture
async def tenants(sqlite: Database) -> None:
    """60 that are well after an hour; the last one lost `jobs` for a day, and declines something."""
    refused = Declined("GET: offers", "ticket 7", date(2026, 10, 2), "dana")
    names = [f"Customer {number:02}" for number in range(TENANTS - 1)]
    last = a_tenant("last", name="=Umbra <Games>", declined=[refused])
    await sync(sqlite, *(a_tenant(name.replace(" ", "-"), name=name) for name in names), last)
    for credential_id in range(1, TENANTS + 1):
        await check(sqlite, served({"jobs": "g"}), T0 + HOUR, credential_id=credential_id)
    await check(sqlite, LOST, T0 + 5 * HOUR, credential_id=TENANTS)
    await check(sqlite, LOST, T0 + 5 * HOUR + MINUTE, credential_id=TENANTS)
    await check(sqlite, served({"jobs": "g"}), T0 + 29 * HOUR + MINUTE, credential_id=TENANTS)


async def get(site: Website, path: str) -> tuple[int, str]:
    answer = await site.browser.get(path)
    return answer.status_code, answer.text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.usefixtures("tenants")
async def test_the_finding_stands_on_top(site: Website) -> None:
    """The last full month, with the installation, the period and the moment in its head."""
    status, text = await get(site, "/report")
    assert status == 200
    heading = re.sub(r"\s+", " ", re.search(r"<h1.*?>(.*?)</h1>", text, re.S)[1])
    assert heading == (
        "In November 2026, 60 tenants had every required permission 99.78 % of the time. "
        "1 lost a permission or its credential; 1 loss was repaired, after 1 day."
    )
    assert "monitor.vendor.example · made 13 December 2026, 08:00 UTC" in text
    assert "Statuses are recorded since 23 November 2026, 08:00 UTC: nothing is said about the time before." in text
    assert len(text) < 60_000


@pytest.mark.usefixtures("tenants")
async def test_no_page_hides_that_there_is_more(site: Website) -> None:
    """The heading says which of how many; the pages together have every tenant once, the least share first."""
    first, second = [(await get(site, f"/report?page={number}"))[1] for number in (1, 2)]
    assert "1–50 of 60 tenants" in first
    assert "51–60 of 60 tenants" in second
    listed = re.findall(r'href="/tenants/([\w-]+)/report', first) + re.findall(r'href="/tenants/([\w-]+)/rep', second)
    assert listed[0] == "last"
    assert len(set(listed)) == len(listed) == TENANTS


@pytest.mark.usefixtures("tenants")
async def test_page_csv_and_json_say_the_same(site: Website) -> None:
    """All tenants are in both files; a name is no formula of a spreadsheet's."""
    rows = list(csv.DictReader(io.StringIO((await get(site, "/report.csv"))[1].lstrip("\ufeff"))))
    found = json.loads((await get(site, "/report.json"))[1])
    assert [row["tenant"] for row in rows] == [one["tenant"] for one in found["tenants"]]
    assert len(rows) == TENANTS
    assert (rows[0]["name"], found["tenants"][0]["name"]) == ("'=Umbra <Games>", "=Umbra <Games>")
    assert int(rows[0]["drifted_seconds"]) == found["tenants"][0]["seconds"]["drifted"] == 24 * 3600
    assert f"{found['share']:.4f}"[:6] == "0.9978"


@pytest.mark.usefixtures("tenants")
async def test_a_customer_reads_of_no_other(site: Website) -> None:
    """Its own losses with dates and lengths, what it declined, and a text to send."""
    status, text = await get(site, "/tenants/last/report?period=2026-11")
    assert status == 200
    assert "Customer" not in re.sub(r"<[^>]*>", "", text)
    assert "<bdi>=Umbra &lt;Games&gt;</bdi> had every required permission 86.88 % of the time in November 2026" in text
    for part in ("GET: jobs", "seen missing", "restored", "1 d", "GET: offers", "2 October 2026", "ticket 7"):
        assert part in text, part
    sent = re.search(r'<pre id="customer">(.*?)</pre>', text, re.S)[1]
    assert sent == (
        "In November 2026, our integration had every permission that it needs at =Umbra &lt;Games&gt; for 86.88 % of "
        "the time. It lost 1 permission. 1 loss was repaired, after 1 day."
    )
    found = json.loads((await get(site, "/tenants/last/report.json?period=2026-11"))[1])
    rows = list(csv.DictReader(io.StringIO((await get(site, "/tenants/last/report.csv?period=2026-11"))[1])))
    assert [one["seconds"] for one in found["loss_list"]] == [int(row["seconds"]) for row in rows] == [24 * 3600]


@pytest.mark.usefixtures("tenants")
async def test_what_cannot_be_reported_says_what_can(site: Website, subtests: pytest.Subtests) -> None:
    """A page with the next step, and the status of what is wrong; nothing of the address is repeated."""
    cases = {
        "?period=2026-13": (422, "Write a month such as 2026-11"),
        "?period=<b>": (422, "Write a month such as 2026-11"),
        "?period=2027-01": (422, "January 2027 has not begun"),
        "?period=2026-Q3": (422, "statuses are recorded since 23 November 2026"),
        "?page=0": (422, "Not usable in this address: page"),
        "?page=3": (404, "Begin with its first page"),
    }
    for query, (status, said) in cases.items():
        with subtests.test(query):
            found, text = await get(site, f"/report{query}")
            assert (found, said in text) == (status, True)
            assert "<b>" not in re.search(r"<main.*</main>", text, re.S)[0]
    for path in ("report", "report.csv", "report.json"):
        assert (await get(site, f"/tenants/nobody/{path}"))[0] == 404, path
        assert (await get(site, f"/tenants/last/{path}?period=2026-13"))[0] == 422, path


async def test_before_the_first_tenant_there_is_nothing_to_report(site: Website) -> None:
    """A page says what to do."""
    status, text = await get(site, "/report")
    assert (status, "Add one to the tenants file" in text) == (200, True)
    assert (await get(site, "/report.csv"))[0] == 404
