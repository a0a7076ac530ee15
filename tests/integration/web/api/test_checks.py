"""Pre-flight over real HTTP: the verdicts of `check`, and a secret that goes nowhere but to Greenhouse."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from sqlalchemy import URL

from checks.catalogue.entry import WriteProbes
from checks.v3.verdicts import ROLE_ID
from monitor import logs
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits, Machine, State
from monitor.checking import write_halt_queries
from monitor.checking.preflight.preflight_queue import MOST_OPEN
from monitor.logs import LogFormat, LogLevel
from monitor.sandbox.faults.http import Fault
from monitor.store.database import Database
from monitor.store.tables import NOTICE, WRITE_HALT
from tests.store import rows
from tests.web_api import AS, FROM, TRUSTED, ApiHarness, api, error_of

CANARY = "c4na4yc4na4yc4na4yc4na4y"
OFFERS = "GET /v1/offers"


@pytest.fixture(autouse=True)
def log() -> io.StringIO:
    """Everything that is logged, as `serve` would write it at its most talkative."""
    stream = io.StringIO()
    logs.configure(LogLevel.DEBUG, LogFormat.JSON, stream)
    return stream


def add_key(harness: ApiHarness, grants: Any = "gem", text: str | None = None) -> str:
    harness.sandbox.add_account("acme")
    found: str = harness.sandbox.add_key("acme", grants, label="Key", text=text).text
    return found


def of_key(key: str, **more: Any) -> dict[str, Any]:
    return {"kind": "harvest-key", "key": key, **more}


def of_client(harness: ApiHarness, scopes: Any = "gem", **more: Any) -> dict[str, Any]:
    account = harness.sandbox.add_account("acme")
    client = harness.sandbox.add_client("acme", scopes)
    secrets = {"client_id": client.client_id, "client_secret": client.secret, "token": client.issue()}
    return {"kind": "harvest-oauth", **secrets, "organization": account.organization_id, **more}


async def result_of(harness: ApiHarness, body: dict[str, Any]) -> dict[str, Any]:
    """The result of a check that is done within the wait, and is what the OpenAPI document says."""
    answer = await harness.check(body)
    assert answer.status_code == 200, answer.text
    document = (await harness.http.get("/api/openapi.json", headers={AS: "viewer"})).json()
    schema = {"$ref": "#/components/schemas/PreflightAnswer", "components": document["components"]}
    jsonschema.validate(answer.json(), schema)
    assert answer.json()["state"] == "done"
    found: dict[str, Any] = answer.json()["result"]
    return found


async def test_a_right_key_is_compliant_and_nothing_is_asked_for(sqlite: Database) -> None:
    """The result is an entry of `check --json`, with no box to tick."""
    async with api(sqlite) as harness:
        found = await result_of(harness, of_key(add_key(harness, "gem+eeoc"), tenant="acme", features=["eeoc"]))
        assert (found["tenant"], found["outcome"], found["credential"]["state"]) == ("acme", "compliant", "ok")
        assert (len(found["permissions"]), found["manifest"]["name"]) == (65, "gem")
        assert (found["advice"]["tick"], found["errors"]) == ([], [])
        assert "everything that could be checked" in found["advice"]["summary"]


async def test_what_a_key_lacks_is_confirmed_and_grouped_as_greenhouse_shows_it(sqlite: Database) -> None:
    """Two permissions that are not ticked are seen in two looks, and named letter for letter under their groups."""
    async with api(sqlite) as harness:
        key = add_key(harness)
        harness.sandbox.key("acme").untick(OFFERS, "GET /v1/users")
        found = await result_of(harness, of_key(key))
        assert found["outcome"] == "drifted"
        assert found["advice"]["where"].endswith("API Credential Management › Manage Permissions")
        assert found["advice"]["tick"] == [
            {"group": "Offers", "boxes": [{"label": "GET: List offers", "likely": False}]},
            {"group": "Users", "boxes": [{"label": "GET: List Users", "likely": False}]},
        ]


async def test_a_declined_permission_is_not_asked_for(sqlite: Database) -> None:
    """By its label, as the tenants file names it."""
    async with api(sqlite) as harness:
        key = add_key(harness)
        harness.sandbox.key("acme").untick(OFFERS)
        found = await result_of(harness, of_key(key, declined=["GET: List offers"]))
        assert (found["outcome"], found["advice"]["tick"]) == ("compliant", [])


async def test_a_revoked_key_is_said_to_be_unknown(sqlite: Database) -> None:
    """A state, not an error of the request: `invalid`, with what it means."""
    async with api(sqlite) as harness:
        key = add_key(harness)
        harness.sandbox.key("acme").kill()
        found = await result_of(harness, of_key(key))
        assert (found["outcome"], found["credential"]["state"]) == ("failed", "invalid")
        assert found["advice"]["summary"].startswith("Greenhouse does not know the key")
        assert found["advice"]["where"] is None


async def test_a_client_of_v3_is_told_which_scopes_to_tick(sqlite: Database) -> None:
    """Under Manage scopes, by their titles; a right one is compliant."""
    async with api(sqlite) as harness:
        body = of_client(harness)
        assert (await result_of(harness, body))["outcome"] == "compliant"
        harness.sandbox.client("acme").untick("harvest:offers:list")
        found = await result_of(harness, {**body, "token": harness.sandbox.client("acme").issue()})
        assert found["outcome"] == "drifted"
        assert found["advice"]["where"].endswith("Manage scopes")
        assert [group["group"] for group in found["advice"]["tick"]] == ["Offers"]
        assert [p["id"] for p in found["permissions"] if p["verdict"] == "granted" and p["id"] == ROLE_ID] == [ROLE_ID]


async def test_a_check_that_takes_longer_is_polled(sqlite: Database) -> None:
    """202 with `Location` at once; while it waits for its second look it is `running`; then 200, also for a viewer."""
    minute_is_over = asyncio.Event()

    async def sleep(_: float) -> None:
        await minute_is_over.wait()

    async with api(sqlite, sleep=sleep) as harness:
        started = await harness.check(of_key(f"{CANARY}-2"), wait=0)
        assert (started.status_code, started.json()["result"]) == (202, None)
        place = started.headers["Location"]
        assert place == f"/api/v1/checks/{started.json()['id']}"
        later = await harness.http.get(place, headers={AS: "viewer"})
        assert (later.status_code, later.json()["state"], later.headers["Retry-After"]) == (202, "running", "5")
        minute_is_over.set()
        done = await harness.http.get(f"{place}?wait=60", headers={AS: "viewer"})
        assert (done.status_code, done.json()["state"]) == (200, "done")
        assert done.json()["result"]["outcome"] == "failed"


async def test_twenty_at_once_are_taken_up_to_the_limit_and_then_told_when_to_come_back(sqlite: Database) -> None:
    """Those beyond get 429 with Retry-After and send nothing; those taken are all checked."""
    minute_is_over = asyncio.Event()

    async def sleep(_: float) -> None:
        await minute_is_over.wait()

    async with api(sqlite, sleep=sleep) as harness:
        body = of_key(f"{CANARY}-2")  # unknown at Greenhouse, which takes two looks
        answers = await asyncio.gather(*[harness.check(body, wait=0) for _ in range(20)])
        taken = [answer for answer in answers if answer.status_code == 202]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert (len(taken), len(refused)) == (MOST_OPEN, 20 - MOST_OPEN)
        assert {error_of(answer)["code"] for answer in refused} == {"too_many_checks"}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
        minute_is_over.set()
        places = [f"{answer.headers['Location']}?wait=60" for answer in taken]
        done = await asyncio.gather(*[harness.http.get(place, headers={AS: "viewer"}) for place in places])
        assert {answer.json()["result"]["outcome"] for answer in done} == {"failed"}


WRONG_BODIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "in quotes": ("not_a_secret", "key: the key is in quotes", of_key(f'"{CANARY}"')),
    "a header": ("not_a_secret", "key: ", of_key(f"Basic {CANARY}")),
    "a JSON web token": ("not_a_secret", "key: ", of_key(f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}")),
    "too long": ("not_a_secret", "key: ", of_key(CANARY * 40)),
    "not text": ("invalid_request", "key: must be text", {"kind": "harvest-key", "key": [CANARY]}),
    "no key": ("invalid_request", "key is missing", {"kind": "harvest-key"}),
    "unknown kind": ("invalid_request", "kind", {"kind": CANARY, "key": CANARY}),
    "no kind": ("invalid_request", "kind", {"key": CANARY}),
    "unknown field": ("invalid_request", "not known", of_key(CANARY, **{CANARY: 1})),
    "field of the other kind": ("invalid_request", "not known", of_key(CANARY, client_secret=CANARY)),
    "stored": ("nothing_is_stored", "the tenants file", of_key(CANARY, store=True)),
    "unknown manifest": ("unknown_manifest", "manifest is not the name", of_key(CANARY, manifest=CANARY)),
    "path of a manifest": ("unknown_manifest", "manifest", of_key(CANARY, manifest="checks/manifests/gem.yaml")),
    "unknown feature": ("unknown_feature", "features names one", of_key(CANARY, features=[CANARY])),
    "unknown permission": ("unknown_permission", "declined names", of_key(CANARY, declined=[CANARY])),
    "writes above the setting": ("write_probes_above_setting", "is off", of_key(CANARY, write_probes="safe")),
    "unknown write probes": ("invalid_request", "write_probes must be", of_key(CANARY, write_probes=CANARY)),
    "secret as tenant": ("secret_in_tenant", "tenant", of_key(CANARY, tenant=CANARY)),
    "tenant of two lines": ("invalid_request", "tenant", of_key(CANARY, tenant=f"a\n{CANARY}")),
    "client without a token": (
        "invalid_request",
        "token is missing",
        {"kind": "harvest-oauth", "client_id": f"{CANARY}-1", "client_secret": CANARY},
    ),
    "client id as secret": (
        "not_a_secret",
        "two are the same",
        {"kind": "harvest-oauth", "client_id": CANARY, "client_secret": CANARY, "token": "mint"},
    ),
    "partner's client that mints": (
        "invalid_request",
        "send the integration's token",
        {"kind": "harvest-oauth", "client_id": "a-1", "client_secret": CANARY, "token": "mint", "grant": "partner"},
    ),
}


async def test_a_body_that_cannot_be_used_is_refused_before_anything_is_sent(
    sqlite: Database, log: io.StringIO, subtests: pytest.Subtests
) -> None:
    """The error names the field and never repeats a value, nor does the log."""
    async with api(sqlite) as harness:
        for name, (code, words, body) in WRONG_BODIES.items():
            with subtests.test(name):
                answer = await harness.check(body)
                error = error_of(answer)
                assert (answer.status_code, error["code"]) == (422, code), error
                assert words in error["message"]
                assert CANARY not in answer.text
        assert harness.sandbox.request_log.request_count == 0
        assert CANARY not in log.getvalue()


async def test_a_body_that_is_no_json_is_refused(sqlite: Database, subtests: pytest.Subtests) -> None:
    """What a form of another site can send is not even read; nor is more than 64 KiB."""
    good = json.dumps(of_key(CANARY)).encode()
    cases = {
        "text": (415, "not_json", "text/plain", good),
        "a form": (415, "not_json", "application/x-www-form-urlencoded", b"kind=harvest-key"),
        "cut off": (422, "invalid_request", "application/json", good[:-5]),
        "a list": (422, "invalid_request", "application/json", b"[]"),
        "not UTF-8": (422, "invalid_request", "application/json", b'{"kind": "\xff"}'),
        "empty": (422, "invalid_request", "application/json", b""),
        "too large": (413, "too_large", "application/json; charset=utf-8", b" " * 65_537 + good),
    }
    async with api(sqlite) as harness:
        for name, (status, code, content_type, content) in cases.items():
            with subtests.test(name):
                headers = {AS: "operator", "content-type": content_type}
                answer = await harness.http.post("/api/v1/checks", content=content, headers=headers)
                assert (answer.status_code, error_of(answer)["code"]) == (status, code)
                assert CANARY not in answer.text


async def test_a_secret_over_plain_http_is_refused_unread(sqlite: Database, log: io.StringIO) -> None:
    """From another machine, unless a trusted proxy says that TLS ends there."""
    async with api(sqlite) as harness:
        body = of_key(add_key(harness))
        far = {FROM: "192.0.2.9"}
        refused = [
            await harness.check(body, **far),
            await harness.check(body, **far, **{"x-forwarded-proto": "https"}),
            await harness.check({"kind": CANARY}, **far),  # refused for the way it came, whatever it is
            await harness.check(body, **{FROM: TRUSTED, "x-forwarded-proto": "http"}),
        ]
        for answer in refused:
            assert (answer.status_code, error_of(answer)["code"]) == (400, "secret_over_plain_http")
        assert harness.sandbox.request_log.request_count == 0
        answer = await harness.check(body, **{FROM: TRUSTED, "x-forwarded-proto": "https"})
        assert answer.json()["result"]["outcome"] == "compliant"


async def test_only_an_operator_starts_a_check(sqlite: Database) -> None:
    """It makes requests go out: 401 without anybody, 403 for a viewer, before the body is looked at."""
    async with api(sqlite) as harness:
        nobody = await harness.http.post("/api/v1/checks", json=of_key(CANARY))
        viewer = await harness.http.post("/api/v1/checks", json={"kind": CANARY}, headers={AS: "viewer"})
        assert (nobody.status_code, error_of(nobody)["code"]) == (401, "not_signed_in")
        assert (viewer.status_code, error_of(viewer)["code"]) == (403, "operators_only")
        assert (await harness.http.get("/api/v1/checks/x")).status_code == 401


async def test_while_checks_are_paused_none_is_started(sqlite: Database) -> None:
    """It must not be the one check that is sent ahead: a wrong key would tell nothing about Greenhouse."""
    breaker = CircuitBreaker(Limits.of(60))
    machine: Machine = breaker._machine
    machine.state, machine._paused_until = State.PAUSED, float("inf")
    async with api(sqlite, breaker=breaker) as harness:
        answer = await harness.check(of_key(add_key(harness)))
        assert (answer.status_code, error_of(answer)["code"]) == (503, "checks_paused")
        assert harness.sandbox.request_log.request_count == 0


def writes_sent(harness: ApiHarness) -> int:
    return sum(entry.method != "GET" for entry in harness.sandbox.request_log.entries())


async def test_the_services_write_halt_applies_both_ways(sqlite: Database) -> None:
    """An alarm in a pre-flight halts the writes of the service and is told to the operator; a halt holds here, too."""
    async with api(sqlite, writes=WriteProbes.SAFE) as harness:
        body = of_key(add_key(harness), write_probes="safe")
        prefix = "/v1/applications/0/advance"
        harness.sandbox.add_fault(
            Fault.model_validate({"kind": "status", "method": "POST", "prefix": prefix, "status": 200})
        )
        found = await result_of(harness, body)
        assert "write alarm: POST /v1/applications/{id}/advance" in found["errors"][0]
        [halt] = await rows(sqlite, WRITE_HALT)
        assert (halt["tenant_id"], halt["scope"]) == (None, write_halt_queries.ALL)
        [notice] = await rows(sqlite, NOTICE)
        assert (notice["audience"], notice["tenant_id"]) == ("operator", None)
        sent = writes_sent(harness)
        assert sent > 0
        await result_of(harness, body)
        assert writes_sent(harness) == sent


async def test_a_key_appears_in_no_log_no_answer_and_no_database(
    sqlite: Database, sqlite_url: URL, tmp_path: Path, log: io.StringIO
) -> None:
    """Neither a right one nor a wrong one, nor the texts of a client, nor their encodings."""
    async with api(sqlite, writes=WriteProbes.ALL) as harness:
        key = add_key(harness, text=f"{CANARY}-1")
        harness.sandbox.add_client("acme", client_id=f"{CANARY}id-7", secret=f"{CANARY}secret")
        client = harness.sandbox.client("acme")
        token = client.issue()
        bodies = [
            of_key(key, write_probes="all", tenant="acme"),
            of_key(f"{CANARY}-2"),
            {
                "kind": "harvest-oauth",
                "client_id": f"{CANARY}id-7",
                "client_secret": f"{CANARY}secret",
                "token": token,
            },
        ]
        answers = [await harness.check(body) for body in bodies]
        assert [answer.json()["result"]["outcome"] for answer in answers] == ["compliant", "failed", "compliant"]
        answers += [
            await harness.http.get(f"/api/v1/checks/{one.json()['id']}", headers={AS: "viewer"}) for one in answers
        ]
        heads = [f"{answer.headers}" for answer in answers]
        metrics = (await harness.http.get("/metrics")).text
    await sqlite.close()
    stored = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    accepted = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "accepted_preflight"]
    assert [line["who"] for line in accepted] == ["token Ada"] * 3
    for text in [log.getvalue(), metrics, *heads, *stored, *[answer.text for answer in answers]]:
        for mark in (CANARY, token, "YzRuYTR5YzRuYTR5"):
            assert mark not in text


async def test_an_unknown_check_is_404(sqlite: Database) -> None:
    """With what to do."""
    async with api(sqlite) as harness:
        answer = await harness.http.get("/api/v1/checks/none", headers={AS: "viewer"})
        assert (answer.status_code, error_of(answer)["code"]) == (404, "unknown_check")
        assert isinstance(answer, httpx.Response)
