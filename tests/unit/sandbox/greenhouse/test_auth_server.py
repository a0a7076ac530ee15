"""The sandbox's auth server: recorded answers, tokens, introspection, and the life of a client."""

import base64
import json
import re
from datetime import datetime
from typing import Any

import pytest
import yaml

from checks.catalogue.scopes import known
from monitor.errors import ConfigurationError
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.greenhouse.auth_server import CLAIMS
from monitor.sandbox.greenhouse.request import SandboxRequest, basic
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.scopes import scope_names
from tests.cases import for_each
from tests.paths import FIXTURES
from tests.sandbox_session import Clock, content, header
from tests.sandbox_v3_session import CREDENTIALS, FORM, SandboxV3Session, sandbox_v3_session

RECORD: list[dict[str, Any]] = yaml.safe_load((FIXTURES / "recorded_v3_answers.yaml").read_text("utf-8"))
JOBS, USERS = "harvest:jobs:list", "harvest:users:list"


def shown(kind: str, session: SandboxV3Session) -> str | None:
    presented = {
        "client": basic(session.client.client_id, session.client.secret),
        "notaclient": basic("notaclient", "x"),
        "unknown": basic("nobody-7", "x"),
        "wrong_secret": basic(session.client.client_id, "x"),
    }
    return presented.get(kind)


def token(kind: str, session: SandboxV3Session) -> str | None:
    if kind in ("none", "undecodable"):
        return None if kind == "none" else "e30.e30.c2ln"
    text = session.client.issue(session.clock.now - (3600 if kind == "expired" else 0))
    if kind == "revoked":
        session.client.revoke_tokens()
    return text


@for_each(RECORD, ids=lambda row: row["situation"])
def test_the_answer_is_the_recorded_one(row: dict[str, Any]) -> None:
    """In each situation the sandbox answers with the recorded status and body."""
    session = sandbox_v3_session(**{"scopes": "all"} | row.get("client", {}))
    session.sandbox.change("acme", **row.get("settings", {}))
    text = token(row.get("token", "none"), session)
    if row["request"].split(" ")[1].startswith("/v3/"):
        reply = session.send(row["request"], text)
    else:
        form = row.get("form", {"token": text or ""})
        reply = session.post(row["request"].split(" ")[1], form, shown(row["shows"], session))
    answer = content(reply) if reply.body else None

    assert reply.status == row["status"]
    assert reply.content_type.decode() == row.get("type", reply.content_type.decode())
    assert list(row.get("fields", answer or [])) == list(answer or [])
    for name, value in row.get("headers", {}).items():
        assert header(reply, name) == (str(int(session.clock.now) + int(value)) if value.startswith("+") else value)
    if row.get("error_id"):
        assert answer.pop("errorId").startswith("err-")
    if "answer" in row:
        assert answer == row["answer"]
    assert session.changes() == []


def test_every_situation_names_its_source() -> None:
    """Each row of the fixture has one of the known marks and a source, and no situation is there twice."""
    assert {row["provenance"] for row in RECORD} == {"R", "D", "C", "?"}
    assert all(row["source"] for row in RECORD)
    assert len({row["situation"] for row in RECORD}) == len(RECORD) >= 20


def test_a_token_has_the_shape_of_greenhouses_tokens() -> None:
    """It has the three parts of a JWT, names its user and its expiry, and no two are the same."""
    session = sandbox_v3_session()
    first, second = session.mint(), session.mint()
    assert (first["token_type"], first["access_token"] != second["access_token"]) == ("Bearer", True)
    parts = [part + "=" * (-len(part) % 4) for part in first["access_token"].split(".")]
    head, claims = (json.loads(base64.urlsafe_b64decode(part)) for part in parts[:2])
    assert head["alg"] == "RS256"
    assert claims == {"sub": "4000001001", "iat": 1_700_000_000, "exp": 1_700_003_600, "silo": "sandbox"}
    assert session.last().reason is AnswerReason.ISSUED


