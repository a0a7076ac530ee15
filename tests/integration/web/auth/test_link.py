"""Signing in by a one-time link, over real HTTP."""

import asyncio

from monitor.store.database import Database
from monitor.store.sign_in_tables import SIGN_IN_LINK, WEB_SESSION
from monitor.store.tables import OPERATOR_ACTION
from monitor.web.auth.role import AccessRole
from tests.store import rows
from tests.website import OUR_OWN, hidden_fields, website


async def test_a_link_signs_in_with_its_role_and_name(sqlite: Database) -> None:
    """By the button on its page, which leads on; link and sign-in stand in the audit log, with who."""
    async with website(sqlite) as site:
        path = await site.link(AccessRole.OPERATOR, "Dana Reyes")
        shown = await site.browser.get(path)
        assert "Dana Reyes" in shown.text
        answer = await site.browser.post("/sign-in/link", data=hidden_fields(shown.text), headers=OUR_OWN)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert await site.who() == '"Dana Reyes operator link"'
    assert [(a["who"], a["action"], a["subject"], a["reason"]) for a in await rows(sqlite, OPERATOR_ACTION)] == [
        ("root", "web link", "Dana Reyes", "operator"),
        ("Dana Reyes", "sign in", "operator", "by link"),
    ]


async def test_looking_at_a_link_does_not_use_it(sqlite: Database) -> None:
    """Mail scanners and previews open links: GET and HEAD may come as often as they like, and sign nobody in."""
    async with website(sqlite) as site:
        path = await site.link()
        for method in ("GET", "HEAD", "GET"):
            answer = await site.browser.request(method, path)
            assert (answer.status_code, answer.headers.get("Set-Cookie")) == (200, None), method
        assert await site.who() is None
        assert (await site.open_link(path)).status_code == 303
        assert await site.who() is not None


async def test_a_link_works_once_for_ten_minutes_and_unaltered(sqlite: Database) -> None:
    """A used, an expired and an altered one sign nobody in, whether looked at or used; the page says what to do."""
    async with website(sqlite) as site:
        used, late, altered = [await site.link() for _ in range(3)]
        await site.open_link(used)
        site.clock.forward(minutes=10)
        altered = altered[:-8] + "AAAAAAAA"
        site.browser.cookies.clear()
        for name, path in {"used": used, "late": late, "altered": altered, "short": "/sign-in/link/hml_x"}.items():
            for answer in (await site.browser.get(path), await site.open_link(path)):
                assert (answer.status_code, answer.headers.get("Set-Cookie")) == (410, None), name
                assert "harvest-monitor web link" in answer.text, name
        assert await site.who() is None
        assert len(await rows(sqlite, WEB_SESSION)) == 1


async def test_of_two_at_once_one_gets_in(database: Database) -> None:
    """A link is used by one request only, however close another is; on SQLite and Postgres."""
    async with website(database) as site:
        path = await site.link()
        form = {"link": path}
        async with site.another_browser() as other:
            first = site.browser.post("/sign-in/link", data=form, headers=OUR_OWN)
            second = other.post("/sign-in/link", data=form, headers=OUR_OWN)
            answers = await asyncio.gather(first, second)
        assert sorted(answer.status_code for answer in answers) == [303, 410]


async def test_a_pasted_link_leads_to_where_one_was_going(sqlite: Database) -> None:
    """The page that needs a sign-in names itself; the whole link can be pasted there, and leads back to it."""
    async with website(sqlite) as site:
        asked = await site.browser.get("/who?since=7d&x=a%20b")
        assert (asked.status_code, asked.headers["Location"]) == (303, "/sign-in?to=/who%3Fsince%3D7d%26x%3Da%2520b")
        form = hidden_fields((await site.browser.get(asked.headers["Location"])).text)
        form["link"] = f"  https://monitor.vendor.example{await site.link()} "
        answer = await site.browser.post("/sign-in/link", data=form, headers=OUR_OWN)
        assert answer.headers["Location"] == "/who?since=7d&x=a%20b"


async def test_old_links_are_deleted(sqlite: Database) -> None:
    """The next link takes away those that have expired, used or not."""
    async with website(sqlite) as site:
        await site.link()
        site.clock.forward(minutes=11)
        await site.link()
    assert len(await rows(sqlite, SIGN_IN_LINK)) == 1


async def test_no_link_in_other_ways_of_signing_in(sqlite: Database) -> None:
    """With a proxy or a provider a link is nothing: no page shows it, and no sign-in comes of it."""
    async with website(sqlite, sign_in="proxy", trusted_proxies="192.0.2.1") as site:
        answer = await site.open_link(await site.link())
        assert answer.status_code == 404
        assert dict(site.browser.cookies) == {}
