"""Secrets of every kind are marked, and real checks fill the database: nothing shown, logged or stored has a mark."""

import base64
import io
from pathlib import Path

from monitor.config.settings import NoticesMode
from monitor.logs import LogFormat, LogLevel, configure
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.sandbox.sandbox import Sandbox
from monitor.store.database import Database
from monitor.web.auth.role import AccessRole
from tests.installation import Installation, installation
from tests.notices import a_policy
from tests.web_routes import every_route, readable
from tests.website import OUR_OWN, Website, website

PERSON = "Canarynia"
PASSWORD = "c4naryMailWord"
HANDED_OVER = "c4na4yc4na4yc4na4yc4na4y-9"
"""A key that is sent for a pre-flight."""
SETTINGS = {
    "smtp_url": f"smtp://monitor:{PASSWORD}@mail.vendor.example:587",
    "database_url": f"postgresql://monitor:{PASSWORD}@db.vendor.example/monitor",
    "http_proxy": f"http://monitor:{PASSWORD}@proxy.vendor.example:3128",
    "mail_from": "monitor@vendor.example",
    "operator_mail": "ops@vendor.example",
    "notices": "csm",
    "settle": "1s",
}


async def checked_tenants(world: Installation) -> list[str]:
    """One healthy tenant, one that loses something, one whose key is refused, one of v3; returns all their secrets."""
    for name in ("acme", "globex", "umbrella"):
        world.add_tenant(name)
    world.add_v3_tenant("initech")
    await world.sync()
    await world.sweep()
    world.sandbox.key("globex").untick("GET /v1/offers", "GET /v1/users")
    world.sandbox.key("umbrella").kill()
    await world.sweep()
    world.clock.forward(hours=1)
    await Composer(world.db, a_policy(NoticesMode.CSM), Renderer()).run_once(world.clock.now)
    ids = ("acme", "globex", "umbrella", "initech-secret", "initech-token")
    return [(world.folder / name).read_text(encoding="ascii") for name in ids]


async def everything_shown(site: Website) -> dict[str, str]:
    """By path: what an operator can read, headers included."""
    addresses = [route.path_with(tenant_id="globex") for route in readable(site.app)]
    addresses += [f"/tenants/{id_}?all_evidence=true" for id_ in ("acme", "umbrella", "initech")]
    addresses += ["/notices/1", "/notices/2", "/verdicts.csv?tenant=initech", "/metrics", "/readyz", "/broken", "/no"]
    shown = {}
    for address in addresses:
        answer = await site.browser.get(address)
        shown[address] = f"{answer.headers}\n{answer.text}"
    return shown


async def preflight(site: Website, secrets: list[str]) -> str:
    """A key that is handed over, and other bodies with secrets that are refused; returns all that is answered."""
    client = {"kind": "harvest-oauth", "client_id": secrets[3], "client_secret": secrets[3], "token": secrets[4]}
    bodies = [{"kind": "harvest-key", "key": HANDED_OVER}, {"kind": "harvest-key", "key": [HANDED_OVER]}, client]
    answers = [await site.browser.post("/api/v1/checks?wait=1", json=body, headers=OUR_OWN) for body in bodies]
    assert answers[0].status_code in (200, 202)
    later = await site.browser.get(f"/api/v1/checks/{answers[0].json()['id']}")
    return "\n".join(answer.text for answer in (*answers, later))


async def misused(site: Website, token: str, secrets: list[str]) -> str:
    """Secrets where they do not belong: in addresses, forms, bodies and headers."""
    answers = []
    for secret in (token, *secrets):
        answers += [
            await site.browser.get(f"/api/v1/tenants?token={secret}"),
            await site.browser.get("/api/v1/checks/none", headers={"Authorization": f"Bearer {secret}x"}),
        ]
        for route in every_route(site.app):
            if route.method == "POST" and route.template.startswith("/api/") and "notices" in route.template:
                body = {"notices": [secret], secret: secret}
                answers.append(await site.browser.post(route.path, json=body, headers=OUR_OWN))
    return "\n".join(f"{answer.headers}{answer.text}" for answer in answers)


async def test_no_secret_and_no_person_is_shown_logged_or_stored(sqlite: Database, tmp_path: Path) -> None:
    """Keys, tokens, client secrets, session, link and API token, passwords in addresses, and people in the answers of
    Greenhouse: not in pages, files, the API, metrics, logs at their most talkative, or the bytes of the database.
    """
    logged = io.StringIO()
    configure(LogLevel.DEBUG, LogFormat.JSON, logged)
    (tmp_path / "tenants").mkdir()
    async with installation(sqlite, tmp_path / "tenants", sandbox=Sandbox(marker=PERSON)) as world:
        secrets = await checked_tenants(world)
        assert world.sandbox.request_log.request_count > 100
    async with website(sqlite, clock=world.clock, **SETTINGS) as site:
        link = await site.link(AccessRole.OPERATOR)
        await site.browser.get(link)
        await site.open_link(link)
        token = await site.token(AccessRole.OPERATOR)
        session = dict(site.browser.cookies)["harvest_monitor"]
        shown = await everything_shown(site)
        assert "globex" in shown["/tenants.csv"]
        assert "GET: List" in shown["/permissions"]
        shown["pre-flight"] = await preflight(site, secrets)
        shown["misuse"] = await misused(site, token, secrets)
    await sqlite.close()
    file = Path(sqlite.url.database or "")
    stored = b"".join(part.read_bytes() for part in file.parent.glob(f"{file.name}*"))
    assert b"globex" in stored
    marks = [*secrets, HANDED_OVER, PERSON, PASSWORD, link.rsplit("/", 1)[1], token, session]
    marks += [base64.b64encode(f"{secret}:".encode()).decode()[:20] for secret in (*secrets[:3], HANDED_OVER)]
    for mark in marks:
        assert len(mark) > 8
        assert mark.encode() not in stored, mark
        assert mark not in logged.getvalue(), mark
        assert [path for path, text in shown.items() if mark in text] == [], mark
    assert "on purpose" in logged.getvalue()
