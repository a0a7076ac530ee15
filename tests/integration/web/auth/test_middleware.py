"""What stands before every page and every call of the API, over real HTTP."""

import asyncio
from itertools import product

from structlog.testing import capture_logs

from monitor.store.database import Database
from monitor.web.auth.role import AccessRole
from tests.website import OUR_OWN, hidden_fields, website

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


async def test_everything_but_the_open_paths_needs_a_sign_in(sqlite: Database) -> None:
    """A page leads to the sign-in, the API answers 401 in its shape, whether the path exists or not."""
    async with website(sqlite) as site:
        for path in (
            "/",
            "/who",
            "/nothing",
            "/healthz/",
            "//healthz",
            "/static",
            "/sign-invoices",
            "/METRICS",
            "/apis",
        ):
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = await site.browser.request(method, path)
                assert answer.status_code == 303, (method, path)
                assert answer.headers["Location"].startswith("/sign-in"), (method, path)
        for method, path in product((*UNSAFE, "GET"), ("/api", "/api/v1/act", "/api/v1/nothing")):
            answer = await site.browser.request(method, path)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (method, path)
            assert answer.json()["error"].keys() == {"code", "message", "next"}
            assert answer.json()["error"]["code"] == "not_signed_in"
        for path in ("/healthz", "/readyz", "/metrics", "/sign-in"):
            assert (await site.browser.get(path)).status_code == 200, path
        assert site.done == []


async def test_the_host_header_opens_nothing(sqlite: Database) -> None:
    """What a path is, the request line says alone: a Host that reads like an open path's address changes nothing."""
    async with website(sqlite) as site:
        for host in ("x/healthz?", "x/static/", "x/sign-in/?", "x/healthz#", "x/api/v1?", "/metrics?"):
            for path in ("/who", "/nothing", "/act"):
                answer = await site.browser.get(path, headers={"Host": host})
                assert answer.status_code in (303, 400), (host, path)
                answer = await site.browser.post(path, headers={"Host": host, **OUR_OWN})
                assert answer.status_code in (401, 400), (host, path)
            answer = await site.browser.get("/api/v1/who", headers={"Host": host})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_signed_in"), host


async def test_other_sites_cannot_act_through_a_browser(sqlite: Database) -> None:
    """Whatever the method, on a page as in the API. The whole matrix is in tests/unit/web/auth/test_cross_origin.py."""
    async with website(sqlite) as site:
        await site.signed_in(AccessRole.OPERATOR)
        elsewhere = ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"})
        for method, path, headers in product(UNSAFE, ("/act", "/api/v1/act"), elsewhere):
            answer = await site.browser.request(method, path, headers=headers)
            assert answer.status_code == 403, (method, path, headers)
        assert site.done == []
        for method, path in product(UNSAFE, ("/act", "/api/v1/act")):
            answer = await site.browser.request(method, path, headers={**OUR_OWN, "Origin": site.url})
            assert answer.status_code == 200, (method, path)
        assert len(site.done) == 8


async def test_signing_in_and_out_cannot_be_done_from_elsewhere(sqlite: Database) -> None:
    """Nobody is signed in as somebody else, or out, by another site."""
    async with website(sqlite) as site:
        form, elsewhere = {"link": await site.link()}, {"Sec-Fetch-Site": "cross-site"}
        assert (await site.browser.post("/sign-in/link", data=form, headers=elsewhere)).status_code == 403
        await site.signed_in()
        assert (await site.browser.post("/sign-out", headers=elsewhere)).status_code == 403
        assert await site.who() is not None


async def test_a_viewer_cannot_act(sqlite: Database) -> None:
    """403, as a page or in the API's shape, with who may."""
    async with website(sqlite) as site:
        await site.signed_in(AccessRole.VIEWER)
        page = await site.browser.post("/act", headers=OUR_OWN)
        call = await site.browser.post("/api/v1/act", headers=OUR_OWN)
        assert (page.status_code, call.status_code) == (403, 403)
        assert "HARVEST_MONITOR_OPERATORS" in page.text
        assert call.json()["error"]["code"] == "operators_only"
        assert site.done == []


async def test_every_answer_has_the_headers(sqlite: Database) -> None:
    """Also errors, redirects, refusals and an unexpected error: what browsers may load, keep and tell others."""
    async with website(sqlite) as site:
        unsigned = [await site.browser.get(path) for path in ("/", "/sign-in", "/metrics", "/api/v1/who", "/?token=x")]
        unsigned += [await site.browser.post("/act"), await site.browser.get("/" + "x" * 9000)]
        await site.signed_in()
        with capture_logs():
            signed = [
                await site.browser.get(path) for path in ("/who", "/nothing", "/broken", "/sessions", "/static/x")
            ]
        assert [answer.status_code for answer in signed] == [200, 404, 500, 200, 404]
        for answer in (*unsigned, *signed):
            policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
            assert policy == {
                "default-src": "'none'",
                "style-src": "'self'",
                "script-src": "'self'",
                "img-src": "'self' data:",
                "connect-src": "'self'",
                "form-action": "'self'",
                "frame-ancestors": "'none'",
                "base-uri": "'none'",
            }, answer.url
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            kept = None if "/static/" in str(answer.url) else "private, no-store"
            assert answer.headers.get("Cache-Control") == kept, answer.url
            assert "Strict-Transport-Security" not in answer.headers
    async with website(sqlite, public_url="https://m.example") as site:
        assert "Strict-Transport-Security" in (await site.browser.get("/sign-in")).headers


