"""Signing in at an OpenID provider, over real HTTP on both sides."""

import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt
from pydantic import SecretStr
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from structlog.testing import capture_logs

from monitor.store.database import Database
from monitor.store.sign_in_tables import WEB_SESSION
from monitor.store.tables import OPERATOR_ACTION
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, openid_provider, rsa_key, signed
from tests.store import rows
from tests.website import Website, website

BACK = "/sign-in/oidc/back"


@asynccontextmanager
async def both(db: Database, **more: object) -> AsyncIterator[tuple[Website, OpenIdProvider]]:
    async with openid_provider() as provider:
        settings = {
            "sign_in": "oidc",
            "public_url": "http://monitor.example",
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
            **more,
        }
        async with website(db, **settings) as site:
            provider.now = lambda: site.clock.now.timestamp()
            yield site, provider


async def leave(site: Website, to: str = "/") -> str:
    """Where the browser is sent."""
    answer = await site.browser.get("/sign-in/oidc", params={"to": to})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


async def sign_in(site: Website, provider: OpenIdProvider, to: str = "/") -> httpx.Response:
    return await site.browser.get(BACK, params=provider.approve(await leave(site, to)))


async def test_a_person_signs_in_and_comes_back_to_where_they_were_going(sqlite: Database) -> None:
    """With PKCE, state and nonce; named by the verified address, with the role that the lists give."""
    async with both(sqlite, operators="dana@vendor.example") as (site, provider):
        asked = await site.browser.get("/who?x=1")
        page = await site.browser.get(asked.headers["Location"])
        assert "/sign-in/oidc?to=/who%3Fx%3D1" in page.text
        answer = await sign_in(site, provider, "/who?x=1")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/who?x=1")
        assert await site.who() == '"dana@vendor.example operator oidc"'
        assert list(dict(site.browser.cookies)) == ["harvest_monitor"]
    (action,) = await rows(sqlite, OPERATOR_ACTION)
    assert (action["who"], action["action"], action["subject"]) == ("dana@vendor.example", "sign in", "operator")


async def test_whom_the_lists_leave_out_may_not_read(sqlite: Database) -> None:
    """403 with what to do; no session begins. The rules are in tests/unit/web/auth/test_oidc_claims.py."""
    async with both(sqlite, viewers="others") as (site, provider):
        answer = await sign_in(site, provider)
        assert answer.status_code == 403
        assert "HARVEST_MONITOR_VIEWERS" in answer.text
        assert await site.who() is None
    assert await rows(sqlite, WEB_SESSION) == []


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any]) -> str:
    return f"{_encoded({'alg': 'none'})}.{_encoded(claims)}."


def by_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, jwk.OctKey.import_key(CLIENT_SECRET.ljust(32, "x")))


def by_public_key(claims: dict[str, Any]) -> str:
    """The old confusion: the provider's public key, taken for a shared secret."""
    head, body = _encoded({"alg": "HS256", "kid": "key-0"}), _encoded(claims)
    mac = hmac.digest(rsa_key().as_pem(private=False), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def by_another(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "key-0"}, claims, rsa_key(1))


def of_unknown_id(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "key-1"}, claims, rsa_key(1))


def altered(claims: dict[str, Any]) -> str:
    head, _, signature = signed(claims).split(".")
    return f"{head}.{_encoded(claims | {'groups': ['on-call']})}.{signature}"


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "wrong nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "wrong issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "wrong audience": {"aud": "another"},
    "no audience": {"aud": None},
    "for another as well, who asked": {"aud": [CLIENT_ID, "another"], "azp": "another"},
    "for another as well, nobody knows who asked": {"aud": [CLIENT_ID, "another"]},
    "asked for by another": {"azp": "another"},
    "expired": {"exp": 1},
    "without an end": {"exp": None},
    "not valid yet": {"nbf": 99999999999},
    "issued in the future": {"iat": 99999999999},
    "for another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "nobody": {"sub": None},
}
BAD_SIGNATURES: list[Callable[[dict[str, Any]], str]] = [
    unsigned, by_secret, by_public_key, by_another, of_unknown_id, altered, lambda claims: "x", lambda claims: "a.b.c",
]  # fmt: skip


async def test_an_id_token_must_be_right_in_everything(sqlite: Database, subtests: pytest.Subtests) -> None:
    """Signed by the provider's key, for us, for this sign-in, now: anything else signs nobody in."""
    async with both(sqlite) as (site, provider):
        bad: list[tuple[str, dict[str, Any], Any]] = [(name, claims, None) for name, claims in BAD_CLAIMS.items()]
        bad += [(sign.__name__, {}, sign) for sign in BAD_SIGNATURES]
        for name, claims, sign in bad:
            provider.claims, provider.sign = claims, sign
            with subtests.test(name):
                answer = await sign_in(site, provider)
                assert (answer.status_code, await site.who()) == (403, None)
                assert "/token" in provider.asked
        assert await rows(sqlite, WEB_SESSION) == []
        provider.claims, provider.sign = {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID}, None
        assert (await sign_in(site, provider)).status_code == 303


