"""Sessions over real HTTP: their cookie, their end, who sees and who ends them."""

import re
from datetime import timedelta

from structlog.testing import capture_logs

from monitor.store.database import Database
from monitor.store.sign_in_tables import WEB_SESSION
from monitor.store.tables import OPERATOR_ACTION
from monitor.web.auth import session_actions
from monitor.web.auth.role import AccessRole
from tests.store import rows
from tests.website import OUR_OWN, Website, website


def cookie(site: Website) -> tuple[str, str]:
    ((name, value),) = site.browser.cookies.items()
    return name, value


async def test_a_session_rolls_for_twelve_hours_and_ends_after_seven_days(sqlite: Database) -> None:
    """Each request extends it by twelve hours, up to seven days after it began; without one it ends."""
    async with website(sqlite) as site:
        await site.signed_in()
        for _ in range(15):
            site.clock.forward(hours=11)
            assert await site.who() is not None
        site.clock.forward(hours=3, minutes=1)
        assert await site.who() is None, "seven days are over"
        await site.signed_in()
        site.clock.forward(hours=12)
        assert await site.who() is None, "twelve hours without a request"


async def test_the_settings_say_how_long(sqlite: Database) -> None:
    """`session_idle` and `session_longest`."""
    async with website(sqlite, session_idle="1m", session_longest="90s") as site:
        await site.signed_in()
        site.clock.forward(seconds=59)
        assert await site.who() is not None
        site.clock.forward(seconds=2)
        assert await site.who() is None


async def test_a_request_is_a_write_once_a_minute_at_most(sqlite: Database) -> None:
    """Pages refresh themselves: what was last seen is a minute exact."""
    async with website(sqlite) as site:
        await site.signed_in()
        began = site.clock.now
        seen = []
        for _ in range(3):
            site.clock.forward(seconds=30)
            await site.who()
            seen.append((await rows(sqlite, WEB_SESSION))[0]["last_seen_at"] - began)
    assert seen == [timedelta(0), timedelta(seconds=60), timedelta(seconds=60)]


async def test_only_the_whole_cookie_signs_in(sqlite: Database) -> None:
    """Altered, cut, empty, of another kind, or without a row, it signs nobody in, and is no error."""
    async with website(sqlite) as site:
        link = (await site.link()).rsplit("/", 1)[1]
        await site.signed_in()
        name, value = cookie(site)
        swapped = "hms_" + value[4:-1] + ("A" if value[-1] != "A" else "B")
        for wrong in (swapped, value[:-1], value + "A", "", "x" * 4000, link, "hml_" + value[4:], value.upper()):
            site.browser.cookies.clear()
            answer = await site.browser.get("/who", headers={"Cookie": f"{name}={wrong}"})
            assert answer.status_code == 303, wrong
        assert (await site.browser.get("/who", headers={"Cookie": f"{name}={value}"})).status_code == 200


async def test_the_cookie_is_out_of_reach(sqlite: Database) -> None:
    """HttpOnly, SameSite=Lax, for the whole host; over https also Secure and __Host-, which no other host can set."""
    for public_url, expected, name in (
        (None, "HttpOnly; Max-Age=604800; Path=/; SameSite=lax", "harvest_monitor"),
        ("http://10.0.0.5:9808", "HttpOnly; Max-Age=604800; Path=/; SameSite=lax", "harvest_monitor"),
        ("https://m.example", "HttpOnly; Max-Age=604800; Path=/; SameSite=lax; Secure", "__Host-harvest_monitor"),
    ):
        async with website(sqlite, public_url=public_url) as site:
            answer = await site.open_link(await site.link())
            found = re.fullmatch(r"(\S+)=hms_[A-Za-z0-9_-]{49}; (.+)", answer.headers["Set-Cookie"])
            assert found, public_url
            assert found[1] == name
            assert sorted(found[2].split("; ")) == sorted(expected.split("; ")), public_url


async def test_signing_in_ends_the_session_before(sqlite: Database) -> None:
    """A session that somebody planted in the browser does not live on beside the new one."""
    async with website(sqlite) as site:
        await site.signed_in()
        name, planted = cookie(site)
        await site.signed_in(name="lee")
        assert await site.who() == '"lee viewer link"'
        site.browser.cookies.clear()
        assert (await site.browser.get("/who", headers={"Cookie": f"{name}={planted}"})).status_code == 303


