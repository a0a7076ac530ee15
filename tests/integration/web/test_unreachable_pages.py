"""Why Greenhouse was not reached, on the page of a tenant and on the overview."""

import html
import re

from checks.credential import CredentialState
from monitor.store.database import Database
from tests.installation import Clock
from tests.reports import MINUTE, T0, failed, served
from tests.store import a_tenant, check, sync
from tests.website import Website, website

PROXY = failed(CredentialState.UNREACHABLE, "proxy_login")
WORDS = "the proxy does not accept our user and password, or asks for them (407)"


async def text_of(site: Website, path: str) -> str:
    answer = await site.browser.get(path)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


async def test_pages_say_why_there_is_no_connection(sqlite: Database) -> None:
    """In the tenant's sentence, with what to do, and in its row; a proxy's refusal is among what is ours to mend."""
    await sync(sqlite, a_tenant("acme"), a_tenant("globex"))
    for at in (T0, T0 + MINUTE):
        await check(sqlite, PROXY, at)
        await check(sqlite, served({"jobs": "g"}), at, credential_id=2)
    async with website(sqlite, clock=Clock(T0 + 2 * MINUTE)) as site:
        await site.signed_in()
        assert f"no usable answer comes for its credential since 08:00 : {WORDS}. " in await text_of(
            site, "/tenants/acme"
        )
        assert "What next Ours to mend: correct them in the settings. " in await text_of(site, "/tenants/acme")
        assert f"unreachable: {WORDS}: correct them in the settings" in await text_of(site, "/?status=failing")
        ours = await text_of(site, "/?fault=ours")
        assert "Acme" in ours
        assert "Globex" not in ours


async def test_pages_say_where_to_look_if_it_is_not_certain_whose_fault_it_is(sqlite: Database) -> None:
    """A server that refuses may be Greenhouse's, or a firewall of ours: nobody is told yet, and checks go on."""
    await sync(sqlite, a_tenant("acme"))
    for at in (T0, T0 + MINUTE):
        await check(sqlite, failed(CredentialState.UNREACHABLE, "name_not_found"), at)
    async with website(sqlite, clock=Clock(T0 + 2 * MINUTE)) as site:
        await site.signed_in()
        assert "Checks go on. Check this machine's DNS. Nobody is told before it is certain that" in await text_of(
            site, "/tenants/acme"
        )
