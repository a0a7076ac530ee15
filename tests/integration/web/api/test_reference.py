"""The API's description, and the one shape of its errors, whatever goes wrong."""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from monitor.errors import StoreError
from monitor.store.database import Database
from monitor.web.paging import Cursor, Keyset
from tests.web_api import AS, api, error_of

LIST = Keyset("numbers", tuple[int])


async def test_the_openapi_document_is_valid_and_has_the_api_alone(sqlite: Database) -> None:
    """By the schema of OpenAPI 3.1; every reference leads somewhere; no page and no metric is in it."""
    async with api(sqlite) as harness:
        document = (await harness.http.get("/api/openapi.json", headers={AS: "viewer"})).json()
    OPENAPI_31_VALIDATOR.validate(document)
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    names = {ref.rpartition("/")[2] for ref in re.findall(r"'\$ref': '([^']+)'", str(document))}
    assert names == set(document["components"]["schemas"])
    assert "ErrorAnswer" in names


async def test_every_operation_documents_its_errors(sqlite: Database, subtests: pytest.Subtests) -> None:
    """Each with the one shape, a summary and a short id."""
    async with api(sqlite) as harness:
        document = (await harness.http.get("/api/openapi.json", headers={AS: "viewer"})).json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            with subtests.test(f"{method} {path}"):
                errors = {status: one for status, one in operation["responses"].items() if status >= "400"}
                assert set(errors) >= {"401", "403", "422", "429", "500", "503"}
                schemas = {one["content"]["application/json"]["schema"]["$ref"] for one in errors.values()}
                assert schemas == {"#/components/schemas/ErrorAnswer"}
                assert operation["summary"]
                assert re.fullmatch(r"[a-z_]+", operation["operationId"])


async def test_the_page_shows_every_operation_and_loads_nothing_from_elsewhere(sqlite: Database) -> None:
    """No inline script or style, so that the strictest policy for content lets it work."""
    async with api(sqlite) as harness:
        document = (await harness.http.get("/api/openapi.json", headers={AS: "viewer"})).json()
        page = (await harness.http.get("/api/docs", headers={AS: "viewer"})).text
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert f"<code>{method.upper()} {path}</code>" in page
            assert f'id="{operation["operationId"]}"' in page
    for field in ("key", "client_secret", "result.permissions[].verdict", "result.advice.tick[].boxes[].label"):
        assert f"<code>{field}</code>" in page
    loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*\b(?:src|href)="([^"]*)"', page)
    assert [address for address in loaded if not address.startswith("/static/")] == []
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page) == []
    assert "None" not in page


async def test_nobody_reads_the_reference_without_signing_in(sqlite: Database) -> None:
    """401, in the shape of the API."""
    async with api(sqlite) as harness:
        for path in ("/api/docs", "/api/openapi.json"):
            answer = await harness.http.get(path)
            assert (answer.status_code, error_of(answer)["code"]) == (401, "not_signed_in")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def broken_routes(app: FastAPI) -> None:
    @app.get("/api/v1/broken")
    async def broken() -> None:
        raise RuntimeError("c4na4y")

    @app.get("/api/v1/away")
    async def away() -> None:
        raise StoreError("no route to postgres://user:c4na4y@db")

    @app.get("/api/v1/numbers")
    async def numbers(limit: int = 50, cursor: Cursor = None) -> Any:
        return LIST.position(cursor)


async def test_every_error_of_the_api_has_one_shape(sqlite: Database, subtests: pytest.Subtests) -> None:
    """From the framework, from our routes, from the database and from a bug; none repeats what was sent."""
    cases: dict[str, tuple[int, str, dict[str, Any]]] = {
        "nobody": (401, "not_signed_in", {"url": "/api/v1/checks/x"}),
        "viewer": (403, "operators_only", {"url": "/api/v1/checks", "method": "POST", "headers": {AS: "viewer"}}),
        "address": (404, "not_found", {"url": "/api/v1/c4na4y"}),
        "slash": (404, "not_found", {"url": "/api/v1/checks/", "method": "POST"}),
        "version": (404, "not_found", {"url": "/api/v2"}),
        "root": (404, "not_found", {"url": "/api"}),
        "method": (405, "method_not_allowed", {"url": "/api/v1/checks", "method": "DELETE"}),
        "parameter": (422, "invalid_request", {"url": "/api/v1/checks/x?wait=c4na4y"}),
        "bound": (422, "invalid_request", {"url": "/api/v1/checks/x?wait=61"}),
        "number": (422, "invalid_request", {"url": "/api/v1/numbers?limit=c4na4y"}),
        "cursor": (400, "bad_cursor", {"url": "/api/v1/numbers?cursor=c4na4y"}),
        "database": (503, "database_unavailable", {"url": "/api/v1/away"}),
        "bug": (500, "internal_error", {"url": "/api/v1/broken"}),
    }
    async with api(sqlite, extend=broken_routes) as harness:
        for name, (status, code, asked) in cases.items():
            with subtests.test(name):
                headers = {} if name == "nobody" else {AS: "operator"}
                answer = await harness.http.request(**{"method": "GET", "headers": headers, **asked})
                assert (answer.status_code, error_of(answer)["code"]) == (status, code)
                assert "c4na4y" not in answer.text
        pages = await harness.http.get("/none")
    assert isinstance(pages, httpx.Response)
    assert pages.headers["content-type"].startswith("text/html")