@pytest.mark.parametrize(
    ("expiry", "fields"),
    [
        ("expires_at", {"expires_at"}),
        ("expires_in", {"expires_in"}),
        ("both", {"expires_at", "expires_in"}),
        ("none", set()),
    ],
)
def test_a_token_states_its_expiry_in_each_way(expiry: str, fields: set[str]) -> None:
    """As integrations read it, as documented, both, or not at all."""
    session = sandbox_v3_session(ttl=600)
    session.sandbox.change("acme", expiry=expiry)
    answer = session.mint()
    assert answer.keys() - {"token_type", "access_token"} == fields
    if "expires_in" in fields:
        assert answer["expires_in"] == 600
    if "expires_at" in fields:
        assert datetime.fromisoformat(answer["expires_at"]).timestamp() == session.clock.now + 600
        assert answer["expires_at"] == "2023-11-14T22:23:20Z"


def test_a_live_token_is_introspected() -> None:
    """Its client, user, expiry, scopes, organization and role, under the names that integrations read."""
    session = sandbox_v3_session([USERS, JOBS])
    facts = session.introspect(session.client.issue())
    assert facts == {
        "active": True,
        "client_id": "sandbox-acme-client-1",
        "sub": "4000001001",
        "exp": 1_700_003_600,
        "scope": f"{JOBS} {USERS}",
        CLAIMS: {"organization": {"id": 4001, "name": "acme"}, "user_role": None},
    }


@pytest.mark.parametrize(
    ("client", "form", "sub", "role"),
    [
        ({}, {}, "4000001001", None),
        ({}, {"sub": "77"}, "77", "Site Admin"),
        ({"role": "Job Admin"}, {"sub": "77"}, "77", "Job Admin"),
        ({"role": "Job Admin", "sub": "78"}, {}, "78", "Job Admin"),
        ({"role": "Basic"}, {}, "40000010011", "Basic"),
    ],
)
def test_a_token_acts_for_a_user_or_for_a_service_user(
    client: dict[str, Any], form: dict[str, str], sub: str, role: str | None
) -> None:
    """The requested user, the client's own, or the service user, who has no role."""
    session = sandbox_v3_session(**client)
    facts = session.introspect(session.mint(**form)["access_token"])
    assert (facts["sub"], facts[CLAIMS]["user_role"]) == (sub, role)


def test_a_user_that_is_no_number_is_refused() -> None:
    """No token is issued for it."""
    session = sandbox_v3_session()
    assert session.mint(sub="dana@vendor.example") == {"error": "invalid_request"}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"introspected_scope": "list"}, {"scope": [JOBS, USERS]}),
        ({"introspected_scope": "odd_spacing"}, {"scope": f"  {JOBS} \n{USERS}\t"}),
        ({"introspected_scope": "absent"}, {}),
        ({"introspected_scope": "commas"}, {"scope": f"{JOBS}, {USERS}"}),
        ({"introspected_scope": "semicolons"}, {"scope": f"{JOBS}; {USERS}"}),
        ({"introspected_scope": "quoted"}, {"scope": f'"{JOBS} {USERS}"'}),
        ({"introspected_scope": "escaped"}, {"scope": "harvest%3Ajobs%3Alist%20harvest%3Ausers%3Alist"}),
        ({"introspected_scope": "upper_case"}, {"scope": f"{JOBS} {USERS}".upper()}),
        ({"introspected_scope": "urls"}, {"scope": " ".join(f"https://api.greenhouse.io/{x}" for x in (JOBS, USERS))}),
        ({"introspected_scope": "cut_off"}, {"scope": f"{JOBS} "}),
        ({"introspected_scope": "joined_list"}, {"scope": [f"{JOBS} {USERS}"]}),
        ({"introspected_scope": "objects"}, {"scope": [{"name": JOBS}, {"name": USERS}]}),
        ({"introspected_claims": "flat"}, {"organization": {"id": 4001, "name": "acme"}, "user_role": None}),
        ({"introspected_claims": "absent"}, {}),
    ],
)
def test_an_introspection_has_other_shapes(settings: dict[str, str], found: dict[str, Any]) -> None:
    """Scopes as a list, oddly spaced or not at all; claims beside the rest, or not at all."""
    session = sandbox_v3_session([USERS, JOBS])
    session.sandbox.change("acme", **settings)
    facts = session.introspect(session.client.issue())
    left_out = "scope" if "introspected_scope" in settings else CLAIMS
    other = CLAIMS if left_out == "scope" else "scope"
    assert {
        name: value for name, value in facts.items() if name not in (other, "active", "client_id", "sub", "exp")
    } == (found)