async def test_what_is_too_long_is_not_read(sqlite: Database) -> None:
    """414 and 413 before the body arrives, and 411 for one whose length is not said."""
    async with website(sqlite) as site:
        port = int(site.url.rsplit(":", 1)[1])
        for head, expected in (
            ("GET /" + "x" * 8192 + " HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 414"),
            ("GET /sign-in?to=" + "x" * 8200 + " HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 414"),
            ("POST /act HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", b"HTTP/1.1 413"),
            ("POST /sign-in/link HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b"HTTP/1.1 413"),
            ("POST /act HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 411"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            async with asyncio.timeout(20):
                assert await reader.read(12) == expected, head[:40]
            writer.close()


async def test_the_form_of_an_expired_session_is_kept(sqlite: Database) -> None:
    """Nothing is done and nothing is lost: the page has every field, markup and line breaks included, and its button
    does what was wanted once somebody has signed in."""
    reason = 'ticket 4711: <b>"right"</b> & proper\r\nsecond line'
    async with website(sqlite) as site:
        await site.signed_in(AccessRole.OPERATOR)
        site.clock.forward(days=8)
        answer = await site.browser.post("/act?x=1", data={"reason": reason, "more": ["a", "b"]}, headers=OUR_OWN)
        assert answer.status_code == 401
        assert site.done == []
        assert "<b>" not in answer.text
        assert 'action="/act?x=1"' in answer.text
        assert answer.text.count('name="more"') == 2
        fields = hidden_fields(answer.text.replace("\r\n", "&#13;&#10;"))
        assert fields["reason"] == reason

        await site.signed_in(AccessRole.OPERATOR)
        assert site.done == []
        await site.browser.post("/act?x=1", data=fields, headers=OUR_OWN)
        assert site.done == [f"dana: {reason}"]


async def test_a_kept_form_goes_to_this_service(sqlite: Database) -> None:
    """Even if what it was sent to reads like another site's address."""
    async with website(sqlite) as site:
        for path in ("//evil.example/x", "/\\evil.example"):
            answer = await site.browser.post(f"{site.url}{path}", data={"reason": "x"}, headers=OUR_OWN)
            assert answer.status_code == 401
            assert 'action="/"' in answer.text


async def test_a_form_of_another_site_is_not_kept(sqlite: Database) -> None:
    """Else somebody could put words into an operator's mouth: the page would offer to send them."""
    async with website(sqlite) as site:
        answer = await site.browser.post("/act", data={"reason": "planted"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert "planted" not in answer.text


async def test_what_is_no_form_is_refused_without_a_session(sqlite: Database) -> None:
    """401: there is no page to send it again from."""
    async with website(sqlite) as site:
        broken = {"Content-Type": "multipart/form-data; boundary=x"}
        for sent in (
            {"json": {"reason": "x"}},
            {"files": {"file": ("x.txt", b"x")}},
            {"content": b"x", "headers": broken},
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        ):
            headers = {**OUR_OWN, **sent.pop("headers", {})}
            answer = await site.browser.post("/act", headers=headers, **sent)
            assert answer.status_code == 401, sent
        assert site.done == []


async def test_nobody_is_led_to_another_site(sqlite: Database) -> None:
    """Whatever `to` says, the sign-in leads to a page of this service."""
    async with website(sqlite) as site:
        for to in (
            "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
            "javascript:alert(1)", "evil", "", "/a\r\nSet-Cookie: x=1", "/ /evil.example", "/sign-in", "/x" * 2000,
        ):  # fmt: skip
            answer = await site.open_link(await site.link(), to)
            assert answer.headers["Location"] == "/", to
        assert (await site.open_link(await site.link(), "/who?a=//b")).headers["Location"] == "/who?a=//b"


async def test_a_database_that_does_not_answer_is_said(sqlite: Database) -> None:
    """503 on pages and in the API, with what to do; health and metrics answer as before."""
    async with website(sqlite) as site:
        await site.signed_in()
        link = await site.link()
        await sqlite.close()
        file = sqlite.url.database or ""
        with open(file, "r+b") as damaged:
            damaged.write(b"x" * 4096)
        with capture_logs() as logged:
            page, call = await site.browser.get("/who"), await site.browser.get("/api/v1/who")
            signing_in = await site.browser.post("/sign-in/link", data={"link": link}, headers=OUR_OWN)
        assert (page.status_code, call.status_code) == (503, 503)
        assert call.json()["error"]["code"] == "database_unavailable"
        assert file not in page.text
        assert signing_in.status_code == 503
        assert {line["event"] for line in logged} == {"page_without_database"}
        for path in ("/healthz", "/metrics", "/sign-in"):
            assert (await site.browser.get(path)).status_code == 200, path
