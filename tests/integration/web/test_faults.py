"""What goes wrong around a page while somebody reads it: the database, another operator, a reload, a wrong clock."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL, insert, make_url
from structlog.testing import capture_logs

from monitor.store.database import Database
from monitor.store.tables import DRIFT_EVENT
from monitor.web.auth.role import AccessRole
from tests.bursts import group_all
from tests.history import an_event
from tests.installation import START, Clock
from tests.postgres import running_postgres
from tests.store import a_tenant, sync
from tests.web_routes import readable
from tests.website import OUR_OWN, Website, hidden_fields, website

PAGES = ("/", "/tenants/lone", "/history", "/notices", "/permissions", "/report", "/tenants.csv", "/api/v1/status")


async def assert_away(site: Website) -> None:
    """Everything says so within seconds, and nothing that the driver said; what needs no database answers."""
    with capture_logs() as logged:
        for path in (*PAGES, "/api/v1/tenants", "/api/v1/history"):
            answer = await site.browser.get(path)
            assert answer.status_code == 503, path
            if path.startswith("/api/"):
                assert answer.json()["error"]["code"] == "database_unavailable"
                assert int(answer.headers["Retry-After"]) > 0
            else:
                assert "database does not answer" in answer.text, path
            assert not re.search(r"sqlite|psycopg|Traceback|127\.0\.0\.1", answer.text), path
        act = await site.browser.post("/tenants/lone/recheck", headers=OUR_OWN)
        assert act.status_code == 503
    assert {line["event"] for line in logged} == {"page_without_database"}
    for path in ("/healthz", "/metrics", "/sign-in"):
        assert (await site.browser.get(path)).status_code == 200, path
    assert (await site.browser.get("/readyz")).status_code == 503


async def assert_back(site: Website) -> None:
    for path in (*PAGES, "/readyz"):
        assert (await site.browser.get(path)).status_code == 200, path


async def test_a_sqlite_file_that_goes_away_is_said_and_found_again(filled: Database) -> None:
    """Moved away with what belongs to it, and back: the same process recovers, and people are still signed in."""
    folder = Path(filled.url.database or "").parent
    away = folder / "away"
    away.mkdir()
    async with website(filled) as site:
        await site.signed_in(AccessRole.OPERATOR)
        await assert_back(site)
        await filled.close()  # connections are opened anew, as after a while
        moved = [file.rename(away / file.name) for file in folder.glob("filled.sqlite3*")]
        await assert_away(site)
        await filled.close()
        for file in (*folder.glob("filled.sqlite3*"), *moved):
            file.unlink() if file.parent == folder else file.rename(folder / file.name)
        await assert_back(site)


async def test_a_postgres_that_stops_is_said_and_found_again(postgres_server: URL) -> None:
    """A real server of its own is stopped under open connections, and started again."""
    with running_postgres() as server:  # it can be started here, or the fixture had skipped this
        db = Database(make_url(server.address))
        await db.migrate()
        await sync(db, a_tenant("lone"), now=START - timedelta(days=1))
        async with website(db) as site:
            await site.signed_in(AccessRole.OPERATOR)
            await assert_back(site)
            await asyncio.to_thread(server.stop)
            await assert_away(site)
            await asyncio.to_thread(server.start)
            await assert_back(site)
        await db.close()


async def test_a_tenant_that_is_removed_while_its_page_is_open(filled: Database) -> None:
    """Its page shows what was, as removed; a check of it is refused with the reason, by page and API."""
    async with website(filled) as site:
        await site.signed_in(AccessRole.OPERATOR)
        for path in ("/tenants/leaver", "/tenants/leaver/report"):
            answer = await site.browser.get(path)
            assert answer.status_code == 200
        assert "removed" in (await site.browser.get("/tenants/leaver")).text
        asked = await site.browser.post("/tenants/leaver/recheck", headers=OUR_OWN)
        assert asked.status_code == 404
        assert "no longer in the tenants file" in asked.text
        call = await site.browser.post("/api/v1/tenants/leaver/recheck", json={}, headers=OUR_OWN)
        assert (call.status_code, call.json()["error"]["code"]) == (404, "recheck_removed")
        assert (await site.browser.get("/api/v1/tenants/leaver")).status_code == 404


async def test_an_unknown_tenant_is_not_found(filled: Database) -> None:
    """On each page about one, whatever the id is."""
    async with website(filled) as site:
        await site.signed_in(AccessRole.OPERATOR)
        templates = [route for route in readable(site.app) if "tenant_id" in route.in_path]
        assert len(templates) >= 5
        for route in templates:
            for id_ in ("nobody", "LONE", "lone ", "\u202elone", "x" * 190, "lone;drop", "é", "%", "🦊"):
                answer = await site.browser.get(route.path_with(tenant_id=id_))
                assert answer.status_code == 404, (str(route), id_)
        for path in ("/tenants/nobody/recheck", "/api/v1/tenants/nobody/recheck"):
            assert (await site.browser.post(path, json={}, headers=OUR_OWN)).status_code == 404


async def test_the_second_of_two_operators_is_told(filled: Database) -> None:
    """Both open the same held email; whoever is slower reads who did what, and nothing is done twice."""
    async with website(filled) as site:
        await site.signed_in(AccessRole.OPERATOR, "dana")
        async with site.another_browser() as other:
            link = await site.link(AccessRole.OPERATOR, "lee")
            form = {"link": link.rsplit("/", 1)[1], "to": "/"}
            await other.post("/sign-in/link", data=form, headers=OUR_OWN)
            held = (await site.browser.get("/api/v1/notices?status=held")).json()["items"][0]["id"]
            chosen = {"do": "release", "which": "chosen", "n": str(held), "reason": "ticket 9"}
            pages = [await one.post("/notices/confirm", data=chosen, headers=OUR_OWN) for one in (site.browser, other)]
            acts = [
                await one.post("/notices/act", data=hidden_fields(page.text), headers=OUR_OWN)
                for one, page in zip((site.browser, other), pages, strict=True)
            ]
            assert [act.status_code for act in acts] == [303, 409]
            assert "<bdi>dana</bdi>" in acts[1].text
            call = {"notices": [held], "reason": "ticket 9"}
            answer = await other.post("/api/v1/notices/release", json=call, headers=OUR_OWN)
            assert answer.json() == {"changed": [], "unchanged": [held]}


async def test_a_session_that_ends_in_mid_form_loses_nothing(filled: Database) -> None:
    """On the real form: the page that is shown instead has every field, and does it once somebody is signed in."""
    async with website(filled, clock=Clock(START)) as site:
        await site.signed_in(AccessRole.OPERATOR)
        held = (await site.browser.get("/api/v1/notices?status=held")).json()["items"][0]["id"]
        chosen = {"do": "drop", "which": "chosen", "n": str(held), "reason": 'not <b>now</b> & "never"'}
        site.clock.forward(days=8)
        kept = await site.browser.post("/notices/confirm", data=chosen, headers=OUR_OWN)
        assert kept.status_code == 401
        fields = hidden_fields(kept.text)
        assert fields == chosen
        await site.signed_in(AccessRole.OPERATOR)
        confirm = await site.browser.post("/notices/confirm", data=fields, headers=OUR_OWN)
        act = await site.browser.post("/notices/act", data=hidden_fields(confirm.text), headers=OUR_OWN)
        assert act.status_code == 303
        listed = (await site.browser.get(f"/notices/{held}")).text
        assert "not &lt;b&gt;now&lt;/b&gt; &amp; &#34;never&#34;" in listed


async def test_a_wrong_clock_shows_nothing_negative(filled: Database, subtests: pytest.Subtests) -> None:
    """The service's clock was ahead when it wrote, and is right now: no length of time is below zero."""
    async with website(filled, clock=Clock(START - timedelta(hours=3))) as site:
        await site.signed_in(AccessRole.OPERATOR)
        for route in readable(site.app):
            if route.template.endswith((".csv", ".json")) or route.path.startswith("/api/"):
                continue
            with subtests.test(str(route)):
                answer = await site.browser.get(route.path)
                assert answer.status_code == 200
                said = re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])
                assert re.findall(r"(?<![\w.,–-])-\d+\b(?! in 24 h)[^\n]{0,20}", said) == []