def test_an_introspection_can_contradict_itself() -> None:
    """Scopes given twice, the second time fewer; a role stated twice."""
    session = sandbox_v3_session("all")
    session.sandbox.change("acme", introspected_scope="twice", introspected_claims="contradicting")
    reply = session.post("/introspect", {"token": session.client.issue()})
    assert [len(json.loads(text).split()) for text in re.findall(rb'"scope":\s*("[^"]*")', reply.body)] == [163, 9]
    assert (content(reply)[CLAIMS]["user_role"], content(reply)["user_role"]) == (None, "Interviewer")


def test_a_client_can_be_refused_by_a_header_alone() -> None:
    """With an empty body."""
    session = sandbox_v3_session()
    session.sandbox.change("acme", challenges=True)
    reply = session.post("/token", CREDENTIALS, basic(session.client.client_id, "x"))
    assert (reply.status, reply.body) == (401, b"")
    assert header(reply, "WWW-Authenticate") == 'Basic error="invalid_client"'


def test_only_its_own_client_can_introspect_a_token() -> None:
    """For another client of the same account it is inactive."""
    session = sandbox_v3_session()
    text = session.client.issue()
    session.client = session.sandbox.add_client("acme", label="Other")
    assert session.introspect(text) == {"active": False}
    assert session.last().reason is AnswerReason.INACTIVE_TOKEN


def test_scopes_go_at_once_and_come_with_the_next_token() -> None:
    """An unticked scope is gone from live tokens; a ticked one is only in the next token."""
    session = sandbox_v3_session([JOBS])
    old = session.client.issue()
    session.client.tick(USERS)
    assert session.introspect(old)["scope"] == JOBS
    assert session.introspect(session.client.issue())["scope"] == f"{JOBS} {USERS}"
    session.client.untick(JOBS)
    assert session.introspect(old)["scope"] == ""


def test_introspection_can_be_stale() -> None:
    """If set so, it keeps listing lost scopes, while the API refuses them."""
    session = sandbox_v3_session([JOBS])
    session.sandbox.change("acme", stale_scopes=True)
    old = session.client.issue()
    session.client.untick(JOBS)
    assert session.introspect(old)["scope"] == JOBS
    assert session.send("GET /v3/jobs", old).status == 403


def test_a_disabled_client_is_refused_until_it_is_enabled() -> None:
    """It gets no token and no introspection, and its tokens open nothing; enabled again, they work as before."""
    session = sandbox_v3_session()
    text = session.client.issue()
    session.client.kill()
    assert (session.mint(), session.introspect(text)) == ({"error": "invalid_client"}, {"error": "invalid_client"})
    assert (session.last().account, session.last().reason) == ("acme", AnswerReason.DEAD_CLIENT)
    assert session.send("GET /v3/jobs", text).status == 401
    session.client.enable()
    assert session.introspect(text)["active"] is True
    assert session.send("GET /v3/jobs", text).status == 200


