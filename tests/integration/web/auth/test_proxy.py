"""Signing in by a proxy's header, over real HTTP: the tests are the proxy, or a stranger."""

import pytest

from monitor.config.settings_loader import load
from monitor.store.database import Database
from monitor.store.sign_in_tables import WEB_SESSION
from tests.store import rows
from tests.website import OUR_OWN, website

HERE = {"sign_in": "proxy", "trusted_proxies": "10.0.0.0/8, 127.0.0.1"}
ELSEWHERE = {"sign_in": "proxy", "trusted_proxies": "10.0.0.0/8, ::1"}


async def test_the_proxy_names_the_person_with_each_request(sqlite: Database) -> None:
    """There is no session: who is removed there is out here at once."""
    async with website(sqlite, **HERE) as site:
        answer = await site.browser.get("/who", headers={"Remote-User": "dana@vendor.example"})
        assert answer.text == '"dana@vendor.example viewer proxy"'
        assert (await site.browser.get("/who")).status_code == 401
        umlaut = await site.browser.get("/who", headers=[(b"Remote-User", "Jürgen Groß".encode())])
        assert umlaut.json() == "Jürgen Groß viewer proxy"
        assert (await site.browser.get("/sessions", headers={"Remote-User": "dana"})).status_code == 200
    assert await rows(sqlite, WEB_SESSION) == []


async def test_roles_come_from_the_lists(sqlite: Database) -> None:
    """By name or by group, whatever the case; who is on no list of viewers may not even read."""
    lists = {"operators": "Olga@vendor.example, On-Call", "viewers": "staff", "proxy_groups_header": "Remote-Groups"}
    async with website(sqlite, **HERE, **lists) as site:
        for name, groups, role in (
            ("olga@vendor.example", None, "operator"),
            ("dana", "staff, on-call", "operator"),
            ("dana", "staff", "viewer"),
            ("dana", "staff-of-others", None),
            ("dana", "", None),
            ("on-call.", None, None),
        ):
            headers = {"Remote-User": name, **({} if groups is None else {"Remote-Groups": groups})}
            answer = await site.browser.get("/who", headers=headers)
            assert answer.status_code == (200 if role else 403), (name, groups)
            assert (role or "HARVEST_MONITOR_VIEWERS") in answer.text, (name, groups)


async def test_a_stranger_names_nobody(sqlite: Database) -> None:
    """From another network the header is as good as none: 401, on pages and in the API, for reading and acting."""
    async with website(sqlite, **ELSEWHERE, operators="olga") as site:
        claimed = {"Remote-User": "olga", "X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1", **OUR_OWN}
        for method, path in (("GET", "/who"), ("POST", "/act"), ("GET", "/api/v1/who"), ("POST", "/api/v1/act")):
            assert (await site.browser.request(method, path, headers=claimed)).status_code == 401, (method, path)
        assert site.done == []
        assert (await site.browser.get("/sign-in")).status_code == 200


async def test_the_proxy_acts_within_our_pages_only(sqlite: Database) -> None:
    """A proxy that knows the browser by a cookie does not protect it from other sites: we do."""
    async with website(sqlite, **HERE, operators="olga") as site:
        olga = {"Remote-User": "olga"}
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            for path in ("/act", "/api/v1/act"):
                assert (await site.browser.post(path, headers=olga | headers)).status_code == 403
        assert (await site.browser.post("/act", headers=olga | OUR_OWN)).status_code == 200
        assert site.done == ["olga: "]


async def test_an_unclear_header_names_nobody(sqlite: Database) -> None:
    """Twice, empty, two names in one, control characters, too long, no UTF-8: refused, never guessed."""
    async with website(sqlite, **HERE, operators="olga", proxy_groups_header="Remote-Groups") as site:
        twice = [("Remote-User", "dana"), ("Remote-User", "olga")]
        for headers in (
            twice, twice[:1] * 2, [*twice[:1], ("remote-user", "olga")], [("Remote-User", "")],
            [("Remote-User", "dana, olga")], [("Remote-User", "dana,olga")], [("Remote-User", "x" * 201)],
            [(b"Remote-User", b"dana\tolga")], [(b"Remote-User", b"\xff")], [(b"Remote-User", "a\u0085b".encode())],
            [("Remote-User", "dana"), ("Remote-Groups", "a"), ("Remote-Groups", "olga")],
        ):  # fmt: skip
            for path in ("/who", "/api/v1/who"):
                answer = await site.browser.get(path, headers=headers)
                assert answer.status_code == 400, headers
                assert "exactly one" in answer.text


async def test_another_header_can_be_named(sqlite: Database) -> None:
    """Then the usual one is nothing."""
    async with website(sqlite, **HERE, proxy_user_header="X-Forwarded-Email") as site:
        assert (await site.browser.get("/who", headers={"Remote-User": "dana"})).status_code == 401
        assert (await site.browser.get("/who", headers={"X-Forwarded-Email": "dana"})).status_code == 200


async def test_without_a_proxy_its_header_is_nothing(sqlite: Database) -> None:
    """In the other ways of signing in nobody is believed by a header."""
    async with website(sqlite, trusted_proxies="127.0.0.1") as site:
        assert (await site.browser.get("/who", headers={"Remote-User": "dana"})).status_code == 303


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"sign_in": "proxy"}, ["TRUSTED_PROXIES"]),
        ({"sign_in": "oidc"}, ["PUBLIC_URL", "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"]),
        ({"sign_in": "link"}, []),
    ],
)
def test_what_a_way_of_signing_in_needs_must_be_set(given: dict[str, str], missing: list[str]) -> None:
    """`serve` does not start without it, and names each setting."""
    problems = load(**given).problems_for_serving()
    assert [problem.split()[0] for problem in problems] == [f"HARVEST_MONITOR_{name}" for name in missing]
