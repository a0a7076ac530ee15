"""API tokens over real HTTP."""

from datetime import timedelta

import pytest

from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.store.sign_in_tables import API_TOKEN
from monitor.store.tables import OPERATOR_ACTION
from monitor.web.auth import token_actions
from monitor.web.auth.role import AccessRole
from monitor.web.auth.token_actions import NewToken
from tests.store import rows
from tests.website import Website, website


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def code_of(site: Website, token: str, path: str = "/api/v1/who") -> tuple[int, str]:
    answer = await site.browser.get(path, headers=bearer(token))
    return answer.status_code, answer.json()["error"]["code"] if answer.status_code != 200 else answer.json()


async def test_a_token_opens_the_api_with_its_role(sqlite: Database) -> None:
    """Without Origin or Sec-Fetch-Site, since no browser adds this header by itself; who acts is the token."""
    async with website(sqlite) as site:
        operator, viewer = await site.token(AccessRole.OPERATOR, "deploy"), await site.token()
        assert await code_of(site, viewer) == (200, "token grafana")
        assert (await site.browser.post("/api/v1/act", headers=bearer(viewer))).status_code == 403
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await site.browser.request(method, "/api/v1/act", headers=bearer(operator))).status_code == 200
        assert site.done == ["token deploy"] * 4


async def test_a_token_opens_the_api_only(sqlite: Database) -> None:
    """No page, and nothing that a page does."""
    async with website(sqlite) as site:
        token = await site.token(AccessRole.OPERATOR)
        assert (await site.browser.get("/who", headers=bearer(token))).status_code == 303
        assert (await site.browser.post("/act", headers=bearer(token))).status_code == 403


async def test_a_cookie_beside_a_wrong_token_signs_nobody_in(sqlite: Database) -> None:
    """And one without a token, or with another's, is held to its origin: the exemption is the token's alone."""
    async with website(sqlite) as site:
        await site.signed_in(AccessRole.OPERATOR)
        token = await site.token()
        assert await code_of(site, token[:-1] + ("A" if token[-1] != "A" else "B")) == (401, "token_unknown")
        for value in ("Bearer x", "Basic aG1fOng=", "Bearer", ""):
            answer = await site.browser.post("/api/v1/act", headers={"Authorization": value})
            assert answer.status_code == 403, value
        assert site.done == []


async def test_a_token_ends(sqlite: Database) -> None:
    """When it expires, and at once when it is revoked, by name or id; the answer says which."""
    async with website(sqlite) as site:
        wanted = NewToken("short", AccessRole.VIEWER, "dana", timedelta(days=90))
        short = await token_actions.create_token(sqlite, wanted, "root", site.clock.now, site.sign_in.random)
        by_name, by_id = await site.token(name="by-name"), await site.token(name="by-id")
        number = {row["name"]: row["id"] for row in await rows(sqlite, API_TOKEN)}["by-id"]
        assert [(await code_of(site, token))[0] for token in (short, by_name, by_id)] == [200, 200, 200]
        for which in ("by-name", number):
            assert await token_actions.revoke_token(sqlite, which, "root", site.clock.now)
            assert not await token_actions.revoke_token(sqlite, which, "root", site.clock.now), "twice"
        assert await code_of(site, by_name) == await code_of(site, by_id) == (401, "token_revoked")
        site.clock.forward(days=89, hours=23)
        assert (await code_of(site, short))[0] == 200
        site.clock.forward(hours=1)
        assert await code_of(site, short) == (401, "token_expired")


async def test_a_name_is_used_once_at_a_time(database: Database) -> None:
    """Revoked by name, it is clear which one was meant; after that the name is free again. On SQLite and Postgres."""
    async with website(database) as site:
        await site.token(name="grafana")
        with pytest.raises(ConfigurationError, match="revoke it first"):
            await site.token(name="grafana")
        await token_actions.revoke_token(database, "grafana", "root", site.clock.now)
        await site.token(name="grafana")
        for name in ("", "a b", "0123456789ab", "x" * 65, "a\nb", "<b>"):
            with pytest.raises(ConfigurationError, match="token's name"):
                await site.token(name=name)


async def test_creation_and_end_are_in_the_audit_log(sqlite: Database) -> None:
    """With who did it, and with the role."""
    async with website(sqlite) as site:
        await site.token(AccessRole.OPERATOR, "deploy")
        await token_actions.revoke_token(sqlite, "deploy", "olga", site.clock.now)
    done = [(a["who"], a["action"], a["subject"]) for a in await rows(sqlite, OPERATOR_ACTION)]
    assert done == [("root", "tokens create", "deploy"), ("olga", "tokens revoke", "deploy")]
    assert (await rows(sqlite, OPERATOR_ACTION))[0]["reason"] == "operator"


async def test_last_use_is_written_once_a_minute_at_most(sqlite: Database) -> None:
    """A dashboard that asks every second is no write every second."""
    async with website(sqlite) as site:
        token, began, seen = await site.token(), site.clock.now, []
        for _ in range(4):
            await code_of(site, token)
            seen.append((await rows(sqlite, API_TOKEN))[0]["last_used_at"] - began)
            site.clock.forward(seconds=30)
    assert seen == [timedelta(seconds=s) for s in (0, 0, 60, 60)]


async def test_a_token_in_an_address_is_refused_and_the_reason_said(sqlite: Database) -> None:
    """By name or by shape, in query or path, encoded or not: 400 that says to revoke it, on open paths as well."""
    async with website(sqlite) as site:
        token = await site.token()
        session = "hms_" + "A" * 49
        for path in (
            f"/api/v1/who?token={token}", "/api/v1/who?access_token=x", "/who?api_key=", "/sign-in?TOKEN=x",
            f"/api/v1/who?q={token}", f"/api/v1/{token}/x", f"/metrics?x=a+{token}", f"/who?{token}",
            "/who?q=%68m_" + token[3:], f"/who?q={session}", "/who?a=1&%74oken=x",
        ):  # fmt: skip
            answer = await site.browser.get(path, headers=bearer(token))
            assert answer.status_code == 400, path
            assert "revoke" in answer.text.lower(), path
            assert token not in answer.text, path
        assert await code_of(site, token, f"/api/v1/who?q={token[:30]}") == (200, "token grafana")
