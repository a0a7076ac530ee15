"""The evidence on a tenant's page."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import update

from checks.manifest import load
from checks.report import CheckReport, Finding, Verdict
from monitor.store.database import Database
from monitor.store.tables import PERMISSION_STATE
from tests.installation import Clock
from tests.reports import MINUTE, T0, served
from tests.store import a_tenant, check, sync
from tests.website import Website, website

GEM = {p.id: p for p in load("gem").permissions}
CONTROL = "GET /v1/approval_flows/{id}"
MOST_BYTES = 60_000


def finding(id_: str, verdict: Verdict, rule: str, reason: str, status: int | None, *evidence: str) -> Finding:
    of = GEM[id_]
    return Finding(
        id_, of.group, of.label, verdict, rule, reason, of.endpoint, answered_status=status, evidence=evidence
    )


def report(*findings: Finding) -> CheckReport:
    return replace(served({}), findings=findings)


BY_ENDPOINT = {p.endpoint: p.id for p in GEM.values()}
JOB, OFFER = BY_ENDPOINT["GET /v1/jobs/{id}"], BY_ENDPOINT["GET /v1/offers/{id}"]
USERS, JOBS = BY_ENDPOINT["GET /v1/users"], BY_ENDPOINT["GET /v1/jobs"]
FOUND = report(
    finding(USERS, Verdict.MISSING, "V18", "refused", 403),
    finding(JOB, Verdict.GRANTED, "V22", "past_permission_check", 404, CONTROL, "GET /v1/offers/{id}"),
    finding(OFFER, Verdict.UNDECIDED, "V25", "no_refusal", 404, CONTROL),
    finding(JOBS, Verdict.UNDECIDED, "V12", "deadline", None),
)


@asynccontextmanager
async def page_of(db: Database) -> AsyncIterator[Website]:
    async with website(db, clock=Clock(T0 + 2 * MINUTE)) as site:
        await site.signed_in()
        yield site


async def parts(site: Website) -> list[str]:
    """The parts of the table: what is said of some permissions, then each with its answer; as plain text."""
    answer = await site.browser.get("/tenants/acme?all_evidence=true")
    assert answer.status_code == 200
    (table,) = re.findall(r'<table class="evidence">(.*?)</table>', answer.text, re.S)
    return [" ".join(html.unescape(re.sub("<[^>]+>", " ", each)).split()) for each in table.split("<tbody>")[1:]]


@pytest.fixture
async def checked(sqlite: Database) -> Database:
    await sync(sqlite, a_tenant("acme"))
    for at in (T0, T0 + MINUTE):
        await check(sqlite, FOUND, at)
    return sqlite


async def test_each_verdict_shows_its_answer_its_rule_what_vouched_and_when(checked: Database) -> None:
    """The worst first; a rule by its sentence, a control as Greenhouse labels and documents it. A missing permission
    shows the check that confirmed it.
    """
    async with page_of(checked) as site:
        missing, *_, granted = await parts(site)
    assert missing == (
        "missing since 08:00 . The answer is 401 or 403 with the permission text, each time it was asked. "
        f"seen 08:01 , rule V18 {GEM[USERS].label} 403 to GET /v1/users"
    )
    assert granted.startswith(
        "granted since 08:00 . The answer lies past the permission check, and controls of the cell"
    )
    assert granted.endswith(
        f"2 other answers GET: Retrieve Approval Flow {CONTROL} {GEM[OFFER].label} GET /v1/offers/{{id}} "
        f"seen 08:00 , rule V22 {GEM[JOB].label} 404 to GET /v1/jobs/{{id}}"
    )


async def test_each_undecided_says_why_and_what_would_decide_it(checked: Database) -> None:
    """In plain words, without a code; where nothing was answered no answer is shown."""
    async with page_of(checked) as site:
        undecided = sorted((await parts(site))[1:3])
    assert undecided == sorted(
        [
            "undecided since 08:00 . Nothing shows that the permission comes before what gave this answer: perhaps the "
            "key has them all. It is decided by a refusal: ask the customer to untick a permission that the manifest "
            f"does not name. 1 other answer GET: Retrieve Approval Flow {CONTROL} seen 08:00 "
            f"{GEM[OFFER].label} 404 to GET /v1/offers/{{id}}",
            "undecided since 08:00 . The time for the check ran out. It is decided by more time: the next check asks "
            f"again; if it never suffices, raise HARVEST_MONITOR_DEADLINE. seen 08:00 {GEM[JOBS].label}",
        ]
    )


async def test_what_an_earlier_release_decided_says_so(checked: Database) -> None:
    """Its rule is known, and nothing else."""
    async with checked.writing() as conn:
        none = dict.fromkeys(("answered_status", "evidence", "more_evidence", "evidence_at"))
        await conn.execute(update(PERMISSION_STATE).values(none))
    async with page_of(checked) as site:
        found = await parts(site)
    decided = [each for each in found if "decided before evidence was kept" in each]
    never_checked = [each for each in found if each.startswith("new . Not checked yet.")]
    assert (len(decided), len(never_checked), len(found)) == (4, 1, 5)
    assert found[0].endswith(f"decided before evidence was kept, rule V18 {GEM[USERS].label}")


async def test_the_page_with_all_evidence_stays_small(sqlite: Database) -> None:
    """All 65 permissions, half of them missing, each of the others with as much evidence as is kept."""
    controls = [f"GET /v1/candidates/{{id}}/of_some_length/{number}" for number in range(6)]
    half = [
        finding(id_, Verdict.MISSING, "V18", "refused", 403)
        if number % 2
        else finding(id_, Verdict.GRANTED, "V22", "past_permission_check", 404, *controls[number % 3 :])
        for number, id_ in enumerate(GEM)
    ]
    await sync(sqlite, a_tenant("acme", features=["eeoc"]))
    for at in (T0, T0 + MINUTE):
        await check(sqlite, report(*half), at)
    async with page_of(sqlite) as site:
        answer = await site.browser.get("/tenants/acme?all_evidence=true")
    assert len(re.findall('<th scope="row">', answer.text)) >= len(half) == 65
    assert len(answer.content) < MOST_BYTES
