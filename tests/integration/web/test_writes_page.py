"""`/writes` over real HTTP: halts in force and lifted, and the act that lets write probes go out again."""

from datetime import timedelta

import pytest

from checks.report import WriteAlarm
from monitor.checking import write_halt_queries
from monitor.store.database import Database
from monitor.store.tables import OPERATOR_ACTION, WRITE_HALT
from monitor.web.auth.role import AccessRole
from tests.composer import ComposerHarness
from tests.integration.web.test_notice_pages import site, statements, text
from tests.notices import NOW
from tests.store import rows
from tests.website import OUR_OWN, hidden_fields


async def halt(db: Database, status: int = 201, stops: str = "all", minutes: int = 0) -> None:
    alarm = WriteAlarm("POST /v1/candidates", status, NOW + timedelta(minutes=minutes), "req-8f1e", "4711", stops)
    async with db.writing() as conn:
        await write_halt_queries.halt(conn, alarm, "acme", 1)


@pytest.fixture
async def halted(sqlite: Database) -> Database:
    """One halt, number 1, by the tenant acme."""
    await ComposerHarness(sqlite).add_tenant("acme", name="Acme <b>Corp</b>")
    await halt(sqlite)
    return sqlite


async def test_a_halt_is_shown_with_what_it_means(halted: Database) -> None:
    """Endpoint, answer, time, tenant, request id, record id; and the same as JSON."""
    async with site(halted) as web:
        with statements(halted) as seen:
            page = (await web.browser.get("/writes")).text
        assert len(seen) <= 8
        said = text(page)
        assert "Stopped since 14:05 : a write probe was answered 201 for Acme &lt;b&gt;Corp&lt;/b&gt; ." in said
        assert "So none is sent, for any tenant" in said
        assert "14:05 201 Acme &lt;b&gt;Corp&lt;/b&gt; req-8f1e 4711 in force" in said
        data = (await web.browser.get("/writes.json", follow_redirects=True)).json()
        table = (await web.browser.get("/writes.csv")).text.splitlines()
    assert [(one["id"], one["record_id"], one["lifted_at"]) for one in data["items"]] == [(1, "4711", None)]
    assert (table[1].startswith("1,2026-11-23T14:05:00Z,all,POST /v1/candidates,201,"), len(table)) == (True, 2)


async def test_writes_resume_after_a_confirmation(halted: Database) -> None:
    """A reason is required; the page then says who lifted it, and why."""
    async with site(halted) as web:
        form = hidden_fields((await web.browser.get("/writes")).text)
        for reason in ("", "x" * 501):
            asked = await web.browser.post("/writes/confirm", data=form | {"reason": reason}, headers=OUR_OWN)
            assert asked.status_code == 422, reason
            refused = await web.browser.post("/writes/resume", data=form | {"reason": reason}, headers=OUR_OWN)
            assert refused.status_code == 422, reason
        again = hidden_fields(asked.text) | {"reason": "ticket 12"}
        page = (await web.browser.post("/writes/confirm", data=again, headers=OUR_OWN)).text
        assert "Let write probes go out again?" in text(page)
        assert "POST /v1/candidates was answered 201, record 4711" in text(page)
        assert (await rows(halted, WRITE_HALT))[0]["lifted_at"] is None
        done = await web.browser.post("/writes/resume", data=hidden_fields(page), headers=OUR_OWN)
        assert (done.status_code, done.headers["Location"]) == (303, "/writes")
        said = text((await web.browser.get("/writes")).text)
        assert "No halt is in force. Lifted by dana 14:35 (“ ticket 12 ”)." in said.replace(" (", " (")
    assert [row["reason"] for row in await rows(halted, OPERATOR_ACTION) if row["action"] == "writes resume"] == [
        "ticket 12"
    ]


async def test_a_halt_that_came_meanwhile_stays_in_force(halted: Database) -> None:
    """Only what was shown is lifted; the confirmation tells of the new one."""
    async with site(halted) as web:
        form = hidden_fields((await web.browser.get("/writes")).text) | {"reason": "ticket 12"}
        await halt(halted, 422, "without_id", minutes=5)
        page = (await web.browser.post("/writes/confirm", data=form, headers=OUR_OWN)).text
        assert "1 halt came since then: not part of this, and still in force." in text(page)
        await web.browser.post("/writes/resume", data=hidden_fields(page), headers=OUR_OWN)
        assert "So none without an id in its path is sent" in text((await web.browser.get("/writes")).text)
    assert [row["lifted_at"] is None for row in await rows(halted, WRITE_HALT)] == [False, True]


async def test_the_second_operator_is_told_who_resumed(halted: Database) -> None:
    """Nothing is lifted twice."""
    async with site(halted) as web, site(halted, name="lee") as other:
        form = hidden_fields((await web.browser.get("/writes")).text) | {"reason": "ticket 12"}
        await web.browser.post("/writes/resume", data=form, headers=OUR_OWN)
        for path in ("/writes/confirm", "/writes/resume"):
            answer = await other.browser.post(path, data=form, headers=OUR_OWN)
            assert answer.status_code == 409, path
            assert "Lifted by dana 14:35 (“ ticket 12 ”)." in text(answer.text), path


async def test_a_viewer_reads_and_does_not_resume(halted: Database) -> None:
    """In the place of the form stands who may."""
    async with site(halted, AccessRole.VIEWER) as web:
        page = (await web.browser.get("/writes")).text
        assert "Operators let write probes go out again" in text(page)
        assert "<form" not in page.partition("<main")[2]
        for path in ("/writes/confirm", "/writes/resume"):
            answer = await web.browser.post(path, data={"numbers": "1", "reason": "x"}, headers=OUR_OWN)
            assert answer.status_code == 403, path
    assert (await rows(halted, WRITE_HALT))[0]["lifted_at"] is None


async def test_without_halts_the_page_says_so(database: Database) -> None:
    """On both databases; altered forms and places of the list are no errors of ours."""
    async with site(database) as web:
        assert "No write probe was ever halted." in text((await web.browser.get("/writes")).text)
        assert (await web.browser.get("/api/v1/writes")).json() == {"items": [], "next": None}
        for before in ("0", "x", str(2**31), str(2**63)):
            assert (await web.browser.get(f"/writes?before={before}")).status_code == 422, before
        assert (await web.browser.get(f"/writes?before={2**31 - 1}")).status_code == 200
        for numbers, status in (("x", 422), ("1-99999999", 422), ("", 409), (str(2**31 - 1), 409), (str(2**31), 422)):
            form = {"numbers": numbers, "reason": "x"}
            answer = await web.browser.post("/writes/confirm", data=form, headers=OUR_OWN)
            assert answer.status_code == status, numbers
