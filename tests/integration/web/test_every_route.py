"""Every route of the application, a new one included: who may ask, what it costs, and what odd requests do to it."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, update

from monitor.drift import EventKind
from monitor.store.database import Database
from monitor.store.tables import INCIDENT, TENANT
from monitor.web.auth.role import AccessRole
from tests.bursts import group_all
from tests.composer import ComposerHarness
from tests.installation import Clock
from tests.integration.web.test_notice_pages import statements
from tests.notices import NOW
from tests.store import everything
from tests.web_routes import OF_TESTS, AnyRoute, actions, every_route, readable
from tests.website import OUR_OWN, website

WORDS = ("wave-1", "Lone Corp", "Dana", "vendor.example", "GET: offers", "revoked", "req-8f1e", "not needed")
"""What is known of tenants, and shown to nobody who is not signed in."""
OTHER_SITES: tuple[Mapping[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {},
)
ANYBODY = frozenset({"/sessions/revoke"})
"""What viewers may do as well: end a session of their own."""
MOST_STATEMENTS = 8
MORE_STATEMENTS: Mapping[str, int] = {
    # Facts, held bursts, moves; three for changes; five for tenants with credentials and who was told. While emails are
    # held, four for their burst, once in 15 seconds.
    "/": 15,
    "/tenants/{tenant_id}": 11,  # nine of the tenant, two of the cause of its trouble
}
MOST_BYTES = 60_000
DESCRIPTIONS = ("/api/docs", "/api/openapi.json")
NO_REAL_CHECK = "/api/v1/checks/{id}"  # a world has no check that was asked for
ODD_VALUES = ("a%00b", "%ED%A0%80", "-1", "9" * 10, "%D9%A3", "0001-01-01T00:00:00%2B14:00")


def assert_silent(answer: httpx.Response) -> None:
    told = [word for word in WORDS if word in answer.text or word in str(answer.headers)]
    assert told == []


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def state(db: Database) -> dict[str, Any]:
    """Everything that is stored, but for when sessions and tokens were last seen."""
    return {name: rows for name, rows in (await everything(db)).items() if name not in ("web_session", "api_token")}


async def send(client: httpx.AsyncClient, route: AnyRoute, **more: Any) -> httpx.Response:
    """With a body of the kind that it takes."""
    if route.path.startswith("/api/"):
        return await client.request(route.method, route.path, json={}, **more)
    return await client.request(route.method, route.path, data={"reason": "ticket 1"}, **more)


async def test_the_loop_finds_the_routes(filled: Database) -> None:
    """Pages, files, the API and actions, and none twice."""
    async with website(filled) as site:
        found = [str(route) for route in every_route(site.app)]
        assert {"GET /", "GET /tenants.csv", "GET /api/v1/tenants", "POST /notices/act", "GET /sessions"} <= set(found)
        assert len(found) == len(set(found))
        assert len(readable(site.app)) > 40
        assert len(actions(site.app)) > 10
        assert not set(OF_TESTS) & {route.template for route in every_route(site.app)}


async def test_nothing_is_readable_without_a_sign_in(filled: Database, subtests: pytest.Subtests) -> None:
    """Pages lead to the sign-in, the API says 401; with a session or token that is altered or made up as well."""
    async with website(filled) as site:
        await site.signed_in()
        session = dict(site.browser.cookies)["harvest_monitor"]
        token = await site.token()
        altered = session[:-1] + ("A" if session[-1] != "A" else "B")
        headers: list[dict[str, str]] = [
            {},
            {"Cookie": f"harvest_monitor={altered}"},
            {"Cookie": f"harvest_monitor={token}"},
            bearer(session),
            bearer(token[:-1] + ("A" if token[-1] != "A" else "B")),
            {"Authorization": f"Basic {token}"},
        ]
        async with site.another_browser() as stranger:
            for route in readable(site.app):
                for sent in headers:
                    with subtests.test(str(route), headers=list(sent)):
                        answer = await stranger.get(route.path, headers=sent)
                        if route.path.startswith("/api/"):
                            assert answer.status_code == 401
                        else:
                            assert answer.status_code == 303
                            assert answer.headers["Location"].startswith("/sign-in")
                        assert_silent(answer)


async def test_nothing_can_be_done_without_a_sign_in(filled: Database, subtests: pytest.Subtests) -> None:
    """Neither from a page of ours nor from anywhere."""
    async with website(filled) as site:
        before = await state(filled)
        async with site.another_browser() as stranger:
            for route in actions(site.app):
                for headers in (OUR_OWN, *OTHER_SITES):
                    with subtests.test(str(route), headers=headers):
                        answer = await send(stranger, route, headers=headers)
                        assert answer.status_code in (401, 403)
                        assert_silent(answer)
        assert await state(filled) == before


async def test_a_viewer_can_do_nothing(filled: Database, subtests: pytest.Subtests) -> None:
    """403 by session and by token, before anything of the request is looked at."""
    async with website(filled) as site:
        await site.signed_in(AccessRole.VIEWER)
        token = bearer(await site.token(AccessRole.VIEWER))
        before = await state(filled)
        async with site.another_browser() as program:
            for route in actions(site.app):
                if route.template in ANYBODY:
                    continue
                with subtests.test(str(route)):
                    assert (await send(site.browser, route, headers=OUR_OWN)).status_code == 403
                    if route.path.startswith("/api/"):
                        answer = await send(program, route, headers=token)
                        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "operators_only")
        assert await state(filled) == before


async def test_no_other_site_can_make_an_operator_act(filled: Database, subtests: pytest.Subtests) -> None:
    """With the session's cookie, whatever the browser says of the origin but ours; signing in and out included."""
    async with website(filled) as site:
        await site.signed_in(AccessRole.OPERATOR)
        before = await state(filled)
        for route in every_route(site.app):
            if route.method in ("GET", "HEAD"):
                continue
            for headers in OTHER_SITES:
                with subtests.test(str(route), headers=headers):
                    answer = await send(site.browser, route, headers=headers)
                    assert answer.status_code == 403
                    assert_silent(answer)
        assert await state(filled) == before
        assert await site.who() == '"dana operator link"'


