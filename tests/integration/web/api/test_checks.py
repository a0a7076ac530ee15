"""Pre-flight over real HTTP: the verdicts of `check`, and a secret that goes nowhere but to Greenhouse."""

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from checks.catalogue.entry import WriteProbes
from checks.manifest import load
from monitor.checking.preflight.preflight_queue import MOST_OPEN
from monitor.store.database import Database
from tests.web_api import AS, FROM, TRUSTED, ApiHarness, api

KEYS = [permission.label for permission in load("gem").permissions]


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as lines:
        yield lines


def error_of(answer: httpx.Response) -> dict[str, str]:
    """The error, which has to be of the one shape."""
    (name, error), *more = answer.json().items()
    assert (name, more) == ("error", [])
    assert set(error) == {"code", "message", "next"}
    assert all(error.values()), error
    found: dict[str, str] = error
    return found


def key_of(harness: ApiHarness, grants: Any = "gem") -> str:
    harness.sandbox.add_account("acme")
    text: str = harness.sandbox.add_key("acme", grants, label="Key").text
    return text


def body(key: str, **more: Any) -> dict[str, Any]:
    return {"kind": "harvest-key", "key": key, **more}


async def test_try(sqlite: Database) -> None:
    async with api(sqlite) as harness:
        answer = await harness.check(body(key_of(harness)))
        print(answer.status_code, answer.headers, answer.text[:3000])
        for path in ("/api/openapi.json", "/api/docs", "/api/v1/none"):
            r = await harness.http.get(path, headers={AS: "viewer"})
            print(r.status_code, r.text[:6000])
    assert 0