def test_an_old_secret_works_until_it_is_dropped() -> None:
    """After a rotation both secrets get tokens, then the new one alone."""
    session = sandbox_v3_session()
    old = basic(session.client.client_id, session.client.secret)
    assert session.client.rotate_secret() == session.client.secret == "sandbox-acme-secret-2"
    assert [session.post("/token", CREDENTIALS, which).status for which in (old, "client")] == [200, 200]
    session.client.drop_old_secrets()
    assert [session.post("/token", CREDENTIALS, which).status for which in (old, "client")] == [401, 200]


@pytest.mark.parametrize(("mint_revokes", "active"), [(False, True), (True, False)])
def test_a_new_token_may_revoke_the_one_before(mint_revokes: bool, active: bool) -> None:
    """Greenhouse does not document whether it does, so it can be set."""
    session = sandbox_v3_session(mint_revokes=mint_revokes)
    held = session.client.issue()
    assert session.introspect(session.mint()["access_token"])["active"] is True
    assert session.introspect(held)["active"] is active


def test_a_token_expires() -> None:
    """One second before, it is still active."""
    session = sandbox_v3_session(ttl=60)
    text = session.client.issue()
    session.clock.now += 59
    assert session.introspect(text)["active"] is True
    session.clock.now += 1
    assert session.introspect(text) == {"active": False}


def test_dead_tokens_are_forgotten_and_live_ones_are_not() -> None:
    """After a token every minute for a day, only about the live ones are kept."""
    session = sandbox_v3_session()
    texts = []
    for _ in range(24 * 60):
        texts.append(session.client.issue())
        session.clock.now += 60
    assert [session.introspect(text)["active"] for text in texts[-60:]] == [False] + [True] * 59
    assert sum(session.client.tokens.find(text) is not None for text in texts) < 200


def test_token_requests_have_a_separate_limit() -> None:
    """Over it the answer is 429 with when to retry; introspection and the API do not count against it."""
    session = sandbox_v3_session(clock=Clock(1_700_000_040.0))  # a window begins at 1,700,000,040
    session.sandbox.change("acme", token_limit=2)
    assert [session.post("/token", CREDENTIALS).status for _ in range(3)] == [200, 200, 429]
    session.clock.now += 20
    refused = session.post("/token", CREDENTIALS)
    assert (refused.status, header(refused, "Retry-After")) == (429, "40")
    text = session.client.issue()
    assert session.introspect(text)["active"] is True
    assert session.send("GET /v3/jobs", text).status == 200
    session.clock.now += 40
    assert session.post("/token", CREDENTIALS).status == 200


def test_a_body_that_is_no_form_has_no_grant_type() -> None:
    """JSON is not read, and neither is a body without a content type."""
    session = sandbox_v3_session()
    for kind, body in (("application/json", b'{"grant_type":"client_credentials"}'), ("", b"grant_type=x")):
        headers = {"authorization": basic(session.client.client_id, session.client.secret), "content-type": kind}
        reply = session.sandbox.handle(SandboxRequest("POST", "/token", headers, body)).reply
        assert (reply.status, session.last().reason) == (400, AnswerReason.BAD_GRANT)


@pytest.mark.parametrize("authorization", [None, "Basic not-base64!", "Bearer x", "Digest x"])
def test_without_a_client_introspection_is_refused(authorization: str | None) -> None:
    """Introspection is for clients."""
    session = sandbox_v3_session()
    assert session.post("/introspect", {"token": session.client.issue()}, authorization).status == 401
    assert session.last().reason is AnswerReason.NO_CLIENT


def test_an_introspection_of_nothing_is_refused() -> None:
    """So is a GET."""
    session = sandbox_v3_session()
    assert session.post("/introspect", {}).status == 400
    assert session.sandbox.handle(SandboxRequest("GET", "/introspect", {})).reply.status == 404