async def test_what_comes_back_must_belong_to_what_left(sqlite: Database) -> None:
    """Another state, another browser, an old attempt, another provider, no code, a code twice: nobody is signed in, and
    the provider is not even asked where that can be told without it."""
    async with both(sqlite) as (site, provider):
        right = provider.approve(await leave(site))
        for change in ({"state": "another"}, {"state": None}, {"iss": "https://evil.example"}, {"code": None}):
            sent = {name: value for name, value in (right | change).items() if value is not None}
            assert (await site.browser.get(BACK, params=sent)).status_code == 403, change
        refused = {"error": "access_denied", "error_description": "<b>x</b>", "state": right["state"]}
        answer = await site.browser.get(BACK, params=refused)
        assert (answer.status_code, "<b>" in answer.text) == (403, False)
        async with site.another_browser() as other:
            assert (await other.get(BACK, params=right)).status_code == 403
        kept = dict(site.browser.cookies)
        await leave(site)
        assert (await site.browser.get(BACK, params=right)).status_code == 403, "a newer attempt"
        assert "/token" not in provider.asked
        site.browser.cookies.update(kept)
        assert (await site.browser.get(BACK, params=right)).status_code == 303
        site.browser.cookies.clear()
        site.browser.cookies.update(kept)
        assert (await site.browser.get(BACK, params=right)).status_code == 403, "a code twice"


async def test_the_attempt_is_bound_to_the_browser(sqlite: Database) -> None:
    """By a cookie out of reach of scripts, for ten minutes; state, nonce and PKCE verifier are new each time."""
    async with both(sqlite) as (site, _):
        first, second = [await site.browser.get("/sign-in/oidc?to=//evil.example") for _ in range(2)]
        assert "HttpOnly; Max-Age=600; Path=/; SameSite=lax" in first.headers["Set-Cookie"]
        assert "evil" not in first.headers["Set-Cookie"]
        sent = [dict(parse_qsl(urlsplit(answer.headers["Location"]).query)) for answer in (first, second)]
        for name in ("state", "nonce", "code_challenge"):
            assert sent[0][name] != sent[1][name], name
            assert len(sent[0][name]) >= 43, name


async def test_userinfo_completes_what_the_id_token_leaves_out(sqlite: Database) -> None:
    """Some providers keep groups and addresses out of it; about somebody else, it signs nobody in."""
    async with both(sqlite, operators="on-call") as (site, provider):
        provider.claims = {"groups": None, "email": None, "email_verified": None}
        told = {"sub": "u-1", "email": "dana@vendor.example", "email_verified": True, "groups": ["on-call"]}
        provider.userinfo = told | {"sub": "u-2"}
        assert (await sign_in(site, provider)).status_code == 403
        provider.userinfo = told
        assert (await sign_in(site, provider)).status_code == 303
        assert await site.who() == '"dana@vendor.example operator oidc"'


async def test_a_provider_that_is_down_is_said(sqlite: Database) -> None:
    """503 with what goes on meanwhile, on the way there as on the way back; whoever is signed in stays so."""
    down: dict[str, dict[str, Any]] = {
        "/.well-known/openid-configuration": {
            "no answer of its own": PlainTextResponse("Bad Gateway", 502),
            "a page": PlainTextResponse("<html>"),
            "a list": JSONResponse([]),
            "elsewhere": RedirectResponse("http://127.0.0.1:1/"),
            "another issuer": JSONResponse({"issuer": "https://evil.example"}),
        },
        "/token": {"broken": PlainTextResponse("", 500), "our secret is wrong": JSONResponse({}, 401)},
        "/keys": {"broken": PlainTextResponse("", 500)},
    }
    async with both(sqlite) as (site, provider):
        for path, answers in down.items():
            for name, answer in answers.items():
                site.clock.forward(minutes=11)
                provider.answers = {} if path != "/.well-known/openid-configuration" else {path: answer}
                with capture_logs() as logged:
                    if path == "/.well-known/openid-configuration":
                        page = await site.browser.get("/sign-in/oidc")
                    else:
                        sent = provider.approve(await leave(site))
                        provider.answers = {path: answer}
                        page = await site.browser.get(BACK, params=sent)
                assert page.status_code == 503, name
                assert [line["event"] for line in logged] == ["sign_in_provider_unavailable"], name
        provider.answers = {}
        assert (await sign_in(site, provider)).status_code == 303
        provider.answers = {path: PlainTextResponse("", 500) for path in down}
        assert await site.who() is not None
    async with website(
        sqlite,
        sign_in="oidc",
        public_url="http://monitor.example",
        oidc_issuer="http://127.0.0.1:1",
        oidc_client_id="x",
        oidc_client_secret=SecretStr("y"),
    ) as site:
        assert (await site.browser.get("/sign-in/oidc")).status_code == 503


async def test_a_provider_must_be_reached_by_https(sqlite: Database) -> None:
    """Endpoints in plain http on another machine are not used, whatever its configuration says."""
    async with both(sqlite) as (site, provider):
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
            for address in ("http://id.example/x", None, 5):
                provider.metadata = {name: address}
                assert (await site.browser.get("/sign-in/oidc")).status_code == 503, name


async def test_visitors_cannot_make_us_ask_the_provider_all_the_time(sqlite: Database) -> None:
    """Its configuration is kept for ten minutes; its keys are read at each sign-in, so that new ones count at once."""
    async with both(sqlite) as (site, provider):
        for _ in range(5):
            await leave(site)
        assert provider.asked == ["/.well-known/openid-configuration"]
        site.clock.now += timedelta(minutes=10)
        await leave(site)
        assert len(provider.asked) == 2
        assert (await sign_in(site, provider)).status_code == 303
        provider.keys, provider.sign = [rsa_key(1)], of_unknown_id
        assert (await sign_in(site, provider)).status_code == 303


async def test_the_client_secret_may_go_in_the_form(sqlite: Database) -> None:
    """Where the provider takes it there only."""
    async with both(sqlite) as (site, provider):
        provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert (await sign_in(site, provider)).status_code == 303


async def test_in_other_modes_there_is_no_such_way(sqlite: Database) -> None:
    """The provider's pages are not there."""
    async with website(sqlite) as site:
        for path in ("/sign-in/oidc", BACK):
            assert (await site.browser.get(path)).status_code == 404