async def test_what_the_reader_sends_of_time_changes_nothing(filled: Database) -> None:
    """Moments are the service's: a Date, a zone or a moment in the address moves none of them."""
    async with website(filled) as site:
        await site.signed_in(AccessRole.OPERATOR)
        plain = (await site.browser.get("/history")).text
        odd = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT", "Time-Zone": "Pacific/Kiritimati"}
        assert (await site.browser.get("/history", headers=odd)).text == plain
        for asked_at in ("1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2026-11-23T12:00:00"):
            page = await site.browser.get(f"/tenants/lone?asked_at={asked_at}")
            assert page.status_code == 200
            assert "-1 " not in page.text


async def test_dates_in_the_wrong_order_and_altered_cursors_are_refused(filled: Database) -> None:
    """4xx with what to do, on the page, in the files and in the API."""
    async with website(filled) as site:
        await site.signed_in()
        for path in ("/history", "/history.csv", "/bursts.csv", "/api/v1/history", "/api/v1/bursts"):
            answer = await site.browser.get(f"{path}?since=2026-11-30&until=2026-11-01")
            assert answer.status_code == 422, path
            assert "since lies after until" in answer.text, path
        cursor = (await site.browser.get("/api/v1/history?limit=2")).json()["next"]
        for altered in (cursor[:-2], f"{cursor}A", cursor[:-1] + "_", cursor.swapcase(), "A" * 900, "\u202e", "é", "."):
            answer = await site.browser.get("/api/v1/history", params={"cursor": altered})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_cursor"), altered
            for page, name in (("/", "after"), ("/history", "after"), ("/notices", "after")):
                answer = await site.browser.get(page, params={name: altered})
                assert answer.status_code == 400, (page, altered)
        assert (await site.browser.get("/api/v1/tenants", params={"cursor": cursor})).status_code == 400