async def test_a_page_costs_few_statements_and_few_bytes(filled: Database, subtests: pytest.Subtests) -> None:
    """At most 8 statements beside the session's, or as many as are accounted for here, and 60 kB."""
    async with website(filled) as site:
        await site.signed_in(AccessRole.OPERATOR)
        await site.browser.get("/who")
        for route in readable(site.app):
            if route.template == NO_REAL_CHECK:
                continue
            with subtests.test(str(route)), statements(filled) as seen:
                answer = await site.browser.get(route.path)
                asked = [statement for statement in seen if "web_session" not in statement and statement != "BEGIN"]
                assert answer.status_code in (200, 303)
                assert len(asked) <= MORE_STATEMENTS.get(route.template, MOST_STATEMENTS), "\n".join(asked)
                assert route.template in DESCRIPTIONS or len(answer.content) <= MOST_BYTES


async def test_head_is_answered_as_get_without_a_body(filled: Database, subtests: pytest.Subtests) -> None:
    """Every page, file and call of the API, and what needs no sign-in: same status, same headers, and no more."""
    async with website(filled, clock=Clock(NOW)) as site:
        await site.signed_in(AccessRole.OPERATOR)
        for route in every_route(site.app):
            if route.method != "GET" or route.template in (NO_REAL_CHECK, "/metrics"):
                continue
            with subtests.test(str(route)):
                got, head = await site.browser.get(route.path), await site.browser.head(route.path)
                assert (head.status_code, head.content) == (got.status_code, b"")
                for one in (got, head):
                    del one.headers["Date"]
                assert dict(head.headers) == dict(got.headers)
        assert (await site.browser.head("/metrics")).headers["Content-Type"].startswith("text/plain")


async def test_a_method_that_is_not_taken_is_told_which_are(filled: Database, subtests: pytest.Subtests) -> None:
    """405 with Allow, which names all that the address takes."""
    cases = {
        "/healthz": "GET, HEAD",
        "/metrics": "GET, HEAD",
        "/": "GET, HEAD",
        "/tenants.csv": "GET, HEAD",
        "/writes/confirm": "POST",
        "/notices/act": "GET, HEAD, POST",
        "/api/v1/tenants": "GET, HEAD",
        "/api/v1/checks": "POST",
        "/sign-in": "GET, HEAD",
    }
    async with website(filled) as site:
        await site.signed_in(AccessRole.OPERATOR)
        for path, allowed in cases.items():
            with subtests.test(path):
                answer = await site.browser.request("PROPFIND", path, headers=OUR_OWN)
                assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


