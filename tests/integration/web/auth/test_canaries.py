"""None of the secrets of signing in is stored, logged or shown where it should not be."""

import io
import logging
from pathlib import Path

from pydantic import SecretStr

from monitor.logs import LogFormat, LogLevel, configure
from monitor.store.database import Database
from monitor.web.auth.role import AccessRole
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, openid_provider
from tests.website import OUR_OWN, website


async def test_no_secret_is_stored_or_logged(sqlite: Database) -> None:
    """Links, session ids, API tokens, the provider's codes and tokens and our secret there: not in the database's
    bytes, and not in what is logged at the lowest level, errors included."""
    logged, secrets = io.StringIO(), list[str]()
    configure(LogLevel.DEBUG, LogFormat.JSON, logged)
    async with website(sqlite) as site:
        link = await site.link(AccessRole.OPERATOR)
        await site.browser.get(link)
        await site.open_link(link)
        await site.open_link(link)
        session = next(iter(dict(site.browser.cookies).values()))
        token = await site.token(AccessRole.OPERATOR)
        for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {token[:-1]}"}, OUR_OWN):
            await site.browser.post("/api/v1/act", headers=headers)
        await site.browser.get(f"/api/v1/who?token={token}")
        await site.browser.get("/broken", headers={"Authorization": f"Bearer {token}"})
        logging.getLogger("library").error("called %s with %s", link, {"Cookie": session, "Authorization": token})
        secrets += [link.rsplit("/", 1)[1], session, token]
    async with openid_provider() as provider:
        settings = {"oidc_issuer": provider.url, "oidc_client_id": CLIENT_ID, "public_url": "http://monitor.example"}
        secret = SecretStr(CLIENT_SECRET)
        async with website(sqlite, sign_in="oidc", oidc_client_secret=secret, **settings) as site:
            provider.now = lambda: site.clock.now.timestamp()
            for claims in ({"nonce": "another"}, {}):
                provider.claims = claims
                left = await site.browser.get("/sign-in/oidc")
                secrets += dict(site.browser.cookies)["harvest_monitor_sign_in"].split(".")[:3]
                await site.browser.get("/sign-in/oidc/back", params=provider.approve(left.headers["Location"]))
            secrets += [dict(site.browser.cookies)["harvest_monitor"], CLIENT_SECRET, "c4nary-code", "c4nary-access"]
            assert CLIENT_SECRET not in repr(site.sign_in)
    await sqlite.close()
    file = Path(sqlite.url.database or "")
    stored = b"".join(part.read_bytes() for part in file.parent.glob(f"{file.name}*"))
    assert b"grafana" in stored
    assert "on purpose" in logged.getvalue()
    for secret in secrets:
        assert len(secret) > 10
        assert secret.encode() not in stored, secret
        assert secret not in logged.getvalue(), secret