async def test_signing_out_ends_the_session(sqlite: Database) -> None:
    """In the browser and in the database, with a line in the audit log; twice is no error."""
    async with website(sqlite) as site:
        await site.signed_in()
        name, value = cookie(site)
        for _ in range(2):
            answer = await site.browser.post("/sign-out", headers=OUR_OWN)
            assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
        assert dict(site.browser.cookies) == {}
        assert (await site.browser.get("/who", headers={"Cookie": f"{name}={value}"})).status_code == 303
    assert [a["action"] for a in await rows(sqlite, OPERATOR_ACTION)] == ["web link", "sign in", "sign out"]


async def test_viewers_see_and_end_their_own_sessions_operators_everybodys(sqlite: Database) -> None:
    """On the page /sessions; what is revoked ends at once, and the audit log says who did it."""
    async with website(sqlite) as site:
        async with site.another_browser() as other:
            await site.signed_in(AccessRole.OPERATOR, "olga")
            (olgas,) = [row["id"] for row in await rows(sqlite, WEB_SESSION)]
            operators_cookie = dict(site.browser.cookies)
            site.browser.cookies.clear()
            await site.signed_in(name="victor")
            (victors,) = [row["id"] for row in await rows(sqlite, WEB_SESSION) if row["name"] == "victor"]

            page = (await site.browser.get("/sessions")).text
            assert victors in page
            assert olgas not in page
            answer = await site.browser.post("/sessions/revoke", data={"session": olgas}, headers=OUR_OWN)
            assert answer.status_code == 404
            assert len(await rows(sqlite, WEB_SESSION)) == 2

            other.cookies.update(operators_cookie)
            page = (await other.get("/sessions")).text
            assert olgas in page
            assert victors in page
            answer = await other.post("/sessions/revoke", data={"session": victors}, headers=OUR_OWN)
            assert answer.status_code == 303
        assert await site.who() is None
    last = (await rows(sqlite, OPERATOR_ACTION))[-1]
    assert (last["who"], last["action"], last["subject"]) == ("olga", "web revoke", "victor (viewer)")


async def test_all_sessions_can_be_ended_by_command(sqlite: Database) -> None:
    """Beside the running service, which lets nobody in any more."""
    async with website(sqlite) as site:
        await site.signed_in()
        assert await session_actions.revoke_all(sqlite, "root", site.clock.now) == 1
        assert await site.who() is None


async def test_a_session_of_another_way_of_signing_in_is_none(sqlite: Database) -> None:
    """Whoever changes HARVEST_MONITOR_SIGN_IN does not keep those in whom the new way may not let in."""
    async with website(sqlite) as site:
        await site.signed_in()
        kept, clock = dict(site.browser.cookies), site.clock
    async with website(sqlite, clock=clock) as site:
        site.browser.cookies.update(kept)
        assert await site.who() is not None
    provider = {"oidc_issuer": "https://id.example", "oidc_client_id": "x", "public_url": "http://m.example"}
    async with website(sqlite, clock=clock, sign_in="oidc", **provider) as site:
        site.browser.cookies.update(kept)
        assert await site.who() is None


async def test_expired_sessions_are_deleted(sqlite: Database) -> None:
    """The next sign-in takes away those that have expired."""
    async with website(sqlite) as site:
        await site.signed_in()
        site.browser.cookies.clear()
        site.clock.forward(days=8)
        await site.signed_in(name="lee")
    assert [row["name"] for row in await rows(sqlite, WEB_SESSION)] == ["lee"]


async def test_reading_goes_on_while_nothing_can_be_written(sqlite: Database) -> None:
    """A database that is read-only keeps nobody out who is signed in."""
    async with website(sqlite) as site:
        await site.signed_in()
        site.clock.forward(minutes=5)
        async with sqlite.reading_once() as conn:
            await conn.exec_driver_sql("PRAGMA query_only = ON")
        with capture_logs() as logged:
            assert await site.who() is not None
        assert [line["event"] for line in logged] == ["session_not_extended"]
