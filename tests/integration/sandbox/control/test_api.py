"""The sandbox's control over real HTTP: the JSON API, the page, and who may use them."""

import asyncio
import json
import re
import urllib.request
from typing import Any
from urllib.error import HTTPError

import pytest
from starlette.types import Message

from monitor.sandbox.greenhouse.request import basic
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.app import application
from monitor.sandbox.server.run import running

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def sandbox() -> Sandbox:
    made = Sandbox()
    made.add_account("acme")
    made.add_key("acme", "gem", text="the-key")
    return made


def fetch(url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str, bytes]:
    """Status, content type and body of one answer."""
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["content-type"], answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.headers["content-type"], refused.read()


async def control(url: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One call of the control API: a POST if there is a body."""
    data = None if body is None else json.dumps(body).encode()
    status, _, content = await asyncio.to_thread(fetch, f"{url}/_sandbox{path}", data, JSON if data else {})
    return status, json.loads(content)


async def greenhouse(url: str, target: str, key: str = "the-key") -> int:
    status, _, _ = await asyncio.to_thread(fetch, url + target, None, {"Authorization": basic(key)})
    return status


async def test_a_permission_can_be_unticked_and_ticked(sandbox: Sandbox) -> None:
    """Both take effect with the next request."""
    which = {"account": "acme", "endpoints": ["GET /v1/jobs"]}
    async with running(sandbox) as url:
        statuses = [await greenhouse(url, "/v1/jobs")]
        assert (await control(url, "/revoke", which))[1]["keys"][0]["granted"] == 61
        statuses.append(await greenhouse(url, "/v1/jobs"))
        assert (await control(url, "/grant", which))[0] == 200
        statuses.append(await greenhouse(url, "/v1/jobs"))
        assert (await control(url, "/grants", {"account": "acme", "grants": "none"}))[1]["keys"][0]["granted"] == 0
        statuses.append(await greenhouse(url, "/v1/users"))
    assert statuses == [200, 403, 200, 403]


async def test_a_key_can_be_killed_enabled_and_rotated(sandbox: Sandbox) -> None:
    """Kill, enable and rotate, by the account's name."""
    async with running(sandbox) as url:
        await control(url, "/kill", {"account": "acme"})
        statuses = [await greenhouse(url, "/v1/jobs")]
        await control(url, "/enable", {"account": "acme", "key": "Harvest API Key"})
        statuses.append(await greenhouse(url, "/v1/jobs"))
        _, rotated = await control(url, "/rotate", {"account": "acme"})
        statuses += [await greenhouse(url, "/v1/jobs"), await greenhouse(url, "/v1/jobs", rotated["text"])]
    assert statuses == [401, 200, 401, 200]


async def test_settings_of_one_and_of_all(sandbox: Sandbox) -> None:
    """Order, denial, block and retirement are settings; null for the account means all."""
    async with running(sandbox) as url:
        for account, settings, target, status in (
            ("acme", {"orders": {"by-id/rest": "lookup_first"}}, "/v1/approval_flows/0", 404),
            ("acme", {"orders": {}, "denial_status": 401}, "/v1/approval_flows/0", 401),
            ("acme", {"blocked": True}, "/v1/jobs", 403),
            ("acme", {"blocked": False}, "/v1/jobs", 200),
            (None, {"retired": "410-json"}, "/v1/jobs", 410),
            (None, {"retired": None}, "/v1/jobs", 200),
        ):
            assert (await control(url, "/settings", {"account": account, "settings": settings}))[0] == 200
            assert await greenhouse(url, target) == status


async def test_accounts_keys_and_faults_can_be_added(sandbox: Sandbox) -> None:
    """A new account gets a key, and a fault hits it until all faults are cleared."""
    async with running(sandbox) as url:
        assert (await control(url, "/accounts", {"name": "globex", "settings": {"limit": 20}}))[0] == 201
        status, key = await control(url, "/keys", {"account": "globex", "grants": ["GET /v1/users"]})
        assert (status, key["text"], key["granted"]) == (201, "sandbox-globex-1", 1)
        assert await greenhouse(url, "/v1/users", key["text"]) == 200
        fault = {"kind": "status", "account": "globex", "status": 500, "times": 5}
        assert (await control(url, "/faults", fault))[0] == 201
        assert await greenhouse(url, "/v1/users", key["text"]) == 500
        _, state = await control(url, "/state")
        assert [(each["kind"], each["times"]) for each in state["faults"]] == [("status", 4)]
        await control(url, "/faults/clear", {})
        assert await greenhouse(url, "/v1/users", key["text"]) == 200


async def test_a_preset_can_be_activated_and_cleared(sandbox: Sandbox) -> None:
    """It takes effect with the next request, is shown with its hits, and is gone once cleared."""
    async with running(sandbox) as url:
        preset = {"name": "maintenance", "account": "acme", "lasts": 60}
        assert (await control(url, "/weather", preset))[0] == 200
        assert await greenhouse(url, "/v1/jobs") == 503
        _, trouble = await control(url, "/trouble")
        (fault,) = trouble["faults"]
        assert (fault["weather"], fault["hits"], fault["account"]) == ("maintenance", 1, "acme")
        assert 0 < fault["ends_in"] <= 60
        await control(url, "/weather", {"name": "clear"})
        assert await greenhouse(url, "/v1/jobs") == 200


async def test_faults_can_be_ended_one_by_one(sandbox: Sandbox) -> None:
    """By number, which both sides share; by account or recipient; or all of both sides at once."""
    sandbox.add_account("globex")
    async with running(sandbox) as url:

        async def left(ended: dict[str, Any]) -> list[int]:
            _, trouble = await control(url, "/faults/clear", ended)
            return [fault["number"] for fault in trouble["faults"] + trouble["mail"]["faults"]]

        for account in ("acme", "globex", None):
            await control(url, "/faults", {"kind": "html", "account": account})
        for recipient in ("dana@vendor.example", None):
            await control(url, "/mail-faults", {"kind": "silent", "recipient": recipient})
        assert await left({"number": 3}) == [1, 2, 4, 5]
        assert await left({"account": "acme"}) == [2, 4, 5]
        assert await left({"recipient": "dana@vendor.example"}) == [2, 5]
        assert await left({}) == []


async def test_the_request_log_can_be_read(sandbox: Sandbox) -> None:
    """State, account, request log and changes show what happened; calls of the control API are not in them."""
    sandbox.change("acme", on_behalf_of="off")
    application = sandbox.account("acme").records.ids("applications")[0]
    async with running(sandbox) as url:
        await greenhouse(url, "/v1/jobs")
        reject = f"{url}/v1/applications/{application}/reject"
        await asyncio.to_thread(fetch, reject, b"{}", {"Authorization": basic("the-key")} | JSON)
        _, log = await control(url, "/ledger?account=acme&after=1&limit=1")
        _, changes = await control(url, "/changes")
        _, account = await control(url, "/accounts/acme")
        _, state = await control(url, "/state")
        _, known = await control(url, "/endpoints")
    assert [(each["number"], each["method"], each["status"]) for each in log["entries"]] == [(2, "POST", 201)]
    assert log["requests"] == state["requests"] == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", log["entries"][0]["at"])
    assert [each["text"] for each in changes["changes"]] == [f"would have rejected application {application}"]
    assert (changes["count"], state["changes"], state["by_status"]) == (1, 1, {"200": 1, "201": 1})
    assert account["settings"]["on_behalf_of"] == "off"
    assert len(account["keys"][0]["grants"]) == 62
    assert len(known) == 144


async def test_the_control_is_not_rate_limited(sandbox: Sandbox) -> None:
    """More calls than any limit allows are answered, and counted nowhere."""
    sandbox.change(None, limit=1, blocked=True)
    async with running(sandbox) as url:
        assert {(await control(url, "/state"))[0] for _ in range(30)} == {200}
        assert (await control(url, "/reset", {}))[0] == 200
    assert sandbox.request_log.request_count == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/kill", {"account": "nobody"}, 400, "no account 'nobody'"),
        ("/kill", {"account": "acme", "key": "other"}, 400, "has no key 'other'"),
        ("/kill", {"key": "other"}, 400, "account acme has no key 'other'"),
        ("/rotate", {}, 400, "account: Field required"),
        ("/kill", {"acount": "acme"}, 400, "acount: is not known here"),
        ("/kill", [], 400, "invalid body"),
        ("/grant", {"account": "acme", "endpoints": ["GET /v1/job"]}, 400, "did you mean GET /v1/jobs"),
        ("/settings", {"account": None, "settings": {"retired": "402"}}, 400, "retired: Input should be"),
        ("/faults/clear", {"account": "acme", "number": 1}, 400, "or nothing to end all"),
        ("/weather", {"name": "hail"}, 400, "there is no weather 'hail'"),
        ("/weather", {"name": "blocked", "account": "umbrella"}, 400, "there is no account 'umbrella'"),
        ("/mail-faults", {"kind": "refused", "times": 1}, 400, "invalid body: refused is for all mails"),
        ("/mails/7", None, 404, "there is no such mail"),
        ("/faults", {"kind": "earthquake"}, 400, "kind: Input should be"),
        ("/faults", {"kind": "status", "status": 304}, 400, "has no body"),
        ("/faults", {"kind": "redirect", "location": "x\r\nSet-Cookie: a=b"}, 400, "location: String should match"),
        ("/accounts", {"name": "acme"}, 400, "already an account"),
        ("/ledger?after=x", None, 400, "'x' is not a number"),
        ("/nowhere", None, 404, "Not Found"),
        ("/kill", None, 405, "Method Not Allowed"),
    ],
)
async def test_mistakes_are_answered_in_one_shape(
    sandbox: Sandbox, path: str, body: Any, status: int, words: str
) -> None:
    """Whatever is wrong, the answer is {"error": ...} with the reason."""
    async with running(sandbox) as url:
        refused, content = await control(url, path, body)
    assert refused == status
    assert list(content) == ["error"]
    assert words in content["error"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_only_json_is_accepted(sandbox: Sandbox, kind: str) -> None:
    """A POST that another web page could send without a preflight is refused."""
    async with running(sandbox) as url:
        body = b'{"account":"acme"}'
        status, _, _ = await asyncio.to_thread(fetch, f"{url}/_sandbox/kill", body, {"Content-Type": kind})
    assert status == 415
    assert not sandbox.key("acme").dead


@pytest.mark.parametrize(
    ("client", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1:9000", 200),
        ("127.8.8.8", "localhost", 200),
        ("::1", "[::1]:9000", 200),
        ("192.0.2.7", "127.0.0.1:9000", 403),  # another machine
        ("127.0.0.1", "evil.example", 403),  # another name for this one
        ("127.0.0.1", "localhost.evil.example", 403),
    ],
)
async def test_only_this_machine_is_answered(sandbox: Sandbox, client: str, host: str, status: int) -> None:
    """The control API checks the client's address and the Host header; Greenhouse's side does not."""
    for path, expected in (("/_sandbox/state", status), ("/v1/jobs", 401)):
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", host.encode()), (b"x-forwarded-for", b"127.0.0.1")],
            "client": (client, 50000),
            "server": ("127.0.0.1", 9000),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        await application(sandbox)(scope, receive, send)
        assert sent[0]["status"] == expected


async def test_forwarded_addresses_are_not_believed(sandbox: Sandbox) -> None:
    """Only the connection says who the client is, not a header."""
    async with running(sandbox) as url:
        forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
        assert (await asyncio.to_thread(fetch, f"{url}/_sandbox/state", None, forwarded))[0] == 200


async def test_the_page_is_self_contained(sandbox: Sandbox) -> None:
    """The page loads nothing, calls only paths that the control API has, and inserts no text as HTML."""
    async with running(sandbox) as url:
        status, kind, content = await asyncio.to_thread(fetch, f"{url}/_sandbox", None, {})
        text = content.decode()
        assert (status, kind) == (200, "text/html; charset=utf-8")
        assert re.findall(r"""(?:src|href)=|https?://|@import|url\(""", text) == []
        assert "innerHTML" not in text
        called = set(re.findall(r"""ask\(\s*["`](/[a-z/-]+)""", text))
        assert called == {
            "/state", "/endpoints", "/accounts/", "/ledger", "/changes", "/settings", "/grants", "/faults",
            "/faults/clear", "/rotate", "/reset", "/weather", "/mail-faults", "/mails", "/mails/", "/scopes",
            "/clients/scopes", "/clients/role", "/clients/rotate", "/clients/token", "/clients/revoke-tokens",
        }  # fmt: skip
        for path in called - {"/accounts/", "/mails/"}:
            assert (await control(url, path))[0] in (200, 405), path
    assert '<meta name="viewport"' in text
    assert all(f'"{switch}"' in text for switch in ("/grant", "/revoke", "/kill", "/enable"))
    assert all(f'"/clients{switch}"' in text for switch in ("/grant", "/revoke", "/kill", "/enable"))