@pytest.mark.parametrize("path", ["/token", "/introspect"])
def test_faults_hit_the_auth_server(path: str) -> None:
    """For the account of the client, by method and path; the fault replaces the answer, and no token is issued."""
    session = sandbox_v3_session()
    session.sandbox.add_account("globex")
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, account="globex", status=500))
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, account="acme", method="POST", prefix=path, status=503))
    assert session.post(path, CREDENTIALS).status == 503
    assert (session.last().account, session.last().key, session.last().reason) == ("acme", "Gem", AnswerReason.FAULT)
    session.sandbox.faults.clear()
    assert session.post(path, CREDENTIALS | {"token": "x"}).status == 200


def test_a_blocked_address_is_refused() -> None:
    """With an HTML page, as on v1."""
    session = sandbox_v3_session()
    session.sandbox.change("acme", blocked=True)
    assert session.post("/token", CREDENTIALS).content_type.startswith(b"text/html")
    assert session.last().reason is AnswerReason.BLOCKED


def test_the_request_log_has_no_id_no_secret_and_no_token() -> None:
    """Wherever they are in a request to the auth server or the API, none of them is kept."""
    session = sandbox_v3_session()
    text = session.client.issue()
    session.mint()
    session.introspect(text)
    session.send("GET /v3/jobs?per_page=1", text)
    session.post(f"/introspect?token={text}&client_id={session.client.client_id}", {})
    session.post("/token", CREDENTIALS, basic("sandbox-acme-client-9", "a-secret"))
    session.post("/token", CREDENTIALS, basic("a-malformed-id", "a-secret"))
    kept = repr(session.sandbox.request_log.entries())
    for secret in (session.client.client_id, session.client.secret, text, "client-9", "a-malformed-id", "a-secret"):
        assert secret not in kept
    entries = session.sandbox.request_log.entries()
    assert [(entry.key, entry.authorization, entry.target) for entry in entries[:3]] == [
        ("Gem", "basic", "/token"),
        ("Gem", "basic", "/introspect"),
        ("Gem", "bearer", "/v3/jobs?per_page=1"),
    ]


@pytest.mark.parametrize(("word", "count"), [("all", 163), ("none", 0), ("gem", 37), ("gem+eeoc", 38)])
def test_words_tick_scopes(word: str, count: int) -> None:
    """All, none, those derived in Gem's manifest, and those with the one of its optional pair."""
    assert len(scope_names(word)) == count
    assert scope_names(word) <= known().keys()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"label": "2", "scopes": "gems"}, "scopes cannot be 'gems': use one of all"),
        ({"label": "2", "scopes": ["harvest:job:list"]}, "no scope 'harvest:job:list'; did you mean harvest:jobs:list"),
        ({}, "already has a client 'Gem'"),
        ({"label": "2", "client_id": "sandbox-acme-client-1"}, "is already that of another client"),
        ({"label": "2", "client_id": "a:b"}, "the id of the client of account acme cannot be sent"),
        ({"label": "2", "secret": ""}, "the secret of the client of account acme cannot be sent"),
    ],
)
def test_an_impossible_client_is_refused(asked: dict[str, Any], words: str) -> None:
    """The message says why, and nothing is added."""
    session = sandbox_v3_session()
    with pytest.raises(ConfigurationError, match=words):
        session.sandbox.add_client("acme", **asked)
    assert [client.label for client in session.sandbox.clients.of(session.account)] == ["Gem"]
    assert session.post("/token", CREDENTIALS).status == 200


def test_a_client_can_have_an_unknown_scope() -> None:
    """Greenhouse adds scopes, which this release does not know."""
    session = sandbox_v3_session("none")
    session.client.ticked = frozenset({"harvest:new_things:list"})
    assert session.introspect(session.client.issue())["scope"] == "harvest:new_things:list"


def test_a_form_may_name_its_charset() -> None:
    """After its content type."""
    session = sandbox_v3_session()
    headers = {
        "authorization": basic(session.client.client_id, session.client.secret),
        "content-type": f"{FORM}; charset=utf-8",
    }
    assert (
        session.sandbox.handle(SandboxRequest("POST", "/token", headers, b"grant_type=client_credentials")).reply.status
        == 200
    )