async def test_every_page_of_an_empty_database_answers(sqlite: Database, subtests: pytest.Subtests) -> None:
    """Lists are empty, what is about one thing is not found, and nothing breaks."""
    async with website(sqlite) as site:
        await site.signed_in(AccessRole.OPERATOR)
        for route in readable(site.app):
            with subtests.test(str(route)):
                answer = await site.browser.get(route.path)
                one_thing = bool(route.in_path) or route.template.startswith("/report.")
                assert answer.status_code in ((404, 303) if one_thing else (200, 303))


async def test_odd_values_in_an_address_break_nothing(postgres: Database, subtests: pytest.Subtests) -> None:
    """In each parameter of each route: a NUL, bytes that are no UTF-8, numbers beyond any column, days that do not
    exist. On Postgres, which refuses more of them than SQLite."""
    async with website(postgres) as site:
        await site.signed_in(AccessRole.OPERATOR)
        for route in readable(site.app):
            if route.template.endswith((".csv", ".json")):  # they read an address with the same functions
                continue
            with subtests.test(str(route)):
                addresses = [f"{route.path_with()}?{name}={value}" for name in route.query for value in ODD_VALUES]
                for name in route.in_path:
                    addresses += [route.path_with(**{name: "ODD"}).replace("ODD", value) for value in ODD_VALUES]
                found = await asyncio.gather(*map(site.browser.get, addresses))
                answers = dict(zip(addresses, (answer.status_code for answer in found), strict=True))
                assert {address: status for address, status in answers.items() if status >= 500} == {}
                assert {status for address, status in answers.items() if "%00" in address} <= {400}


async def test_odd_bodies_break_nothing(postgres: Database, subtests: pytest.Subtests) -> None:
    """Forms and JSON with a NUL, half a character, far too deep, far too large numbers: 4xx, or done without it."""
    deep = b'{"reason": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
    bodies = [
        deep, b'{"reason": "\\ud800", "notices": [1]}', b'{"reason": "a\\u0000b", "notices": [1]}', b"\xff\xfe",
        b"null", b'{"reason": "x", "notices": [1e400]}', b'{"reason": "x", "notices": [99999999999999999999]}',
        b"", b"{" * 1000, b'{"kind": "harvest-key", "key": "a\\u0000b", "tenant": "\\u0000"}', b'{"kind": "\\u0000"}',
    ]  # fmt: skip
    fields = {"do": "drop", "numbers": "1", "asked": "1", "which": "chosen", "n": "1", "session": "x", "reason": "x"}
    async with website(postgres) as site:
        await site.signed_in(AccessRole.OPERATOR)
        for route in every_route(site.app):
            if route.method != "POST" or route.template == "/sign-out":
                continue
            with subtests.test(str(route)):
                if route.path.startswith("/api/"):
                    headers = {**OUR_OWN, "Content-Type": "application/json"}
                    answers = [await site.browser.post(route.path, content=body, headers=headers) for body in bodies]
                else:
                    answers = [
                        await site.browser.post(route.path, data={**fields, name: value}, headers=OUR_OWN)
                        for name in fields
                        for value in ("a\0b", "9" * 30, "\u202e")
                    ]
                assert [answer.text for answer in answers if answer.status_code >= 500] == []


async def test_fifty_rows_weigh_little(sqlite: Database, subtests: pytest.Subtests) -> None:
    """60 kB for a page of 50 tenants, notices or incidents, in at most as many statements as for a few."""
    world = ComposerHarness(sqlite)
    await world.burst(EventKind.LOST, 60)
    await world.run()
    async with sqlite.writing() as conn:
        await conn.execute(update(TENANT).values(status="drifted", severity=1, status_since=NOW))
        opened = [{"tenant_id": f"burst{number}", "opened_at": NOW} for number in range(60)]
        await conn.execute(insert(INCIDENT), opened)
    await group_all(sqlite)
    async with website(sqlite, clock=Clock(NOW + timedelta(minutes=30))) as site:
        await site.signed_in(AccessRole.OPERATOR)
        for path, query in (("/", "?status=attention"), ("/notices", ""), ("/incidents", ""), ("/bursts/1", "")):
            with subtests.test(path), statements(sqlite) as seen:
                answer = await site.browser.get(path + query)
                assert answer.text.count('<th scope="row">') == 50
                assert len(answer.content) <= MOST_BYTES
                asked = [statement for statement in seen if "web_session" not in statement and statement != "BEGIN"]
                counted = 1 if path == "/" else 0  # where there are more, how many there are
                assert len(asked) <= MORE_STATEMENTS.get(path, MOST_STATEMENTS) + counted