async def test_an_endless_address_is_refused(filled: Database) -> None:
    """10 MB: 414, or the server hangs up; it goes on for everybody else."""
    async with website(filled) as site:
        await site.signed_in()
        port = int(site.url.rsplit(":", 1)[1])
        for beginning in (b"GET /history?tenant=", b"GET /", b"GET /api/v1/tenants?q="):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            first = b""
            try:
                writer.write(beginning)
                for _ in range(10):
                    writer.write(b"x" * 1_000_000)
                    await writer.drain()
                writer.write(b" HTTP/1.1\r\nHost: x\r\n\r\n")
                async with asyncio.timeout(20):
                    first = await reader.read(12)
            except ConnectionError:
                pass
            finally:
                writer.close()
            assert first in (b"", b"HTTP/1.1 414", b"HTTP/1.1 400", b"HTTP/1.1 431")
        assert (await site.browser.get("/history")).status_code == 200


async def test_a_token_in_an_address_is_refused_and_said_why(filled: Database) -> None:
    """On pages and in the API, by name or by shape, also from whoever is signed in: nothing repeats it."""
    async with website(filled) as site:
        await site.signed_in()
        token = await site.token()
        for path in (f"/?q={token}", f"/api/v1/tenants?token={token}", f"/tenants/{token}", "/history?api_key=x"):
            answer = await site.browser.get(path)
            assert answer.status_code == 400, path
            assert "addresses are logged" in answer.text
            assert token not in answer.text


async def test_a_tenant_with_5000_events_has_a_page(filled: Database, subtests: pytest.Subtests) -> None:
    """Its pages and files answer, and a page stays small; the file has every event."""
    async with filled.writing() as conn:
        number = 1 + 5000
        events = [
            an_event(
                START - timedelta(minutes=minute), tenant_id="lone", incident_id=None, permission_id=f"p{minute % 60}",
                permission_label=f"GET: p{minute % 60}", kind=("lost", "regained")[minute // 60 % 2], credential_id=1,
            )
            for minute in range(number, 1, -1)
        ]  # fmt: skip
        await conn.execute(insert(DRIFT_EVENT), events)
    await group_all(filled)
    async with website(filled) as site:
        await site.signed_in()
        for path, most in (
            ("/tenants/lone?days=366", 400_000),
            ("/history?tenant=lone", 100_000),
            ("/tenants/lone/report", 200_000),
            ("/", 100_000),
        ):
            with subtests.test(path):
                answer = await site.browser.get(path)
                assert answer.status_code == 200
                assert len(answer.content) < most, len(answer.content)
        table = (await site.browser.get("/history.csv?tenant=lone")).text
        assert table.count("\r\n") > 5000
